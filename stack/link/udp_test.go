package link

import (
	"bytes"
	"fmt"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// outgoingDatagrams returns a packet of several datagrams of size bytes as package
// sockets sends it.
func outgoingDatagrams(p testPacket, size uint16) (*stack.PacketBuffer, []byte, layout) {
	p.udp = true
	pkt, full, l := outgoing(p, 40000, size)
	pkt.TransportProtocolNumber = header.UDPProtocolNumber
	pkt.GSOOptions.CsumOffset = uint16(l.checksumOffset())
	return pkt, full, l
}

// A packet of several datagrams leaves whole where the device cuts it, and else
// as datagrams of that size, the last one shorter.
func TestEndpointSendsDatagrams(t *testing.T) {
	for name, features := range map[string]uint64{
		"none": 0, "checksums": FeatureCSUM, "USO without checksums": FeatureHostUSO,
		"TSO": FeatureCSUM | FeatureHostTSO4 | FeatureHostTSO6, "USO": allOffloads | FeatureHostUSO,
	} {
		for _, p := range []testPacket{
			{payload: 2000}, {payload: 60001}, {payload: 1400}, {payload: 1}, {payload: 3000, noDF: true, id: 5},
			{v6: true, payload: 2000}, {v6: true, payload: 60001},
		} {
			t.Run(fmt.Sprintf("%s/%+v", name, p), func(t *testing.T) {
				const size = 1400
				pkt, full, l := outgoingDatagrams(p, size)
				frames := send(t, features, 1500, pkt)
				if name == "USO" && len(frames) != 1 {
					t.Errorf("%d frames, want the device to cut one", len(frames))
				}
				var got []byte
				for i, f := range frames {
					payload := f[virtioHeaderSize+l.payload():]
					if len(frames) > 1 && i < len(frames)-1 && len(payload) != size {
						t.Errorf("datagram %d has %d bytes", i, len(payload))
					}
					got = append(got, payload...)
				}
				if !bytes.Equal(got, full[l.payload():]) {
					t.Errorf("%d frames with %d of %d bytes", len(frames), len(got), p.payload)
				}
			})
		}
	}
}

// The size of datagrams is who sent them's to choose: unlike a connection's
// segments they do not shrink with the MTU.
func TestDatagramsKeepTheirSize(t *testing.T) {
	pkt, _, l := outgoingDatagrams(testPacket{payload: 2800}, 1400)
	defer pkt.DecRef()
	if got := sendSize(l, pkt.GSOOptions.MSS, 576); got != 1400 {
		t.Errorf("datagrams of 1400 bytes leave as ones of %d", got)
	}
}

// Wrappers say what the link below them takes, and Impair, which has to see each
// packet, takes single datagrams alone.
func TestSegmentsUDP(t *testing.T) {
	x, _ := newFakePair(0, 1)
	e, err := New(Config{Device: x})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	i, err := NewImpair(e, ImpairConfig{})
	if err != nil {
		t.Fatal(err)
	}
	f := NewCaptureFile(new(bytes.Buffer), CaptureConfig{})
	defer f.Close()
	for _, c := range []struct {
		link stack.LinkEndpoint
		want bool
	}{{e, true}, {i, false}, {NewCapture(e, f, "x"), true}, {NewCapture(i, f, "y"), false}, {NewLoopback(), false}} {
		if got := segmentsUDP(c.link); got != c.want {
			t.Errorf("%T: %v, want %v", c.link, got, c.want)
		}
	}
}

// A pipe hands each datagram over by itself, and none that is larger than its MTU.
func TestPipeCutsDatagrams(t *testing.T) {
	for _, c := range []struct {
		size uint16
		want int
	}{{1000, 3}, {1473, 0}} {
		a, b := NewPipe(PipeConfig{GSOMaxSize: MaxGSOSize})
		far := newSink(b)
		pkt, full, l := outgoingDatagrams(testPacket{payload: 2500}, c.size)
		last, _ := testPacket{udp: true, payload: 9}.build()
		var list stack.PacketBufferList
		list.PushBack(pkt)
		list.PushBack(stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(last)}))
		if n, err := a.WritePackets(list); n != 2 || err != nil {
			t.Errorf("WritePackets: %d, %v", n, err)
		}
		list.Reset()
		var got []byte
		arrived := far.upTo(t, last)
		for _, p := range arrived {
			got = append(got, p.bytes[l.payload():]...)
		}
		if len(arrived) != c.want || c.want > 0 && !bytes.Equal(got, full[l.payload():]) {
			t.Errorf("%d packets with %d bytes arrived, want %d with %d", len(arrived), len(got), c.want, len(full)-l.payload())
		}
		if s := b.Stats(); int(s.Oversize) != min(1, 3-c.want) {
			t.Errorf("datagrams of %d bytes: %+v", c.size, s)
		}
		for _, end := range []*PipeEnd{a, b} {
			end.Close()
			end.Wait()
		}
	}
}
