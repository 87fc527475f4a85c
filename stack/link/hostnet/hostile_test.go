package hostnet

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/sockets"
)

// nobody is a stack's place at the link that swallows what comes.
type nobody struct{}

func (nobody) DeliverNetworkPacket(tcpip.NetworkProtocolNumber, *gstack.PacketBuffer) {}
func (nobody) DeliverLinkPacket(tcpip.NetworkProtocolNumber, *gstack.PacketBuffer)    {}

// inject sends bytes as a packet of the stack's.
func inject(u *Uplink, p []byte) {
	if len(p) == 0 {
		return
	}
	pkt := gstack.NewPacketBuffer(gstack.PacketBufferOptions{Payload: buffer.MakeWithData(p)})
	defer pkt.DecRef()
	pkt.NetworkProtocolNumber = header.IPv4ProtocolNumber
	if p[0]>>4 == header.IPv6Version {
		pkt.NetworkProtocolNumber = header.IPv6ProtocolNumber
	}
	var list gstack.PacketBufferList
	list.PushBack(pkt)
	u.near.WritePackets(list)
}

// nowhere refuses every socket, so that no test packet leaves.
var nowhere = Config{
	Nameservers: []netip.AddrPort{},
	Control:     func(string, string, syscall.RawConn) error { return syscall.ECONNREFUSED },
}

// packet4 and packet6 return a packet of the stack's around a transport header
// with its payload.
func packet4(dst string, proto tcpip.TransportProtocolNumber, b []byte) []byte {
	p := make([]byte, header.IPv4MinimumSize, header.IPv4MinimumSize+len(b))
	header.IPv4(p).Encode(&header.IPv4Fields{TotalLength: uint16(len(p) + len(b)), TTL: 64, Protocol: uint8(proto),
		SrcAddr: addressOf(defaultAddr4.Addr()), DstAddr: addressOf(netip.MustParseAddr(dst))})
	return repair(append(p, b...))
}

func packet6(dst string, proto tcpip.TransportProtocolNumber, b []byte) []byte {
	p := make([]byte, header.IPv6MinimumSize, header.IPv6MinimumSize+len(b))
	header.IPv6(p).Encode(&header.IPv6Fields{PayloadLength: uint16(len(b)), HopLimit: 64, TransportProtocol: proto,
		SrcAddr: addressOf(defaultAddr6.Addr()), DstAddr: addressOf(netip.MustParseAddr(dst))})
	return repair(append(p, b...))
}

func syn(port uint16) []byte {
	b := make([]byte, header.TCPMinimumSize)
	header.TCP(b).Encode(&header.TCPFields{SrcPort: port, DstPort: 80, SeqNum: 1, DataOffset: header.TCPMinimumSize,
		Flags: header.TCPFlagSyn, WindowSize: 65535})
	return b
}

func udpTo(port uint16) []byte {
	b := make([]byte, header.UDPMinimumSize+20)
	header.UDP(b).Encode(&header.UDPFields{SrcPort: 4000, DstPort: port, Length: uint16(len(b))})
	return b
}

func echo(typ byte) []byte { return []byte{typ, 0, 0, 0, 0, 7, 0, 1, 'p', 'i', 'n', 'g'} }

// samples are packets of every kind that the uplink takes.
func samples() [][]byte {
	var list [][]byte
	for _, dst := range []string{"192.0.2.1", "10.0.2.2", "10.0.2.3", "10.0.2.77", "224.0.0.1", "169.254.169.254"} {
		list = append(list, packet4(dst, header.TCPProtocolNumber, syn(4000)), packet4(dst, header.UDPProtocolNumber, udpTo(53)),
			packet4(dst, header.ICMPv4ProtocolNumber, echo(8)))
	}
	for _, dst := range []string{"2001:db8::1", "fd00::2", "fd00::3", "fd00::77", "ff02::1", "fe80::1", "::ffff:127.0.0.1", "::1"} {
		list = append(list, packet6(dst, header.TCPProtocolNumber, syn(4000)), packet6(dst, header.UDPProtocolNumber, udpTo(53)),
			packet6(dst, header.ICMPv6ProtocolNumber, echo(128)))
	}
	return list
}

// repair gives a packet right checksums as far as its headers make sense, so that
// what is wrong with it gets past the first check.
func repair(p []byte) []byte {
	switch {
	case len(p) >= header.IPv4MinimumSize && p[0]>>4 == header.IPv4Version:
		ip := header.IPv4(p)
		if size := int(ip.HeaderLength()); size >= header.IPv4MinimumSize && size <= len(p) {
			ip.SetChecksum(0)
			ip.SetChecksum(^ip.CalculateChecksum())
			repairTransport(ip.TransportProtocol(), ip.SourceAddress(), ip.DestinationAddress(), p[size:])
		}
	case len(p) >= header.IPv6MinimumSize && p[0]>>4 == header.IPv6Version:
		ip := header.IPv6(p)
		repairTransport(tcpip.TransportProtocolNumber(ip.NextHeader()), ip.SourceAddress(), ip.DestinationAddress(), p[header.IPv6MinimumSize:])
	}
	return p
}

func repairTransport(proto tcpip.TransportProtocolNumber, src, dst tcpip.Address, b []byte) {
	at := map[tcpip.TransportProtocolNumber]int{
		header.TCPProtocolNumber: header.TCPChecksumOffset, header.UDPProtocolNumber: 6,
		header.ICMPv4ProtocolNumber: 2, header.ICMPv6ProtocolNumber: 2,
	}[proto]
	if at == 0 || len(b) < at+2 {
		return
	}
	sum := header.PseudoHeaderChecksum(proto, src, dst, uint16(len(b)))
	if proto == header.ICMPv4ProtocolNumber {
		sum = 0
	}
	binary.BigEndian.PutUint16(b[at:], 0)
	binary.BigEndian.PutUint16(b[at:], ^checksum.Checksum(b, sum))
}

// deaf returns an uplink without a stack.
func deaf(t testing.TB, cfg Config) *Uplink {
	t.Helper()
	u, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	u.near.Attach(nobody{})
	t.Cleanup(func() { u.Close() })
	return u
}

// drained waits until the gateway has had everything.
func drained(t testing.TB, u *Uplink, sent uint64) {
	eventually(t, "the gateway has had every packet", func() bool {
		s := u.far.Stats()
		return s.Delivered+s.QueueFull+s.Oversize+s.Detached >= sent
	})
}

// TestHostilePackets mutates packets of every kind. The uplink must survive, and
// keep no more than its limits say.
func TestHostilePackets(t *testing.T) {
	const packets = 20000
	cfg := nowhere
	cfg.MaxDials, cfg.MaxFlows = 16, 16
	u := deaf(t, cfg)
	const seed = 4
	r := rand.New(rand.NewPCG(seed, seed))
	list := samples()
	for range packets {
		p := append([]byte(nil), list[r.IntN(len(list))]...)
		for range r.IntN(4) {
			p[r.IntN(len(p))] = byte(r.Uint32())
		}
		if r.IntN(4) == 0 {
			p = p[:1+r.IntN(len(p))]
		}
		if r.IntN(4) != 0 {
			repair(p)
		}
		inject(u, p)
	}
	drained(t, u, packets)
	if s := u.Stats(); s.Dials > cfg.MaxDials || s.Flows > cfg.MaxFlows {
		t.Errorf("%d dials and %d flows are beyond their limits", s.Dials, s.Flows)
	}
}

func FuzzPackets(f *testing.F) {
	for _, p := range samples() {
		f.Add(p)
	}
	u := deaf(f, nowhere)
	f.Fuzz(func(t *testing.T, p []byte) {
		inject(u, p)
		inject(u, repair(append([]byte(nil), p...)))
	})
}

// TestSYNFlood asks for many connections that never come to be. They are bounded,
// and one that is meant gets through afterwards.
func TestSYNFlood(t *testing.T) {
	const flood = 20000
	var before, after runtime.MemStats
	block := make(chan struct{})
	u, err := New(Config{MaxDials: 64, HostLoopback: AccessAllowed, Policy: func(ctx context.Context, _ string, _ netip.AddrPort) error {
		select {
		case <-block:
		case <-ctx.Done():
		}
		return errors.New("nothing may leave")
	}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := stack.New(stack.Config{NICs: []stack.NIC{{Link: u.Link(), Addrs: u.Addrs()}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	h, err := sockets.New(sockets.Config{Stack: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	runtime.ReadMemStats(&before)
	for i := range flood {
		inject(u, packet4("192.0.2.1", header.TCPProtocolNumber, syn(uint16(i))))
	}
	drained(t, u, flood)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("%d SYNs cost %d bytes", flood, grown)
	}
	if n := u.Stats().Dials; n > 64 {
		t.Errorf("%d connections are being made, more than MaxDials", n)
	}
	close(block)
	join(t, h, "127.0.0.1", "10.0.2.2")
}

// TestGivenUpHandshake: a program that asks and is gone when the answer comes
// leaves nothing behind.
func TestGivenUpHandshake(t *testing.T) {
	l, _ := listen(t, "127.0.0.1", "127.0.0.1")
	u := deaf(t, open)
	b := syn(4000)
	header.TCP(b).SetDestinationPort(l.Addr().(interface{ AddrPort() netip.AddrPort }).AddrPort().Port())
	inject(u, packet4("10.0.2.2", header.TCPProtocolNumber, b))
	outer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer outer.Close()
	u.Close() // while the handshake waits for the stack
	// A reset, or a FIN where Close came before the connecting socket had noticed.
	outer.SetDeadline(time.Now().Add(patience))
	if _, err := outer.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) && err != io.EOF {
		t.Errorf("the machine's end read %v, want ECONNRESET", err)
	}
}
