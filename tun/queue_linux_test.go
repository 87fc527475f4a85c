package tun_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/tuntest"
)

// patience is how long a step may take before a test fails.
const patience = time.Minute

// reader reads packets from a queue one at a time.
type reader struct {
	dev     tun.Device
	queue   int
	buf     []byte
	packets [][][]byte
	sizes   []int
}

func newReader(dev tun.Device, queue int) *reader {
	buf := make([]byte, tun.MaxPacketSize)
	return &reader{dev, queue, buf, [][][]byte{{buf}}, make([]int, 1)}
}

// next returns the next packet, which is good until the next call.
func (r *reader) next() ([]byte, error) {
	if _, err := r.dev.Read(r.queue, r.packets, r.sizes); err != nil {
		return nil, err
	}
	return r.buf[:r.sizes[0]], nil
}

// until reads until want accepts a packet.
func (r *reader) until(t *testing.T, want func(packet []byte) bool) {
	t.Helper()
	timer := time.AfterFunc(patience, func() {
		t.Error("the packet waited for did not come")
		r.dev.Close()
	})
	defer timer.Stop()
	for {
		packet, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		if want(packet) {
			return
		}
	}
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %v: %v\n%s", args, err, out)
	}
}

// TestInterfaceDeleted deletes the interface under a Read that waits, and
// expects an error instead of a wait without end or a loop.
func TestInterfaceDeleted(t *testing.T) {
	if !inside(t) {
		return
	}
	for _, backend := range []tun.Backend{tun.Native, tun.Water} {
		dev := mustOpen(t, tun.Config{Backend: backend})
		ended := make(chan error)
		go func() {
			r := newReader(dev, 0)
			for {
				if _, err := r.next(); err != nil {
					ended <- err
					return
				}
			}
		}()
		ip(t, "link", "delete", dev.Name())
		select {
		case err := <-ended:
			if !errors.Is(err, syscall.EBADFD) {
				t.Errorf("backend %d: Read: %v, want EBADFD", backend, err)
			}
		case <-time.After(patience):
			t.Fatalf("backend %d: Read did not end", backend)
		}
		if _, err := newReader(dev, 0).next(); !errors.Is(err, syscall.EBADFD) {
			t.Errorf("backend %d: the next Read: %v, want EBADFD", backend, err)
		}
		if _, err := dev.Write(0, [][][]byte{{tuntest.Datagram(tuntest.Near, tuntest.Far, nil)}}); !errors.Is(err, syscall.EBADFD) {
			t.Errorf("backend %d: Write: %v, want EBADFD", backend, err)
		}
		if _, err := dev.MTU(); err == nil {
			t.Errorf("backend %d: MTU of no interface", backend)
		}
		if err := dev.Close(); err != nil {
			t.Errorf("backend %d: Close: %v", backend, err)
		}
	}
}

// TestInterfaceDown sets the interface down and up again and changes its MTU.
func TestInterfaceDown(t *testing.T) {
	if !inside(t) {
		return
	}
	dev := mustOpen(t, tun.Config{Addrs: farAddrs[:1]})
	defer dev.Close()
	packet := [][][]byte{{tuntest.Datagram(tuntest.Near, tuntest.Far, nil)}}
	ip(t, "link", "set", dev.Name(), "down")
	if _, err := dev.Write(0, packet); !errors.Is(err, syscall.EIO) {
		t.Errorf("Write while down: %v, want EIO", err)
	}
	ip(t, "link", "set", dev.Name(), "up", "mtu", "1400")
	if _, err := dev.Write(0, packet); err != nil {
		t.Error("Write while up again:", err)
	}
	if mtu, err := dev.MTU(); mtu != 1400 || err != nil {
		t.Errorf("MTU = %d, %v", mtu, err)
	}
	// Port 7 is closed: the kernel answers with an ICMP error.
	newReader(dev, 0).until(t, func(p []byte) bool { return p[tun.HeaderSize+9] == unix.IPPROTO_ICMP })
}

// TestWriteWaits lets the kernel keep frames, by bridging them to an interface
// that sends slowly, until the send buffer is full. Write then waits, goes on
// when there is room, and ends with Close. (IP packets do not fill the buffer:
// the kernel lets go of it when it hands them to IP.)
func TestWriteWaits(t *testing.T) {
	if !inside(t) {
		return
	}
	dev := mustOpen(t, tun.Config{Mode: tun.TAP})
	for _, args := range [][]string{
		{"link", "add", "va", "type", "veth", "peer", "name", "vb"},
		{"link", "add", "br0", "type", "bridge"},
		{"link", "set", "va", "up", "master", "br0"},
		{"link", "set", dev.Name(), "up", "master", "br0"},
		{"link", "set", "vb", "up"},
		{"link", "set", "br0", "up"},
	} {
		ip(t, args...)
	}
	rate := func(rate string) {
		out, err := exec.Command("tc", "qdisc", "replace", "dev", "va", "root", "tbf", "rate", rate, "burst", "2000", "latency", "1000s").CombinedOutput()
		if err != nil {
			t.Skipf("tc(8) or the kernel's tbf queueing discipline is missing: %v: %s", err, out)
		}
	}
	rate("8kbit") // a second for a frame
	fd := duplicate(t, dev)
	defer unix.Close(fd)
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETSNDBUF, 4096); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, tun.HeaderSize+1000)
	copy(frame[tun.HeaderSize:], "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x88\xb5") // to, from, IEEE 802 local experimental type
	packet := [][][]byte{{frame}}
	written, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(written)
		for {
			if _, err := dev.Write(0, packet); err != nil {
				ended <- err
				return
			}
			written <- struct{}{}
		}
	}()
	untilItWaits := func() {
		for {
			select {
			case _, ok := <-written:
				if !ok {
					t.Fatal("Write failed: ", <-ended)
				}
			case <-time.After(200 * time.Millisecond):
				return
			}
		}
	}
	untilItWaits()
	rate("1gbit")
	select {
	case <-written:
	case <-time.After(patience):
		t.Error("Write still waits")
	}
	rate("8kbit")
	untilItWaits()
	dev.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("Write ended with %v, want os.ErrClosed", err)
		}
	case <-time.After(patience):
		t.Fatal("Close did not end Write")
	}
}

// TestQueues sends flows over a device with several queues, each read by its
// own goroutine, and finds every datagram once and each flow on one queue.
func TestQueues(t *testing.T) {
	if !inside(t) {
		return
	}
	const queues, flows, each = 4, 64, 5
	dev := mustOpen(t, tun.Config{Addrs: farAddrs[:1], Queues: queues})
	if dev.Queues() != queues {
		t.Fatalf("%d queues", dev.Queues())
	}
	type arrival struct {
		queue int
		flow  byte
	}
	arrivals := make(chan arrival)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer dev.Close()
	for q := range queues {
		wg.Go(func() {
			r := newReader(dev, q)
			for {
				packet, err := r.next()
				if err != nil {
					return
				}
				const data = tun.HeaderSize + 20 + 8
				if len(packet) == data+1 && packet[tun.HeaderSize+9] == unix.IPPROTO_UDP {
					arrivals <- arrival{q, packet[data]}
				}
			}
		})
	}
	wg.Go(func() {
		for flow := range flows {
			conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(tuntest.Near))
			if err != nil {
				t.Error(err)
				return
			}
			for range each {
				if _, err := conn.Write([]byte{byte(flow)}); err != nil {
					t.Error(err)
				}
			}
			conn.Close()
		}
	})
	seen, used := map[arrival]int{}, map[int]bool{}
	for range flows * each {
		select {
		case a := <-arrivals:
			seen[a]++
			used[a.queue] = true
		case <-time.After(patience):
			t.Fatalf("datagrams are missing: %v", seen)
		}
	}
	if len(seen) != flows {
		t.Errorf("flows were split among queues: %v", seen)
	}
	if len(used) < 2 {
		t.Errorf("%d flows used only %d queue", flows, len(used))
	}
	far := listenFar(t)
	defer far.Close()
	buf := make([]byte, 16)
	for q := range queues {
		if _, err := dev.Write(q, [][][]byte{{tuntest.Datagram(tuntest.Near, tuntest.Far, []byte{byte(q)})}}); err != nil {
			t.Fatal(err)
		}
		if n, _, err := far.ReadFrom(buf); n != 1 || buf[0] != byte(q) || err != nil {
			t.Errorf("queue %d: %v, %v", q, buf[:n], err)
		}
	}
}

// TestNoAllocation counts allocations of a Write and a Read.
func TestNoAllocation(t *testing.T) {
	if !inside(t) {
		return
	}
	for _, config := range []tun.Config{{Addrs: farAddrs[:1]}, {Addrs: farAddrs[:1], Backend: tun.Water}} {
		dev := mustOpen(t, config)
		far := listenFar(t)
		data := tuntest.Datagram(tuntest.Near, tuntest.Far, []byte("x"))
		write := [][][]byte{{data[:tun.HeaderSize], data[tun.HeaderSize:]}}
		to := net.UDPAddrFromAddrPort(tuntest.Near)
		buf, sizes := [][][]byte{{make([]byte, tun.HeaderSize), make([]byte, 2048)}}, make([]int, 1)
		baseline := testing.AllocsPerRun(100, func() { far.WriteTo(data[:1], to) })
		r := newReader(dev, 0)
		for range 101 { // take what was just sent
			r.until(t, func(p []byte) bool { return p[tun.HeaderSize+9] == unix.IPPROTO_UDP })
		}
		got := testing.AllocsPerRun(100, func() {
			dev.Write(0, write)
			far.WriteTo(data[:1], to)
			dev.Read(0, buf, sizes)
		})
		if got > baseline {
			t.Errorf("backend %d: %v allocations for a Write and a Read", config.Backend, got-baseline)
		}
		far.Close()
		dev.Close()
	}
}
