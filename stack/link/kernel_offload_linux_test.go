package link

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"

	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/namespace"
)

// TestKernelWireForm has coalesced segments from a kernel cut up again; the
// stack verifies each.
func TestKernelWireForm(t *testing.T) {
	h, ns := newKernelHost(t, tun.Config{})
	h.link.(*Endpoint).RequireWireForm()
	for _, v := range []string{"4", "6"} {
		near, far := connectKernel(t, h, ns, v)
		transfer(t, far, near, 4<<20)
		transfer(t, near, far, 4<<20)
	}
	if s := linkStats(h); s.RxSplit == 0 || s.RxVouched > 0 || h.Stats().TCP.ChecksumErrors.Value() > 0 {
		t.Errorf("%d bad checksums, %+v", h.Stats().TCP.ChecksumErrors.Value(), s)
	}
}

// TestKernelUSO has a kernel socket send many datagrams as one packet.
func TestKernelUSO(t *testing.T) {
	h, ns := newKernelHost(t, tun.Config{})
	e := h.link.(*Endpoint)
	if e.features&FeatureGuestUSO4 == 0 {
		t.Skip("the kernel has no UDP segmentation offload on TUN (Linux 6.2)")
	}
	for range 2 {
		for _, v := range []string{"4", "6"} {
			before := e.Stats().RxSplit
			testKernelUSO(t, h, ns, v)
			if n := e.Stats().RxSplit - before; n < 30 {
				t.Errorf("IPv%s: split into %d", v, n)
			}
		}
		e.RequireWireForm()
	}
}

func testKernelUSO(t *testing.T, h *host, ns *namespace.Namespace, v string) {
	const size, total = 1000, 29500
	local, proto := h.addr(v, 4000)
	server, err := gonet.DialUDP(h.Stack, &local, nil, proto)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	server.SetDeadline(time.Now().Add(testTimeout))
	addr := &net.UDPAddr{IP: local.Addr.AsSlice(), Port: 4000}
	client, err := ns.Dial(t.Context(), "udp"+v, addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	raw, err := client.(*net.UDPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, size) })
	if err != nil {
		t.Skipf("the kernel has no UDP_SEGMENT (Linux 4.18): %v", err)
	}
	want := make([]byte, total)
	for i := range want {
		want[i] = byte(i / 7)
	}
	if _, err := client.Write(want); err != nil {
		t.Fatal(err)
	}
	var got []byte
	buf := make([]byte, 1<<16)
	for len(got) < total {
		n, _, err := server.ReadFrom(buf)
		if err != nil {
			t.Fatalf("after %d bytes: %v", len(got), err)
		}
		if n != min(size, total-len(got)) {
			t.Fatalf("a datagram of %d bytes", n)
		}
		got = append(got, buf[:n]...)
	}
	if !bytes.Equal(got, want) {
		t.Error("bytes differ")
	}
}

// testKernelPing has a kernel ping the stack, in fragments too.
func testKernelPing(t *testing.T, h *host, ns *namespace.Namespace, v string) {
	t.Helper()
	network, any, to, request, back := "ip4:icmp", "0.0.0.0", h.v4, byte(8), byte(0) // RFC 792
	if v == "6" {
		network, any, to, request, back = "ip6:ipv6-icmp", "::", h.v6, 128, 129 // RFC 4443
	}
	pc, err := ns.ListenPacket(network, any)
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	pc.SetDeadline(time.Now().Add(testTimeout))
	for _, size := range []int{8, 9, 1480, 1481, 60000} {
		ping(t, pc, to, request, back, size)
	}
}

// ping sends an echo request of size bytes and waits for the same back.
func ping(t *testing.T, pc net.PacketConn, to tcpip.Address, request, back byte, size int) {
	t.Helper()
	m := make([]byte, size)
	for i := range m {
		m[i] = byte(i)
	}
	m[0], m[1], m[2], m[3] = request, 0, 0, 0
	binary.BigEndian.PutUint16(m[4:], uint16(size)) // identifies the ping
	if request == 8 {                               // for IPv6 the kernel does it
		binary.BigEndian.PutUint16(m[2:], ^checksum.Checksum(m, 0))
	}
	if _, err := pc.WriteTo(m, &net.IPAddr{IP: to.AsSlice()}); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	for {
		n, _, err := pc.ReadFrom(buf)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if n == size && buf[0] == back && bytes.Equal(buf[4:n], m[4:]) {
			return
		}
	}
}

// setInterface sets the flags of a namespace's interface, with IFF_UP or without.
func setInterface(t *testing.T, ns *namespace.Namespace, name string, flags uint16) {
	t.Helper()
	f, err := ns.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	ifr.SetUint16(flags)
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.IoctlIfreq(int(fd), unix.SIOCSIFFLAGS, ifr) })
	if err != nil {
		t.Fatal(err)
	}
}

// TestKernelLinkDown takes the interface down under a connection and up again.
func TestKernelLinkDown(t *testing.T) {
	h, ns := newKernelHost(t, tun.Config{Name: "down0"})
	e := h.link.(*Endpoint)
	near, far := connectKernel(t, h, ns, "4")
	transfer(t, near, far, 1<<20)
	setInterface(t, ns, "down0", 0)
	exchangeNothing(t, h)
	if err := e.Err(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Err is %v while the interface is down", err)
	}
	setInterface(t, ns, "down0", unix.IFF_UP)
	transfer(t, near, far, 1<<20)
	if err := e.Err(); err != nil {
		t.Errorf("Err is %v after the interface came up", err)
	}
	transfer(t, far, near, 1<<20)
}

// exchangeNothing sends a datagram that nobody gets.
func exchangeNothing(t *testing.T, h *host) {
	t.Helper()
	addr, proto := kernelAddr("4", 9)
	c, err := gonet.DialUDP(h.Stack, nil, &addr, proto)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Errorf("a wire does not tell: %v", err)
	}
}

// TestKernelInterfaceDeleted deletes the interface under the link.
func TestKernelInterfaceDeleted(t *testing.T) {
	if _, err := exec.LookPath("ip"); err != nil && os.Getenv("USERSTACK_REQUIRE") == "" {
		t.Skipf("needs ip(8) to delete an interface: %v", err)
	}
	h, ns := newKernelHost(t, tun.Config{Name: "gone0"})
	if out, err := ns.Command("ip", "link", "delete", "gone0").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	e := h.link.(*Endpoint)
	e.Wait() // the reader ends by itself
	if err := e.Err(); !errors.Is(err, syscall.EBADFD) {
		t.Errorf("Err is %v", err)
	}
	exchangeNothing(t, h)
}

// TestKernelMTU changes the MTU of both sides under connections.
func TestKernelMTU(t *testing.T) {
	for name, offload := range map[string]tun.Offload{"offload": tun.OffloadAuto, "no offload": tun.OffloadNone} {
		t.Run(name, func(t *testing.T) {
			h, ns := newKernelHost(t, tun.Config{MTU: 9000, Offload: offload})
			h.link.SetMTU(9000)
			for _, v := range []string{"4", "6"} {
				near, far := connectKernel(t, h, ns, v)
				transfer(t, near, far, 1<<20)
				h.link.SetMTU(1400)
				transfer(t, near, far, 1<<20)
				h.link.SetMTU(9000)
				transfer(t, far, near, 1<<20)
			}
		})
	}
}
