package link

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// outgoing returns a packet as a stack would send it: headers pushed one by
// one, payload in views of the given size, a partial checksum, mss for GSO.
func outgoing(p testPacket, view int, mss uint16) (*stack.PacketBuffer, []byte, layout) {
	full, l := p.build()
	b := bytes.Clone(full)
	partial(b, l)
	var payload buffer.Buffer
	var views []*buffer.View
	for rest := b[l.payload():]; len(rest) > 0; {
		n := min(view, len(rest))
		v := buffer.NewViewWithData(rest[:n])
		views = append(views, v.Clone()) // a shared view is never filled up
		payload.Append(v)
		rest = rest[n:]
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: l.payload(), Payload: payload,
		OnRelease: func() {
			for _, v := range views {
				v.Release()
			}
		},
	})
	copy(pkt.TransportHeader().Push(l.l4), b[l.transport():])
	copy(pkt.NetworkHeader().Push(l.l3), b[l.l2:])
	pkt.GSOOptions = stack.GSO{Type: stack.GSOTCPv4, NeedsCsum: true, MSS: mss, L3HdrLen: uint16(l.l3), CsumOffset: 16}
	if l.v6 {
		pkt.GSOOptions.Type = stack.GSOTCPv6
	}
	return pkt, full, l
}

// send writes packets to a link and returns the frames that the device gets.
func send(t *testing.T, features uint64, mtu uint32, pkts ...*stack.PacketBuffer) [][]byte {
	t.Helper()
	x, y := newFakePair(features, 1)
	x.strict(t, int(mtu))
	e, err := New(Config{Device: x, MTU: mtu})
	if err != nil {
		t.Fatal(err)
	}
	var list stack.PacketBufferList
	for _, p := range pkts {
		list.PushBack(p)
	}
	if n, err := e.WritePackets(list); n != len(pkts) || err != nil {
		t.Fatalf("WritePackets: %d, %v", n, err)
	}
	list.Reset()
	e.Close()
	e.Wait()
	y.Close()
	return y.queues[0].frames
}

// TestEndpointSends sends large and small packets with and without help and
// puts the payload together again.
func TestEndpointSends(t *testing.T) {
	for name, features := range endpointFeatures {
		for _, p := range []testPacket{
			{payload: 0}, {payload: 1}, {payload: 1460}, {payload: 1461}, {payload: 60000}, {payload: 3000, noDF: true, id: 5},
			{v6: true, payload: 0}, {v6: true, payload: 1440}, {v6: true, payload: 60001, options: 12},
		} {
			for _, view := range []int{17, 1448, 40000} {
				t.Run(fmt.Sprintf("%s/%+v/%d", name, p, view), func(t *testing.T) {
					pkt, full, l := outgoing(p, view, 1400)
					var got []byte
					frames := send(t, features, 1500, pkt)
					for _, f := range frames {
						got = append(got, f[virtioHeaderSize+l.payload():]...)
					}
					if !bytes.Equal(got, full[l.payload():]) {
						t.Errorf("%d frames with %d of %d bytes", len(frames), len(got), p.payload)
					}
				})
			}
		}
	}
}

// TestEndpointMSSUnknown sends what a connection sends before it knows its MSS.
func TestEndpointMSSUnknown(t *testing.T) {
	pkt, full, _ := outgoing(testPacket{}, 1, 0)
	if f := send(t, 0, 1500, pkt); len(f) != 1 || !bytes.Equal(f[0][virtioHeaderSize:], full) {
		t.Errorf("%d frames: %x", len(f), f)
	}
}

func TestEndpointBatches(t *testing.T) {
	var pkts []*stack.PacketBuffer
	for range 3 {
		pkt, _, _ := outgoing(testPacket{payload: 60000}, 1000, 536)
		pkts = append(pkts, pkt)
	}
	if f := send(t, 0, 1500, pkts...); len(f) != 3*112 {
		t.Errorf("%d frames, want 336", len(f))
	}
}

// TestEndpointPeerMSS gives the two ends different MTUs: what the peer's MSS
// forbids must not leave, whatever the own MTU would allow.
func TestEndpointPeerMSS(t *testing.T) {
	for name, features := range endpointFeatures {
		for _, v := range []string{"4", "6"} {
			t.Run(name+"/"+v, func(t *testing.T) {
				t.Parallel()
				x, y := newFakePair(features, 1)
				x.strict(t, 1300)
				y.strict(t, 1300)
				one := newEndpointHost(t, 1, x, Config{MTU: 9000})
				two := newEndpointHost(t, 2, y, Config{MTU: 1300})
				near, far := connect(t, one, two, v)
				transfer(t, near, far, 1<<20)
				transfer(t, far, near, 1<<20)
			})
		}
	}
}

// TestEndpointSetMTU lowers the MTU under established connections.
func TestEndpointSetMTU(t *testing.T) {
	for name, features := range endpointFeatures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x, y := newFakePair(features, 1)
			x.strict(t, 9000)
			one := newEndpointHost(t, 1, x, Config{MTU: 9000})
			two := newEndpointHost(t, 2, y, Config{MTU: 9000})
			near, far := connect(t, one, two, "4")
			transfer(t, near, far, 1<<20)
			one.link.SetMTU(1400)
			x.setMTU(1400)
			transfer(t, near, far, 1<<20)
			if got := one.link.MTU(); got != 1400 {
				t.Errorf("MTU is %d", got)
			}
		})
	}
}

func TestEndpointWriteFaults(t *testing.T) {
	x, _ := newFakePair(0, 1)
	e, err := New(Config{Device: x})
	if err != nil {
		t.Fatal(err)
	}
	write := func() {
		var list stack.PacketBufferList
		for range 3 {
			pkt, _, _ := outgoing(testPacket{payload: 10}, 10, 1400)
			list.PushBack(pkt)
		}
		if n, err := e.WritePackets(list); n != 3 || err != nil {
			t.Errorf("WritePackets: %d, %v", n, err)
		}
		list.Reset()
	}
	x.faults = []error{&os.PathError{Op: "write", Path: "/dev/net/tun", Err: syscall.EIO}, syscall.ENOBUFS}
	write()
	if s := e.Stats(); s.TxErrors != 2 || s.TxPackets != 1 {
		t.Errorf("two of three refused: %+v", s)
	}
	if err := e.Err(); err != nil {
		t.Errorf("Err is %v although the last write worked", err)
	}
	x.faults = []error{nil, syscall.EIO, syscall.EIO, syscall.EIO}
	write()
	if err := e.Err(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Err is %v", err)
	}
	x.faults = []error{os.ErrClosed}
	write()
	if s := e.Stats(); s.TxErrors != 8 {
		t.Errorf("closed: %+v", s)
	}
	e.Close()
	e.Wait()
}
