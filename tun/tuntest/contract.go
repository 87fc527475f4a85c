package tuntest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/userstack/userstack/tun"
)

// patience is how long one step of the contract may take before the test fails.
const patience = 5 * time.Second

// MakeDevice makes a TUN device with one queue and an MTU of at least 1500 for
// one test, and a UDP socket bound to Far on its far side, where Near is on the
// link. The test closes both.
type MakeDevice func(t *testing.T) (tun.Device, FarConn)

// TestDevice tests that a device does what tun.Device says.
func TestDevice(t *testing.T, open MakeDevice) {
	for _, c := range []struct {
		name string
		test func(*contract)
	}{
		{"Describes", (*contract).describes},
		{"Reads", (*contract).reads},
		{"ReadsBatch", (*contract).readsBatch},
		{"Writes", (*contract).writes},
		{"WritesBatch", (*contract).writesBatch},
		{"BothWaysAtOnce", (*contract).bothWaysAtOnce},
		{"RefusesNonsense", (*contract).refusesNonsense},
		{"RefusesForeignHeader", (*contract).refusesForeignHeader},
		{"CloseEndsReads", (*contract).closeEndsReads},
	} {
		t.Run(c.name, func(t *testing.T) {
			dev, far := open(t)
			defer far.Close()
			defer dev.Close()
			c.test(&contract{t, dev, far})
		})
	}
}

type contract struct {
	*testing.T
	dev tun.Device
	far FarConn
}

// layouts are ways to cut a packet's buffer into slices. A negative length
// stands for all the rest.
var layouts = [][]int{
	{-1},
	{tun.HeaderSize, -1},
	{tun.HeaderSize, 20, 8, -1},
	{3, 0, 4, 5, 1, -1},
	{0, tun.HeaderSize + 20, -1, 0},
}

func cut(data []byte, layout []int) [][]byte {
	var parts [][]byte
	for _, n := range layout {
		if n < 0 {
			n = len(data)
		}
		n = min(n, len(data))
		parts, data = append(parts, data[:n:n]), data[n:]
	}
	return parts
}

// payload is the i-th test payload: recognizable, of differing lengths, and
// small enough for an MTU of 1500.
func payload(i int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%d.", i), 1+i%32*7)
}

// within fails the test when f takes too long, after closing both sides.
func (c *contract) within(what string, f func()) {
	c.Helper()
	timer := time.AfterFunc(patience, func() {
		c.Errorf("%s: still waiting after %v", what, patience)
		c.dev.Close()
		c.far.Close()
	})
	defer timer.Stop()
	f()
}

// receive reads the next datagrams from the device, at most max and at least
// one, passing over what a kernel sends of its own accord.
func (c *contract) receive(layout []int, max int) [][]byte {
	c.Helper()
	bufs, packets, sizes := make([][]byte, max), make([][][]byte, max), make([]int, max)
	for i := range packets {
		bufs[i] = bytes.Repeat([]byte{0xee}, tun.MaxPacketSize)
		packets[i] = cut(bufs[i], layout)
	}
	for {
		n, err := c.dev.Read(0, packets, sizes)
		if err != nil {
			c.Fatal("Read:", err)
		}
		if n < 1 || n > max {
			c.Fatalf("Read returned %d packets of %d", n, max)
		}
		var got [][]byte
		for i := range n {
			data := bufs[i][:sizes[i]]
			if !legal(data, c.dev.Features(), guestBits) {
				c.Fatalf("header % x is not legal with features %#x", data[:tun.HeaderSize], c.dev.Features())
			}
			if p, ok := Payload(data, Far, Near); ok {
				got = append(got, p)
			}
		}
		if len(got) > 0 {
			return got
		}
	}
}

func (c *contract) mustSend(i int) {
	c.Helper()
	if _, err := c.far.WriteTo(payload(i), net.UDPAddrFromAddrPort(Near)); err != nil {
		c.Fatal("far side sends:", err)
	}
}

// arrives checks that the far side receives a payload. It may be called from
// any goroutine.
func (c *contract) arrives(i int) bool {
	c.Helper()
	buf := make([]byte, 2048)
	n, _, err := c.far.ReadFrom(buf)
	if err != nil {
		c.Error("far side receives:", err)
	} else if !bytes.Equal(buf[:n], payload(i)) {
		c.Errorf("far side received %.20q…, want %.20q…", buf[:n], payload(i))
		return false
	}
	return err == nil
}

func (c *contract) describes() {
	if c.dev.Name() == "" || c.dev.Queues() != 1 {
		c.Errorf("name %q, %d queues", c.dev.Name(), c.dev.Queues())
	}
	if mtu, err := c.dev.MTU(); err != nil || mtu < 1500 {
		c.Errorf("MTU %d, %v", mtu, err)
	}
}

func (c *contract) reads() {
	c.within("reading", func() {
		for i, layout := range layouts {
			c.mustSend(i)
			if got := c.receive(layout, 1); !bytes.Equal(got[0], payload(i)) {
				c.Errorf("layout %v: read %.20q…, want %.20q…", layout, got[0], payload(i))
			}
		}
	})
}

func (c *contract) readsBatch() {
	const count = 20
	for i := range count {
		c.mustSend(i)
	}
	c.within("reading in batches", func() {
		for i := 0; i < count; {
			for _, got := range c.receive([]int{tun.HeaderSize, -1}, 8) {
				if !bytes.Equal(got, payload(i)) {
					c.Fatalf("packet %d: read %.20q…", i, got)
				}
				i++
			}
		}
	})
}

func (c *contract) writes() {
	c.within("writing", func() {
		for i, layout := range layouts {
			n, err := c.dev.Write(0, [][][]byte{cut(Datagram(Near, Far, payload(i)), layout)})
			if n != 1 || err != nil {
				c.Fatalf("layout %v: Write = %d, %v", layout, n, err)
			}
			c.arrives(i)
		}
	})
}

func (c *contract) writesBatch() {
	var packets [][][]byte
	for i := range 20 {
		packets = append(packets, cut(Datagram(Near, Far, payload(i)), layouts[i%len(layouts)]))
	}
	c.within("writing in batches", func() {
		if n, err := c.dev.Write(0, packets); n != len(packets) || err != nil {
			c.Fatalf("Write = %d, %v", n, err)
		}
		for i := range packets {
			c.arrives(i)
		}
	})
}

func (c *contract) bothWaysAtOnce() {
	const count = 100
	c.within("both ways", func() {
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			for i := range count {
				if _, err := c.dev.Write(0, [][][]byte{{Datagram(Near, Far, payload(i))}}); err != nil {
					c.Error("Write:", err)
				}
				if !c.arrives(i) {
					return
				}
			}
		})
		for i := range count {
			c.mustSend(i)
			if got := c.receive(layouts[0], 1); !bytes.Equal(got[0], payload(i)) {
				c.Fatalf("packet %d: read %.20q…", i, got[0])
			}
		}
	})
}

func (c *contract) refusesNonsense() {
	good, sizes := [][][]byte{{make([]byte, 100)}}, make([]int, 1)
	small := [][][]byte{{make([]byte, tun.HeaderSize)}}
	for _, try := range []struct {
		name string
		call func() (int, error)
	}{
		{"read queue -1", func() (int, error) { return c.dev.Read(-1, good, sizes) }},
		{"read queue 1", func() (int, error) { return c.dev.Read(1, good, sizes) }},
		{"read without sizes", func() (int, error) { return c.dev.Read(0, good, nil) }},
		{"read into a header's room", func() (int, error) { return c.dev.Read(0, small, sizes) }},
		{"write queue -1", func() (int, error) { return c.dev.Write(-1, good) }},
		{"write queue 1", func() (int, error) { return c.dev.Write(1, good) }},
		{"write only a header", func() (int, error) { return c.dev.Write(0, small) }},
		{"write nothing", func() (int, error) { return c.dev.Write(0, [][][]byte{{}}) }},
	} {
		if n, err := try.call(); n != 0 || !errors.Is(err, syscall.EINVAL) {
			c.Errorf("%s: %d, %v, want EINVAL", try.name, n, err)
		}
	}
	if n, err := c.dev.Read(0, nil, nil); n != 0 || err != nil {
		c.Errorf("read of no packets: %d, %v", n, err)
	}
	c.writes()
}

// refusesForeignHeader writes what the features do not offer, between packets
// that are in order.
func (c *contract) refusesForeignHeader() {
	for _, h := range []struct{ flags, gso byte }{{1, 0}, {0, 1}, {0, 4}, {0, 5}, {0, 3}, {0, 0x81}, {1, 0xff}} {
		bad := Datagram(Near, Far, payload(1))
		bad[0], bad[1] = h.flags, h.gso
		if legal(bad, c.dev.Features(), hostBits) {
			continue
		}
		n, err := c.dev.Write(0, [][][]byte{{Datagram(Near, Far, payload(0))}, {bad}, {Datagram(Near, Far, payload(2))}})
		if n != 1 || !errors.Is(err, syscall.EINVAL) {
			c.Errorf("flags %d, gso_type %d: Write = %d, %v, want 1, EINVAL", h.flags, h.gso, n, err)
		}
		c.within("the packet before the refused one", func() { c.arrives(0) })
	}
	c.writes()
}

func (c *contract) closeEndsReads() {
	errs := make(chan error)
	for range 2 { // the second waits for its turn
		go func() {
			packets, sizes := [][][]byte{{make([]byte, tun.MaxPacketSize)}}, make([]int, 1)
			for {
				if _, err := c.dev.Read(0, packets, sizes); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	if err := c.dev.Close(); err != nil {
		c.Error("Close:", err)
	}
	for range 2 {
		select {
		case err := <-errs:
			if !errors.Is(err, os.ErrClosed) {
				c.Errorf("Read ended with %v, want os.ErrClosed", err)
			}
		case <-time.After(patience):
			c.Fatal("Close did not end Read")
		}
	}
	if _, err := c.dev.Write(0, [][][]byte{{Datagram(Near, Far, nil)}}); !errors.Is(err, os.ErrClosed) {
		c.Errorf("Write after Close: %v, want os.ErrClosed", err)
	}
	if err := c.dev.Close(); !errors.Is(err, os.ErrClosed) {
		c.Errorf("second Close: %v, want os.ErrClosed", err)
	}
}
