package testnet_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/userstack/userstack/testnet"
)

// manyAddrs is an answer that fits into no UDP packet.
func manyAddrs(n int) (addrs []netip.Addr) {
	for i := range n {
		addrs = append(addrs, netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}))
	}
	return addrs
}

var testZone = testnet.Zone{
	"www.example.test":    {Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}},
	"Alias.Example.Test.": {CNAME: "www.example.test"},
	"away.example.test":   {CNAME: "www.elsewhere.test"},
	"loop.example.test":   {CNAME: "loop.example.test"},
	"big.example.test":    {Addrs: manyAddrs(200)},
	"txt.example.test":    {TXT: []string{"one", "two"}},
	"bad.example.test":    {RCode: 2},
	"empty.example.test":  {},
}

// serve runs a DNSServer on the loopback and returns it with Go's own resolver pointed at it.
func serve(t *testing.T) (*testnet.DNSServer, *net.Resolver) {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		pc.Close()
		t.Fatal(err)
	}
	s, err := testnet.NewDNSServer(testZone, pc, ln)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		addr := pc.LocalAddr()
		if network == "tcp" {
			addr = ln.Addr()
		}
		return new(net.Dialer).DialContext(ctx, network, addr.String())
	}}
}

func TestDNSServerAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		network, name string
		want          []string
		wantErr       string
	}{
		{"ip4", "www.example.test.", []string{"192.0.2.1"}, ""},
		{"ip6", "WWW.example.test.", []string{"2001:db8::1"}, ""},
		{"ip4", "alias.example.test.", []string{"192.0.2.1"}, ""},
		{"ip4", "empty.example.test.", nil, "no such host"},
		{"ip4", "none.example.test.", nil, "no such host"},
		{"ip4", "away.example.test.", nil, "no such host"},
		{"ip4", "bad.example.test.", nil, "server misbehaving"},
		{"ip4", "loop.example.test.", nil, "server misbehaving"},
	} {
		t.Run(c.network+" "+c.name, func(t *testing.T) {
			_, resolver := serve(t)
			addrs, err := resolver.LookupNetIP(t.Context(), c.network, c.name)
			var got []string
			for _, a := range addrs {
				got = append(got, a.String())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, %v; want %v", got, err, c.want)
			}
			var dnsErr *net.DNSError
			if errors.As(err, &dnsErr) != (c.wantErr != "") || dnsErr != nil && dnsErr.Err != c.wantErr {
				t.Errorf("got error %v, want %q", err, c.wantErr)
			}
		})
	}
}

func TestDNSServerTruncates(t *testing.T) {
	t.Parallel()
	s, resolver := serve(t)
	addrs, err := resolver.LookupNetIP(t.Context(), "ip4", "big.example.test.")
	if err != nil || len(addrs) != 200 {
		t.Fatalf("got %d addresses, %v; want 200", len(addrs), err)
	}
	var networks []string
	for _, q := range s.Queries() {
		networks = append(networks, q.Type+" "+q.Network)
	}
	if want := []string{"A udp", "A tcp"}; !slices.Equal(networks, want) {
		t.Errorf("was asked %v, want %v: a long answer goes over TCP", networks, want)
	}
}

func TestDNSServerText(t *testing.T) {
	t.Parallel()
	_, resolver := serve(t)
	got, err := resolver.LookupTXT(t.Context(), "txt.example.test.")
	if slices.Sort(got); err != nil || !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestDNSServerGarbage: what is no query gets no answer, and the server lives.
func TestDNSServerGarbage(t *testing.T) {
	t.Parallel()
	_, resolver := serve(t)
	for _, network := range []string{"udp", "tcp"} {
		c, err := resolver.Dial(t.Context(), network, "")
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("\x00\x04gibberish"))
		c.Close()
	}
	if _, err := resolver.LookupNetIP(t.Context(), "ip4", "www.example.test."); err != nil {
		t.Error(err)
	}
}

// TestDNSServerClose: Close ends a connection that is waiting, and returns.
func TestDNSServerClose(t *testing.T) {
	t.Parallel()
	s, resolver := serve(t)
	c, err := resolver.Dial(t.Context(), "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s.Close()
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes from a closed server", n)
	}
}

func TestDNSServerRefusesBadZone(t *testing.T) {
	t.Parallel()
	long := string(make([]byte, 300))
	for _, z := range []testnet.Zone{{long: {}}, {"a.": {CNAME: long}}, {"a.": {TXT: []string{long}}}} {
		if s, err := testnet.NewDNSServer(z, nil, nil); err == nil {
			s.Close()
			t.Errorf("accepted %.20q", fmt.Sprint(z))
		}
	}
}
