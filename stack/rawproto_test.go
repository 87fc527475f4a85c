package stack_test

import (
	"bytes"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/userstack/userstack/stack"
)

// gre is a protocol that netstack does not have.
const gre = 47

var (
	own4, peer4 = netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.9")
	own6, peer6 = netip.MustParseAddr("fd00::2"), netip.MustParseAddr("fd00::9")
)

// hostOnLink returns a stack and its link, with what the stack says of itself
// at the start taken off.
func hostOnLink(t *testing.T) (*stack.Stack, *closeCounter) {
	l := newLink()
	s := newStack(t, stack.Config{NICs: []stack.NIC{{Link: l, Addrs: prefixes("10.0.0.2/24", "fd00::2/64")}}})
	l.Drain()
	return s, l
}

// packet returns an IP packet. The payload of IPv6 begins with the header that
// next names.
func packet(src, dst netip.Addr, next byte, payload []byte) []byte {
	if src.Is4() {
		h := make(header.IPv4, header.IPv4MinimumSize, header.IPv4MinimumSize+len(payload))
		h.Encode(&header.IPv4Fields{
			TotalLength: uint16(cap(h)), TTL: 64, Protocol: next,
			SrcAddr: tcpip.AddrFrom4(src.As4()), DstAddr: tcpip.AddrFrom4(dst.As4()),
		})
		h.SetChecksum(^h.CalculateChecksum())
		return append(h, payload...)
	}
	h := make(header.IPv6, header.IPv6MinimumSize)
	h.Encode(&header.IPv6Fields{
		PayloadLength: uint16(len(payload)), TransportProtocol: tcpip.TransportProtocolNumber(next), HopLimit: 64,
		SrcAddr: tcpip.AddrFrom16(src.As16()), DstAddr: tcpip.AddrFrom16(dst.As16()),
	})
	return append(h, payload...)
}

func inject(l *closeCounter, b []byte) {
	version := header.IPv4ProtocolNumber
	if b[0]>>4 == 6 {
		version = header.IPv6ProtocolNumber
	}
	pkt := gstack.NewPacketBuffer(gstack.PacketBufferOptions{Payload: buffer.MakeWithData(b)})
	l.InjectInbound(version, pkt)
	pkt.DecRef()
}

// sent returns the packets that the stack sent since it was last asked.
func sent(l *closeCounter) (out [][]byte) {
	for pkt := l.Read(); pkt != nil; pkt = l.Read() {
		v := pkt.ToView()
		out = append(out, v.ToSlice())
		v.Release()
		pkt.DecRef()
	}
	return out
}

// Peers must learn that a protocol is not spoken here, although raw sockets of
// it can be opened.
func TestUnknownProtocolIsRefused(t *testing.T) {
	_, l := hostOnLink(t)
	optionsThenGRE := append([]byte{gre, 0, 1, 4, 0, 0, 0, 0}, "payload"...) // RFC 8200 section 4.6
	for _, tc := range []struct {
		name      string
		pkt       []byte
		typ, code byte
		pointer   byte // ICMPv6 only
	}{
		{"IPv4", packet(peer4, own4, gre, []byte("payload")), 3, 2, 0},
		{"IPv6", packet(peer6, own6, gre, []byte("payload")), 4, 1, 6},
		{"IPv6 after options", packet(peer6, own6, 60, optionsThenGRE), 4, 1, 40},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inject(l, tc.pkt)
			out := sent(l)
			if len(out) != 1 {
				t.Fatalf("%d packets in answer, want 1", len(out))
			}
			icmp := out[0][len(out[0])-len(tc.pkt)-8:]
			if icmp[0] != tc.typ || icmp[1] != tc.code || icmp[7] != tc.pointer {
				t.Errorf("ICMP type %d, code %d, pointer %d; want %d, %d, %d", icmp[0], icmp[1], icmp[7], tc.typ, tc.code, tc.pointer)
			}
			if !bytes.Equal(icmp[8:], tc.pkt) {
				t.Errorf("the error quotes\n%x, want\n%x", icmp[8:], tc.pkt)
			}
		})
	}
}

// RFC 1122 section 3.2.2: no errors about packets to many, and none while a raw
// socket takes the protocol.
func TestUnknownProtocolIsIgnored(t *testing.T) {
	s, l := hostOnLink(t)
	inject(l, packet(peer4, netip.MustParseAddr("224.0.0.1"), gre, []byte("payload")))
	inject(l, packet(peer4, netip.MustParseAddr("10.0.0.255"), gre, []byte("payload")))
	inject(l, packet(peer6, netip.MustParseAddr("ff02::1"), gre, []byte("payload")))
	if out := sent(l); len(out) != 0 {
		t.Errorf("%d packets in answer to multicast and broadcast: %x", len(out), out)
	}
	ep, err := s.GVisor().NewRawEndpoint(gre, header.IPv4ProtocolNumber, new(waiter.Queue), true)
	if err != nil {
		t.Fatal(err)
	}
	hello := packet(peer4, own4, gre, []byte("hello"))
	inject(l, hello)
	if out := sent(l); len(out) != 0 {
		t.Errorf("%d packets in answer while a raw socket is open: %x", len(out), out)
	}
	var got bytes.Buffer
	if _, err := ep.Read(&got, tcpip.ReadOptions{}); err != nil || !bytes.Equal(got.Bytes(), hello) {
		t.Errorf("the raw socket read %x, %v; want %x", got.Bytes(), err, hello)
	}
	ep.Close()
	ep.Close()
	inject(l, hello)
	if out := sent(l); len(out) != 1 {
		t.Errorf("%d packets in answer after the raw socket is gone, want 1", len(out))
	}
}

var (
	other = map[tcpip.NetworkProtocolNumber]tcpip.NetworkProtocolNumber{
		header.IPv4ProtocolNumber: header.IPv6ProtocolNumber, header.IPv6ProtocolNumber: header.IPv4ProtocolNumber,
	}
	icmpOf = map[tcpip.NetworkProtocolNumber]tcpip.TransportProtocolNumber{
		header.IPv4ProtocolNumber: header.ICMPv4ProtocolNumber, header.IPv6ProtocolNumber: header.ICMPv6ProtocolNumber,
	}
)

func TestRawEndpointsOfEveryProtocol(t *testing.T) {
	s, _ := hostOnLink(t)
	for n := tcpip.TransportProtocolNumber(1); n < 255; n++ {
		for _, version := range []tcpip.NetworkProtocolNumber{header.IPv4ProtocolNumber, header.IPv6ProtocolNumber} {
			if n == icmpOf[other[version]] {
				continue // package sockets makes these by itself
			}
			ep, err := s.GVisor().NewRawEndpoint(n, version, new(waiter.Queue), true)
			if err != nil {
				t.Errorf("protocol %d over %#x: %v", n, version, err)
				continue
			}
			ep.Close()
		}
	}
}

// Switches and routers are told of memberships: IGMPv3 (RFC 3376 section 4.2)
// and MLDv2 (RFC 3810 section 5.2).
func TestMembershipReports(t *testing.T) {
	s, l := hostOnLink(t)
	const toExclude, toInclude = 4, 3 // record types: somebody wants the group, nobody does
	for _, tc := range []struct {
		version tcpip.NetworkProtocolNumber
		group   string
		to      string // all routers that understand the report
		typ     byte
		report  int // offset in the packet: after Router Alert
	}{
		{header.IPv4ProtocolNumber, "239.1.2.3", "224.0.0.22", 0x22, 24},
		{header.IPv6ProtocolNumber, "ff05::77", "ff02::16", 143, 48},
	} {
		group, to := netip.MustParseAddr(tc.group).AsSlice(), netip.MustParseAddr(tc.to).AsSlice()
		check := func(what string, record byte) {
			t.Helper()
			out := sent(l)
			if len(out) != 1 {
				t.Fatalf("%s %s: %d packets, want 1: %x", what, tc.group, len(out), out)
			}
			p := out[0]
			if dst := p[:tc.report]; !bytes.Contains(dst, to) {
				t.Errorf("%s %s: sent %x, want it to go to %s", what, tc.group, dst, tc.to)
			}
			if r := p[tc.report:]; r[0] != tc.typ || r[8] != record || !bytes.Equal(r[12:12+len(group)], group) {
				t.Errorf("%s %s: report %x, want type %d and one record %d of the group", what, tc.group, r, tc.typ, record)
			}
		}
		addr := tcpip.AddrFromSlice(group)
		if err := s.GVisor().JoinGroup(tc.version, 2, addr); err != nil {
			t.Fatal(err)
		}
		check("joining", toExclude)
		if err := s.GVisor().LeaveGroup(tc.version, 2, addr); err != nil {
			t.Fatal(err)
		}
		check("leaving", toInclude)
	}
}

// A router passes on what it does not speak.
func TestUnknownProtocolIsForwarded(t *testing.T) {
	in, out := newLink(), newLink()
	newStack(t, stack.Config{Forwarding: stack.ForwardAll, NICs: []stack.NIC{
		{Link: in, Addrs: prefixes("10.0.0.2/24", "fd00::2/64")}, {Link: out, Addrs: prefixes("10.1.0.2/24", "fd01::2/64")},
	}})
	for _, p := range [][]byte{
		packet(peer4, netip.MustParseAddr("10.1.0.9"), gre, []byte("payload")),
		packet(peer6, netip.MustParseAddr("fd01::9"), gre, []byte("payload")),
		packet(peer4, netip.MustParseAddr("10.1.0.9"), gre, nil),
	} {
		out.Drain()
		inject(in, p)
		passed := sent(out)
		if len(passed) != 1 || len(passed[0]) != len(p) || !bytes.HasSuffix(passed[0], p[20:]) && p[0]>>4 == 4 || !bytes.HasSuffix(passed[0], p[8:]) && p[0]>>4 == 6 {
			t.Errorf("%x was passed on as %x", p, passed)
		}
	}
}
