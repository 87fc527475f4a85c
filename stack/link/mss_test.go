package link

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// An mssWatch looks at all packets of a wire and remembers the maximum segment
// size that each end of a connection has announced.
type mssWatch struct {
	mu       sync.Mutex
	mss      map[string]int // by address and port of who announced it
	segments int            // data segments looked at, those that a device cuts counted once
	last     []byte         // the last of them
	longest  int            // IP packet with data since reset, as it will be after cutting
}

// seen returns how many data segments were looked at, and how many ends of
// connections have announced what they take.
func (w *mssWatch) seen() (segments, ends int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.segments, len(w.mss)
}

// check says what is wrong with a frame: a packet that a device would not send,
// or a segment larger than its receiver takes (RFC 9293, section 3.7.1).
func (w *mssWatch) check(frame []byte, mtu int) error {
	if err := checkFrame(frame, 0, mtu); err != nil {
		return err
	}
	h, b := parseVirtioHeader(frame), frame[virtioHeaderSize:]
	l, ok := parseLayout(b, 0)
	if !ok || l.proto != protoTCP || w.announcement(b, l) {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, to := ends(b, l)
	size := len(b) - l.payload()
	if h.gsoType != virtioGSONone {
		size = int(h.gsoSize)
	}
	if size == 0 {
		return nil
	}
	w.segments++
	w.last = bytes.Clone(b)
	w.longest = max(w.longest, l.payload()+size)
	mss, ok := w.mss[to]
	if most := mss - (l.l4 - header.TCPMinimumSize); ok && size > most {
		return fmt.Errorf("a segment of %d bytes with %d of options, and the receiver's MSS is %d", size, l.l4-header.TCPMinimumSize, mss)
	}
	return nil
}

// announcement notes the MSS in a packet that begins a connection, and reports
// whether it is one.
func (w *mssWatch) announcement(b []byte, l layout) bool {
	t := header.TCP(b[l.transport():])
	if t.Flags()&header.TCPFlagSyn == 0 {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mss == nil {
		w.mss = map[string]int{}
	}
	from, _ := ends(b, l)
	w.mss[from] = int(header.ParseSynOptions(t.Options(), true).MSS)
	return true
}

// ends returns the address and port that a packet comes from and goes to.
func ends(b []byte, l layout) (from, to string) {
	addrs, ports := l.addresses(b), l.ports(b)
	half := len(addrs) / 2
	return string(addrs[:half]) + string(ports[:2]), string(addrs[half:]) + string(ports[2:])
}

// reset begins anew to look for the longest packet, and returns it.
func (w *mssWatch) reset() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.longest
	w.longest = 0
	return n
}

// watched returns two hosts on a wire, and who watches it. The device drops
// every seventh frame that the first sends, as many as lost.
func watched(t *testing.T, features uint64, near, far uint32, lost int) (one, two *host, w *mssWatch) {
	t.Helper()
	x, y := newFakePair(features, 1)
	w = &mssWatch{}
	for _, d := range []*fakeDevice{x, y} {
		d.strict(t, int(min(near, far)))
		d.check = func(frame []byte) error { return w.check(frame, int(d.mtu.Load())) }
	}
	n := 0
	x.lose = func() bool {
		n++
		return lost > 0 && n%7 == 0 && n/7 <= lost
	}
	one = newEndpointHost(t, 1, x, Config{MTU: near})
	two = newEndpointHost(t, 2, y, Config{MTU: far})
	for _, h := range []*host{one, two} {
		// Not RACK, which may leave a connection without a timer, and no long waits.
		recovery, most := tcpip.TCPRecovery(0), tcpip.TCPMaxRTOOption(2e9)
		h.SetTransportProtocolOption(tcp.ProtocolNumber, &recovery)
		h.SetTransportProtocolOption(tcp.ProtocolNumber, &most)
	}
	return one, two, w
}

// TestSegmentsFitPeer sends to peers with a small MSS over every kind of device,
// with packets lost and sent again.
func TestSegmentsFitPeer(t *testing.T) {
	for name, features := range endpointFeatures {
		for _, v := range []string{"4", "6"} {
			for _, mss := range []uint32{536, 1200, 1460} {
				t.Run(fmt.Sprintf("%s/%s/%d", name, v, mss), func(t *testing.T) {
					t.Parallel()
					mtu := mss + header.IPv4MinimumSize + header.TCPMinimumSize
					if v == "6" {
						mtu = max(mss+header.IPv6MinimumSize+header.TCPMinimumSize, header.IPv6MinimumMTU)
					}
					one, two, w := watched(t, features, 65535, mtu, 5)
					near, far := connect(t, one, two, v)
					transfer(t, near, far, 300<<10)
					transfer(t, far, near, 300<<10)
					if one.Stats().TCP.Retransmits.Value() == 0 {
						t.Error("nothing was sent again")
					}
					if segments, ends := w.seen(); segments == 0 || ends == 0 {
						t.Error("no segment was seen, or no MSS")
					}
				})
			}
		}
	}
}

// TestPathMTUShrinks has a router say, in the middle of a connection, that
// packets are too large. From then on none is, those sent again included.
func TestPathMTUShrinks(t *testing.T) {
	const mtu = 1300
	for name, features := range endpointFeatures {
		for _, v := range []string{"4", "6"} {
			t.Run(name+"/"+v, func(t *testing.T) {
				t.Parallel()
				one, two, w := watched(t, features, 9000, 9000, 0)
				near, far := connect(t, one, two, v)
				transfer(t, near, far, 1<<20)
				if n := w.reset(); n <= mtu {
					t.Fatalf("packets have %d bytes to begin with", n)
				}
				w.mu.Lock()
				message := tooBig(w.last, mtu)
				w.mu.Unlock()
				device := one.link.(*Endpoint).device.(*fakeDevice)
				device.injectAll(plain(message))
				shrunk := false
				for range 1000 { // the message is on its way to the connection
					transfer(t, near, far, 20<<10)
					if shrunk = w.reset() <= mtu; shrunk {
						break
					}
				}
				if !shrunk {
					t.Fatal("the connection does not heed the message")
				}
				device.setMTU(mtu)
				transfer(t, near, far, 1<<20)
			})
		}
	}
}

// tooBig is a router's message that a packet is larger than mtu (RFC 1191,
// RFC 4443).
func tooBig(packet []byte, mtu uint16) []byte {
	l, _ := parseLayout(packet, 0)
	if !l.v6 {
		b := make([]byte, 20+8, 20+8+l.l3+8)
		b = append(b, packet[:l.l3+8]...)
		icmp := header.ICMPv4(b[20:])
		icmp.SetType(header.ICMPv4DstUnreachable)
		icmp.SetCode(header.ICMPv4FragmentationNeeded)
		icmp.SetMTU(mtu)
		icmp.SetChecksum(header.ICMPv4Checksum(icmp, 0))
		ip := header.IPv4(b)
		ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(b)), TTL: 64, Protocol: uint8(header.ICMPv4ProtocolNumber),
			SrcAddr: tcpip.AddrFrom4([4]byte{10, 0, 0, 99}), DstAddr: header.IPv4(packet).SourceAddress()})
		ip.SetChecksum(^ip.CalculateChecksum())
		return b
	}
	b := make([]byte, 40+8, header.IPv6MinimumMTU)
	b = append(b, packet[:min(len(packet), header.IPv6MinimumMTU-48)]...)
	icmp := header.ICMPv6(b[40:])
	icmp.SetType(header.ICMPv6PacketTooBig)
	icmp.SetMTU(uint32(mtu))
	src, dst := tcpip.AddrFrom16([16]byte{0: 0xfd, 15: 99}), header.IPv6(packet).SourceAddress()
	header.IPv6(b).Encode(&header.IPv6Fields{PayloadLength: uint16(len(b) - 40), TransportProtocol: header.ICMPv6ProtocolNumber,
		HopLimit: 64, SrcAddr: src, DstAddr: dst})
	sum := header.PseudoHeaderChecksum(header.ICMPv6ProtocolNumber, src, dst, uint16(len(b)-40))
	icmp.SetChecksum(0)
	checksum.Put(b[42:], ^checksum.Checksum(b[40:], sum))
	return b
}

// TestLinkMTUShrinks lowers the MTU of the sender's own link under connections,
// while packets are lost.
func TestLinkMTUShrinks(t *testing.T) {
	for name, features := range endpointFeatures {
		for _, v := range []string{"4", "6"} {
			t.Run(name+"/"+v, func(t *testing.T) {
				t.Parallel()
				one, two, _ := watched(t, features, 9000, 9000, 5)
				near, far := connect(t, one, two, v)
				transfer(t, near, far, 100<<10)
				one.link.SetMTU(1300)
				settle(one.link.(*Endpoint)) // what is sent again was cut to the old one, if it is being written
				one.link.(*Endpoint).device.(*fakeDevice).setMTU(1300)
				transfer(t, near, far, 1<<20)
			})
		}
	}
}

// TestPipeSegmentsFitPeer looks at what crosses a pipe to a peer with a small
// MSS that wants packets in wire form.
func TestPipeSegmentsFitPeer(t *testing.T) {
	for name, cfg := range pipeConfigs {
		cfg.MTU = 9000
		for _, v := range []string{"4", "6"} {
			t.Run(name+"/"+v, func(t *testing.T) {
				t.Parallel()
				a, b := NewPipe(cfg)
				b.SetMTU(1300)
				b.RequireWireForm()
				w := &mssWatch{}
				watching := &watchingLink{t: t, w: w}
				watching.Init(b, watching)
				one, two := newHost(t, 1, a), newHost(t, 2, watching)
				near, far := connect(t, one, two, v)
				transfer(t, near, far, 1<<20)
				if segments, ends := w.seen(); segments == 0 || ends != 2 {
					t.Errorf("%d segments were seen, of %d ends of connections", segments, ends)
				}
			})
		}
	}
}

// A watchingLink checks what the link below hands up.
type watchingLink struct {
	nestedLink
	t *testing.T
	w *mssWatch
}

func (l *watchingLink) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	for _, pkt := range pkts.AsSlice() {
		v := pkt.ToView()
		if layout, ok := parseLayout(v.AsSlice(), 0); ok && layout.proto == protoTCP {
			l.w.announcement(v.AsSlice(), layout)
		}
		v.Release()
	}
	return l.nestedLink.WritePackets(pkts)
}

func (l *watchingLink) DeliverNetworkPacket(proto tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	v := pkt.ToView()
	l.check(v.AsSlice())
	v.Release()
	l.nestedLink.DeliverNetworkPacket(proto, pkt)
}

func (l *watchingLink) check(b []byte) {
	if err := l.w.check(framed(virtioHeader{}, b), maxMTU); err != nil {
		l.t.Error(err)
	}
}
