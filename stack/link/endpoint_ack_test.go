package link

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A reply is a packet of the connection of testPacket in the other direction.
type reply struct {
	v6      bool
	ahead   int // of the acknowledgement that is waited for, in bytes
	flags   header.TCPFlags
	payload int
	options int    // bytes of TCP options
	port    uint16 // of the peer; 0: testPacket's
}

// packet returns what a stack hands to a link, in answer to a question of size
// bytes.
func (r reply) packet(size int) *stack.PacketBuffer {
	var first uint32 = 0xffffff00 // testPacket's sequence number
	if r.port == 0 {
		r.port = 1000
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: header.IPv6MinimumSize + header.TCPHeaderMaximumSize,
		Payload:            buffer.MakeWithData(make([]byte, r.payload)),
	})
	pkt.TransportProtocolNumber = header.TCPProtocolNumber
	pkt.GSOOptions = stack.GSO{Type: stack.GSOTCPv4, NeedsCsum: true, MSS: 1448, CsumOffset: header.TCPChecksumOffset} // as netstack has it
	if r.v6 {
		pkt.GSOOptions.Type = stack.GSOTCPv6
	}
	length := header.TCPMinimumSize + r.options
	header.TCP(pkt.TransportHeader().Push(length)).Encode(&header.TCPFields{
		SrcPort: 2000, DstPort: r.port, AckNum: first + uint32(size+r.ahead), DataOffset: uint8(length), Flags: r.flags,
	})
	if r.v6 {
		header.IPv6(pkt.NetworkHeader().Push(header.IPv6MinimumSize)).Encode(&header.IPv6Fields{
			PayloadLength: uint16(length + r.payload), TransportProtocol: header.TCPProtocolNumber,
			SrcAddr: testDst6, DstAddr: testSrc6,
		})
		return pkt
	}
	header.IPv4(pkt.NetworkHeader().Push(header.IPv4MinimumSize)).Encode(&header.IPv4Fields{
		TotalLength: uint16(header.IPv4MinimumSize + length + r.payload), Protocol: uint8(header.TCPProtocolNumber),
		SrcAddr: testDst4, DstAddr: testSrc4,
	})
	return pkt
}

// An answerer is a stack that answers the first packet that it gets, while it gets
// it, as netstack would soon after.
type answerer struct {
	sink
	e       *Endpoint
	replies []*stack.PacketBuffer
	wrote   []int // how many frames the device had after each
	far     *fakeDevice
}

func (a *answerer) DeliverNetworkPacket(proto tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	for _, r := range a.replies {
		var list stack.PacketBufferList
		list.PushBack(r)
		a.e.WritePackets(list)
		list.Reset()
		a.wrote = append(a.wrote, a.far.waiting())
	}
	a.replies = nil
	a.sink.DeliverNetworkPacket(proto, pkt)
}

// waiting is how many frames nobody has read.
func (d *fakeDevice) waiting() int {
	w := d.queues[0]
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.frames)
}

// TestAckIsSpared counts the packets that leave in answer to one that arrived:
// after each reply, and in the end.
func TestAckIsSpared(t *testing.T) {
	const size = 10
	const ack, psh, fin, rst = header.TCPFlagAck, header.TCPFlagPsh, header.TCPFlagFin, header.TCPFlagRst
	pure, answer := reply{flags: ack}, reply{flags: ack | psh, payload: 5}
	question := testPacket{payload: size}
	for _, test := range []struct {
		name     string
		question testPacket
		replies  []reply
		want     string // frames that the device has after each reply; after the slash, in the end
		spared   uint64
	}{
		{"an answer replaces it", question, []reply{pure, answer}, "0 1/1", 1},
		{"it leaves without an answer", question, []reply{pure}, "0/1", 0},
		{"with timestamps too", question, []reply{{flags: ack, options: 12}, answer}, "0 1/1", 1},
		{"an answer alone", question, []reply{answer}, "1/1", 0},
		{"a second answer is an answer", question, []reply{pure, answer, answer}, "0 1 2/2", 1},
		{"after the answer nothing is kept", question, []reply{answer, pure}, "1 2/2", 0},
		{"the end of the stream replaces it", question, []reply{pure, {flags: ack | fin}}, "0 1/1", 1},
		{"a reset replaces it", question, []reply{pure, {flags: rst}}, "0 1/1", 1},
		{"a later one replaces it", question, []reply{pure, {flags: ack, ahead: 3}}, "0 1/1", 1},
		{"a newer window replaces it", question, []reply{pure, pure}, "0 0/1", 1},
		{"one that tells of a gap leaves at once", question, []reply{{flags: ack, ahead: -1}, pure, answer}, "1 1 2/2", 1},
		{"selective ones leave at once", question, []reply{{flags: ack, options: 24}, answer}, "1 2/2", 0},
		{"another connection's leaves at once", question, []reply{{flags: ack, port: 9}, pure, answer}, "1 1 2/2", 1},
		{"another connection's answer replaces nothing", question, []reply{pure, {flags: ack, port: 9, payload: 5}}, "0 1/2", 0},
		{"IPv6", testPacket{v6: true, payload: size}, []reply{{v6: true, flags: ack}, {v6: true, flags: ack, payload: 1}}, "0 1/1", 1},
		{"the end of the peer's stream", testPacket{payload: size, flags: fin}, []reply{{flags: ack, ahead: 1}, {flags: ack | fin, ahead: 1}}, "0 1/1", 1},
		{"bulk is no question", testPacket{payload: answerable}, []reply{pure, answer}, "1 2/2", 0},
		{"an acknowledgement is no question", testPacket{}, []reply{pure, answer}, "1 2/2", 0},
		{"a SYN is no question", testPacket{payload: size, flags: header.TCPFlagSyn}, []reply{pure, answer}, "1 2/2", 0},
		{"a datagram is no question", testPacket{payload: size, udp: true}, []reply{pure, answer}, "1 2/2", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, e, s := newAnswerer(t, 1)
			b, _ := test.question.build()
			for _, r := range test.replies {
				s.replies = append(s.replies, r.packet(test.question.payload))
			}
			d.inject(0, [][]byte{framed(virtioHeader{}, b)})
			s.upTo(t, b)
			last := lastPacket()
			d.inject(0, [][]byte{framed(virtioHeader{}, last)})
			s.upTo(t, last) // so the reader is done with the first
			got := fmt.Sprintf("%s/%d", strings.Trim(fmt.Sprint(s.wrote), "[]"), s.far.waiting())
			if spared := e.Stats().TxSpared; got != test.want || spared != test.spared {
				t.Errorf("%s packets, %d spared; want %s, %d", got, spared, test.want, test.spared)
			}
		})
	}
}

func newAnswerer(t *testing.T, queues int) (*fakeDevice, *Endpoint, *answerer) {
	d, far := newFakePair(0, queues)
	e, err := New(Config{Device: d, Queues: queues})
	if err != nil {
		t.Fatal(err)
	}
	s := &answerer{sink: sink{link: e, arrived: make(chan struct{}, 1)}, e: e, far: far}
	e.Attach(s)
	t.Cleanup(func() { e.Close(); e.Wait() })
	return d, e, s
}

// TestAckOfABatchLeavesAtOnce has several small segments come together, which is
// no question, and a link of two queues, where nothing is kept.
func TestAckOfABatchLeavesAtOnce(t *testing.T) {
	b, _ := testPacket{payload: 10}.build()
	frame := framed(virtioHeader{}, b)
	last := lastPacket()
	for queues, frames := range map[int][][]byte{1: {frame, frame}, 2: {frame}} {
		d, _, s := newAnswerer(t, queues)
		s.replies = []*stack.PacketBuffer{reply{flags: header.TCPFlagAck}.packet(10)}
		d.injectAll(frames)
		d.inject(0, [][]byte{framed(virtioHeader{}, last)})
		s.upTo(t, last)
		if s.wrote[0] != 1 {
			t.Errorf("%d queues, %d segments: the acknowledgement did not leave at once", queues, len(frames))
		}
	}
}

// TestSparingAcksBetweenStacks has questions and answers of two stacks, and counts
// what the one that answers spares. How many depends on who runs when; none would
// mean that netstack's acknowledgements are not what they are taken for.
func TestSparingAcksBetweenStacks(t *testing.T) {
	for _, v := range []string{"4", "6"} {
		t.Run("IPv"+v, func(t *testing.T) {
			x, y := newFakePair(allOffloads, 1)
			x.strict(t, DefaultMTU)
			e, err := New(Config{Device: x})
			if err != nil {
				t.Fatal(err)
			}
			peer, err := New(Config{Device: y})
			if err != nil {
				t.Fatal(err)
			}
			near, far := connect(t, newHost(t, 1, e), newHost(t, 2, peer), v)
			b := make([]byte, 1)
			deadline := time.Now().Add(testTimeout)
			for e.Stats().TxSpared == 0 {
				if _, err := far.Write(b); err != nil {
					t.Fatal(err)
				}
				for _, step := range []func([]byte) (int, error){near.Read, near.Write, far.Read} {
					if _, err := step(b); err != nil {
						t.Fatal(err)
					}
				}
				if time.Now().After(deadline) {
					t.Fatal("no acknowledgement was spared")
				}
			}
		})
	}
}
