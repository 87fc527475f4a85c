package sockets_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/userstack/userstack/stack/sockets"
)

const flowPort = 4000

// flowDatagram returns a datagram from one port of 192.0.2.1 to flowPort, with a
// checksum and with its number as payload.
func flowDatagram(number int) []byte {
	p := udpTo(flowPort, 4)
	copy(p[28:], fmt.Sprintf("%04d", number))
	return summed(p)
}

// summed completes the UDP checksum of an IPv4 packet.
func summed(p []byte) []byte {
	udp := header.UDP(p[20:])
	udp.SetChecksum(0)
	ip := header.IPv4(p)
	sum := header.PseudoHeaderChecksum(header.UDPProtocolNumber, ip.SourceAddress(), ip.DestinationAddress(), uint16(len(udp)))
	udp.SetChecksum(^checksum.Checksum(udp, sum))
	return p
}

// flowing returns a host with a socket whose flow goes past netstack.
func flowing(t *testing.T) (*sockets.Host, *handWire, *sockets.Socket) {
	t.Helper()
	h, w := wired(t)
	s := udpSocket(t, h)
	check(t, s.Bind(sockets.Inet4{Host: addrA, Port: flowPort}))
	flow(t, h, w, s)
	return h, w, s
}

// flow sends the socket datagrams until they go past netstack.
func flow(t *testing.T, h *sockets.Host, w *handWire, s *sockets.Socket) {
	t.Helper()
	before := h.Stack().UDPFlows().Taken()
	for range 5 {
		w.inject(flowDatagram(0))
		recvString(t, s)
	}
	if h.Stack().UDPFlows().Taken() == before {
		t.Fatal("the flow does not go past netstack")
	}
}

// takenBy reports whether a datagram goes past netstack.
func takenBy(h *sockets.Host, w *handWire, p []byte) bool {
	before := h.Stack().UDPFlows().Taken()
	w.inject(p)
	return h.Stack().UDPFlows().Taken() > before
}

// What a datagram brings along is the same on both ways, and so is what the
// stack counts.
func TestFlowDatagramIsWhole(t *testing.T) {
	h, w, s := flowing(t)
	setInts(t, s, sockets.SOL_IP, sockets.IP_PKTINFO, sockets.IP_RECVTTL, sockets.IP_RECVTOS, sockets.IP_RECVORIGDSTADDR)
	p := flowDatagram(7)
	p[1] = 0xb9 // TOS
	ip := header.IPv4(p)
	ip.SetChecksum(0)
	ip.SetChecksum(^ip.CalculateChecksum())
	var seen []string
	for _, past := range []bool{true, false} {
		if !past {
			h.Stack().UDPFlows().Forget()
		}
		before := h.Stack().Stats()
		traffic := h.Stack().Interfaces()[1].Traffic
		if got := takenBy(h, w, p); got != past {
			t.Fatalf("past netstack: %v, want %v", got, past)
		}
		m, after := recvMsg(t, s), h.Stack().Stats()
		now := h.Stack().Interfaces()[1].Traffic
		seen = append(seen, fmt.Sprint(m.Addr, m.Control, string(m.Buffers[0][:m.N]), after.UDP.Received-before.UDP.Received,
			after.IP.Received-before.IP.Received, after.IP.Delivered-before.IP.Delivered,
			now.ReceivedPackets-traffic.ReceivedPackets, now.ReceivedBytes-traffic.ReceivedBytes))
	}
	if seen[0] != seen[1] {
		t.Errorf("past netstack:\n%s\nthrough it:\n%s", seen[0], seen[1])
	}
}

// What netstack would not deliver does not get past it either.
func TestFlowRefusesBadPackets(t *testing.T) {
	h, w, s := flowing(t)
	for name, change := range map[string]func([]byte){
		"payload":       func(p []byte) { p[30] ^= 1 },
		"IP header":     func(p []byte) { p[8] ^= 1 },
		"UDP checksum":  func(p []byte) { p[26] ^= 1 },
		"UDP length":    func(p []byte) { p[25]-- },
		"fragment":      func(p []byte) { fixIP(p, 6, 0x20) },
		"total length":  func(p []byte) { fixIP(p, 3, p[3]+1) },
		"other version": func(p []byte) { p[0] = 0x65 },
	} {
		p := flowDatagram(1)
		change(p)
		if takenBy(h, w, p) {
			t.Errorf("a datagram with a bad %s goes past netstack", name)
		}
		if got, err := s.Recv(100, sockets.MSG_DONTWAIT); !errors.Is(err, sockets.EAGAIN) {
			t.Errorf("a datagram with a bad %s gives %q, %v", name, got, err)
		}
	}
	p := flowDatagram(2)
	header.UDP(p[20:]).SetChecksum(0) // none, as IPv4 permits
	flow(t, h, w, s)
	if !takenBy(h, w, p) || recvString(t, s) != "0002" {
		t.Error("a datagram without a checksum is not taken")
	}
}

// fixIP changes a byte of an IPv4 header and mends the checksum.
func fixIP(p []byte, at int, v byte) {
	p[at] = v
	ip := header.IPv4(p[:20])
	ip.SetChecksum(0)
	ip.SetChecksum(^checksum.Checksum(ip, 0))
}

// Whoever else should get a flow's datagrams gets them at once.
func TestFlowGoesWhereNetstackWouldDeliver(t *testing.T) {
	other := func(t *testing.T, h *sockets.Host, connect sockets.Sockaddr) *sockets.Socket {
		s := udpSocket(t, h)
		setInts(t, s, sockets.SOL_SOCKET, sockets.SO_REUSEADDR)
		check(t, s.Bind(sockets.Inet4{Host: addrA, Port: flowPort}))
		if connect != nil {
			check(t, s.Connect(connect))
		}
		return s
	}
	sender := sockets.Inet4{Host: "192.0.2.1", Port: 9}
	for name, change := range map[string]func(*testing.T, *sockets.Host, *sockets.Socket) (to *sockets.Socket){
		"a connected socket": func(t *testing.T, h *sockets.Host, _ *sockets.Socket) *sockets.Socket { return other(t, h, sender) },
		"a socket that was bound later": func(t *testing.T, h *sockets.Host, s *sockets.Socket) *sockets.Socket {
			check(t, s.Close())
			return other(t, h, nil)
		},
		"nobody, after a connect elsewhere": func(t *testing.T, h *sockets.Host, s *sockets.Socket) *sockets.Socket {
			check(t, s.Connect(sockets.Inet4{Host: "192.0.2.1", Port: 10}))
			return nil
		},
		"nobody, after the address is gone": func(t *testing.T, h *sockets.Host, _ *sockets.Socket) *sockets.Socket {
			check(t, h.Stack().RemoveAddress("tun0", netip.MustParseAddr(addrA)))
			return nil
		},
		"nobody, after a close": func(t *testing.T, h *sockets.Host, s *sockets.Socket) *sockets.Socket {
			check(t, s.Close())
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, w := wired(t)
			s := other(t, h, nil)
			flow(t, h, w, s)
			to := change(t, h, s)
			if takenBy(h, w, flowDatagram(1)) {
				t.Error("the first datagram after the change goes past netstack")
			}
			w.inject(flowDatagram(2))
			w.inject(flowDatagram(3))
			if to != nil {
				for i := range 3 {
					if got, want := recvString(t, to), fmt.Sprintf("%04d", i+1); got != want {
						t.Errorf("%q, want %q", got, want)
					}
				}
			}
			if got, err := s.Recv(100, sockets.MSG_DONTWAIT); err == nil {
				t.Errorf("the first socket still receives: %q", got)
			}
		})
	}
}

// Raw and packet sockets see the datagrams of others, so that those go through
// netstack for as long as there is one.
func TestFlowIsSeenByOthers(t *testing.T) {
	for name, open := range map[string]func(*testing.T, *sockets.Host) *sockets.Socket{
		"raw": func(t *testing.T, h *sockets.Host) *sockets.Socket {
			return mustSocket(t, h, sockets.AF_INET, sockets.SOCK_RAW, sockets.IPPROTO_UDP)
		},
		"packet": func(t *testing.T, h *sockets.Host) *sockets.Socket {
			return mustSocket(t, h, sockets.AF_PACKET, sockets.SOCK_DGRAM, sockets.Protocol(0x0008)) // ETH_P_IP, network order
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, w, s := flowing(t)
			eye := open(t, h)
			w.inject(flowDatagram(1))
			if got := len(recvString(t, eye)); got != 32 {
				t.Errorf("%d bytes seen, want 32", got)
			}
			check(t, eye.Close())
			recvString(t, s)
			flow(t, h, w, s)
		})
	}
}

// SO_RCVBUF bounds what waits in both ways alike, and what is lost is counted.
func TestFlowIsCharged(t *testing.T) {
	h, w, s := flowing(t)
	const sent = 300
	for i := range sent {
		w.inject(flowDatagram(i))
	}
	got := 0
	for {
		if _, err := s.Recv(100, sockets.MSG_DONTWAIT); err != nil {
			break
		}
		got++
	}
	if got != 256 || h.Stack().Stats().UDP.Dropped != sent-256 { // T8: 212,992 bytes, 832 for each
		t.Errorf("%d received and %d dropped", got, h.Stack().Stats().UDP.Dropped)
	}
}

// A flow that is read for a long time and shut ends as any other does.
func TestFlowAfterShutdown(t *testing.T) {
	h, w, s := flowing(t)
	check(t, s.Connect(sockets.Inet4{Host: "192.0.2.1", Port: 9}))
	flow(t, h, w, s)
	check(t, s.Shutdown(sockets.SHUT_RD))
	if takenBy(h, w, flowDatagram(1)) {
		t.Error("a socket that is shut for reading still takes datagrams")
	}
}

// Whatever is wrong with a packet, a flow's socket is given the same as one that
// netstack delivers to.
func TestFlowAgainstNetstack(t *testing.T) {
	const seed, rounds = 1, 20000
	r := rand.New(rand.NewPCG(seed, 0))
	h, w, s := flowing(t)
	plain, wire, slow := flowing(t)
	plain.Stack().UDPFlows().Pause()
	before := h.Stack().UDPFlows().Taken()
	for i := range rounds {
		p := flowDatagram(i % 10000)
		for range r.IntN(3) {
			p[r.IntN(len(p))] = byte(r.Uint32())
		}
		switch r.IntN(4) {
		case 0:
			p = summed(p)
			fallthrough
		case 1:
			fixIP(p, 8, p[8])
		case 2:
			p = p[:max(20, len(p)-r.IntN(8))]
		}
		w.inject(p)
		wire.inject(p)
		got, err := s.Recv(100, sockets.MSG_DONTWAIT)
		want, wantErr := slow.Recv(100, sockets.MSG_DONTWAIT)
		if string(got) != string(want) || (err == nil) != (wantErr == nil) {
			t.Fatalf("packet %x gives %q, %v; through netstack %q, %v", p, got, err, want, wantErr)
		}
		drainWire(w, wire)
	}
	if taken := h.Stack().UDPFlows().Taken() - before; taken < rounds/20 {
		t.Errorf("only %d packets went past netstack", taken)
	}
	if got, want := h.Stack().Stats(), plain.Stack().Stats(); got != want {
		t.Errorf("counted %+v, netstack %+v", got, want)
	}
}

// drainWire throws away what hosts have answered.
func drainWire(wires ...*handWire) {
	for _, w := range wires {
		w.ep.Drain()
	}
}
