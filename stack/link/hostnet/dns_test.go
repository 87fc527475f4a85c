package hostnet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/testnet"
)

// nameserver is a DNS server on the machine's sockets that knows one name.
func nameserver(t *testing.T, loopback string) netip.AddrPort {
	t.Helper()
	l, _ := listen(t, loopback, loopback)
	pc, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := testnet.NewDNSServer(testnet.Zone{"here.test": {Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.9")}}}, pc, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// lookup asks a server for the name, by UDP or TCP.
func lookup(t *testing.T, h *sockets.Host, network, server string) string {
	t.Helper()
	c := dialIn(t, h, network, server)
	query := dnsmessage.Message{Header: dnsmessage.Header{ID: 7}, Questions: []dnsmessage.Question{{
		Name: dnsmessage.MustNewName("here.test."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET,
	}}}
	wire, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 512)
	if network == "tcp" {
		c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...))
		if _, err := io.ReadFull(c, b[:2]); err != nil {
			return err.Error()
		}
		b = b[:binary.BigEndian.Uint16(b)]
	} else {
		c.Write(wire)
	}
	n, err := c.Read(b)
	if err != nil {
		return err.Error()
	}
	var answer dnsmessage.Message
	if err := answer.Unpack(b[:n]); err != nil || len(answer.Answers) != 1 {
		return fmt.Sprint(answer, err)
	}
	return netip.AddrFrom4(answer.Answers[0].Body.(*dnsmessage.AResource).A).String()
}

func TestDNS(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			h, u := newHost(t, Config{Nameservers: []netip.AddrPort{nameserver(t, f.loopback)}})
			for _, network := range []string{"udp", "tcp"} {
				for _, server := range u.Nameservers() {
					if got := lookup(t, h, network, server.String()); got != "192.0.2.9" {
						t.Errorf("by %s from %v: %s", network, server, got)
					}
				}
			}
		})
	}
}

// TestDNSFailover: a server that does not exist is passed over.
func TestDNSFailover(t *testing.T) {
	l, _ := listen(t, "127.0.0.1", "")
	dead := l.Addr().(*net.TCPAddr).AddrPort()
	l.Close()
	h, u := newHost(t, Config{Nameservers: []netip.AddrPort{dead, nameserver(t, "127.0.0.1")}})
	server := u.Nameservers()[0].String()
	if got := lookup(t, h, "tcp", server); got != "192.0.2.9" {
		t.Error("by TCP: ", got)
	}
	for tries := 0; ; tries++ { // as a resolver does
		if got := lookup(t, h, "udp", server); got == "192.0.2.9" {
			break
		} else if tries == 2 {
			t.Fatal("by UDP: ", got)
		}
	}
}

func TestNameserverChoice(t *testing.T) {
	a, b := netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("192.0.2.2:53")
	var d nameservers
	d.init([]netip.AddrPort{a, b})
	want := func(server netip.AddrPort, when string) {
		t.Helper()
		if got := d.choose(); got != server {
			t.Errorf("%s: %v is asked, want %v", when, got, server)
		}
	}
	want(a, "at first")
	d.waiting[a] = time.Now().Add(-serverPatience)
	want(b, "after silence")
	d.waiting[b] = time.Now().Add(-serverPatience)
	d.waiting[a] = d.waiting[b].Add(-time.Second)
	want(a, "after silence of both, the one asked earlier")
	want(b, "and then the other")
	if !d.answered(a) {
		t.Error("an answer of a server does not count as one")
	}
	want(a, "after an answer")
	d.waiting[a] = time.Now().Add(-2 * serverPenance)
	want(a, "after penance")
	if d.answered(netip.MustParseAddrPort("192.0.2.3:53")) {
		t.Error("anyone's answer counts")
	}
}

func TestResolvConf(t *testing.T) {
	name := filepath.Join(t.TempDir(), "resolv.conf")
	var d nameservers
	d.init(nil)
	d.file = name
	for i, step := range []struct {
		text string
		want []string
	}{
		{"", []string{"127.0.0.1:53"}},
		{"# none\nsearch example.test\n", []string{"127.0.0.1:53"}},
		{"nameserver 192.0.2.1\n", []string{"192.0.2.1:53"}},
		{"nameserver 192.0.2.1\n nameserver\t::1 # six\nnameserver nonsense\nnameserver fe80::1%lo\nnameserver 192.0.2.4\n",
			[]string{"192.0.2.1:53", "[::1]:53", "[fe80::1%lo]:53"}},
	} {
		if step.text != "" {
			if err := os.WriteFile(name, []byte(step.text), 0o600); err != nil {
				t.Fatal(err)
			}
			os.Chtimes(name, time.Time{}, time.Unix(int64(i), 0)) // each a different time
		}
		var got []string
		for _, s := range d.servers(time.Now().Add(time.Duration(i) * 2 * resolvCheck)) {
			got = append(got, s.String())
		}
		if !slices.Equal(got, step.want) {
			t.Errorf("%q: %v, want %v", step.text, got, step.want)
		}
	}
}

// TestNoNameservers: where there are none, nobody is kept waiting.
func TestNoNameservers(t *testing.T) {
	h, u := newHost(t, Config{Nameservers: []netip.AddrPort{}})
	for _, network := range []string{"tcp", "udp"} {
		if err := reach(h, network, u.Nameservers()[0].String()); !errors.Is(err, sockets.ECONNREFUSED) {
			t.Errorf("%s: %v, want ECONNREFUSED", network, err)
		}
	}
}
