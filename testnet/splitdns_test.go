package testnet_test

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/dnsresolver"
	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/testnet"
)

// splitHosts returns a host that resolves, all of whose packets are captured, and one that serves on two addresses.
func splitHosts(t *testing.T) (near, far *sockets.Host, file *link.CaptureFile, captured *bytes.Buffer) {
	t.Helper()
	captured = &bytes.Buffer{}
	file = link.NewCaptureFile(captured, link.CaptureConfig{})
	left, right := link.NewPipe(link.PipeConfig{})
	host := func(l gstack.LinkEndpoint, addrs ...string) *sockets.Host {
		nic := stack.NIC{Name: "net0", Link: l}
		for _, a := range addrs {
			nic.Addrs = append(nic.Addrs, netip.MustParsePrefix(a))
		}
		s, err := stack.New(stack.Config{NICs: []stack.NIC{nic}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		h, err := sockets.New(sockets.Config{Stack: s})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close() })
		return h
	}
	far = host(right, "10.77.0.2/24", "10.77.0.3/24")
	near = host(link.NewCapture(left, file, "net0"), "10.77.0.1/24")
	return near, far, file, captured
}

// serveZone serves a zone until the test, or the caller, closes it.
func serveZone(t *testing.T, h *sockets.Host, addr netip.Addr, zone testnet.Zone) *testnet.DNSServer {
	t.Helper()
	at := netip.AddrPortFrom(addr, 53).String()
	pc, err := h.ListenPacket("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := h.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	s, err := testnet.NewDNSServer(zone, pc, ln)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// packetsTo counts, by destination, the packets in which a label stands, and all.
func packetsTo(t *testing.T, captured []byte, label string) (with, all map[string]int) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(captured), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	with, all = map[string]int{}, map[string]int{}
	for {
		data, _, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return with, all
		}
		if err != nil {
			t.Fatal(err)
		}
		ip, ok := gopacket.NewPacket(data, layers.LayerTypeIPv4, gopacket.Default).NetworkLayer().(*layers.IPv4)
		if !ok || ip.SrcIP.String() != "10.77.0.1" {
			continue // what others send us is theirs
		}
		to := ip.DstIP.String()
		all[to]++
		if bytes.Contains(bytes.ToLower(ip.Payload), append([]byte{byte(len(label))}, label...)) {
			with[to]++
		}
	}
}

// TestSplitDNSOnTheWire looks at all packets that leave a host: names of the private domain go to its server alone, while
// that is up and when it is gone, as targets of aliases, candidates, reverse names, and when a stale answer is used.
func TestSplitDNSOnTheWire(t *testing.T) {
	t.Parallel()
	near, far, file, captured := splitHosts(t)
	public, private := netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("10.77.0.3")
	serveZone(t, far, public, testnet.Zone{
		"www.example.test":  {Addrs: []netip.Addr{public}},
		"lure.example.test": {CNAME: "db.corp.test"},
		"db.corp.test":      {Addrs: []netip.Addr{netip.MustParseAddr("203.0.113.66")}}, // it had better not be asked
	})
	corp := serveZone(t, far, private, testnet.Zone{"db.corp.test": {Addrs: []netip.Addr{private}, TTL: time.Second}})
	r, err := dnsresolver.New(dnsresolver.Config{
		Transport: near, Search: []string{"corp.test", "example.test"}, Timeout: 20 * time.Second, Attempts: 1,
		Servers: []dnsresolver.Server{{Addr: netip.AddrPortFrom(public, 53)}},
		Groups: []dnsresolver.Group{{
			Domains: []string{"corp.test", "10.in-addr.arpa"}, Servers: []dnsresolver.Server{{Addr: netip.AddrPortFrom(private, 53)}},
		}},
		Cache: dnsresolver.CacheConfig{MaxStale: time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ask := func(name, want string) {
		t.Helper()
		addrs, err := r.LookupNetIP(t.Context(), "ip4", name)
		if want == "" && err == nil || want != "" && (err != nil || addrs[0].String() != want) {
			t.Errorf("%s: %v, %v; want %q", name, addrs, err, want)
		}
	}
	ask("db", private.String())
	ask("lure.example.test", private.String())
	corp.Close()
	<-time.After(1100 * time.Millisecond) // the answer's life
	ask("db.corp.test", private.String()) // stale
	ask("lure.example.test", private.String())
	r.FlushCache()
	for _, name := range []string{"db.corp.test", "DB.Corp.Test.", "lure.example.test", "db"} {
		ask(name, "")
	}
	if _, err := r.LookupAddr(t.Context(), netip.MustParseAddr("10.1.2.3")); err == nil {
		t.Error("a reverse name was found")
	}
	ask("www.example.test", public.String())
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	for _, label := range []string{"corp", "in-addr"} {
		with, all := packetsTo(t, captured.Bytes(), label)
		if with[public.String()] != 0 || len(with) != 1 || with[private.String()] == 0 || all[public.String()] == 0 {
			t.Errorf("packets with %q went to %v, of %v in all; want none but to %v", label, with, all, private)
		}
	}
}
