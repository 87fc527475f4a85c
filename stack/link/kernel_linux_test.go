package link

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"

	"github.com/userstack/userstack/internal/needs"
	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/namespace"
)

// kernelAddrs are the kernel's side of the devices, next to a host's.
var kernelAddrs = []netip.Prefix{netip.MustParsePrefix("10.0.0.9/24"), netip.MustParsePrefix("fd00::9/64")}

var kernelDevices = map[string]tun.Config{
	"all offloads":  {},
	"checksum only": {Offload: tun.OffloadChecksum},
	"no offload":    {Offload: tun.OffloadNone},
	"water":         {Backend: tun.Water},
	"two queues":    {Queues: 2},
	"TAP":           {Mode: tun.TAP},
	"bare TAP":      {Mode: tun.TAP, Offload: tun.OffloadNone},
}

// newKernelHost returns a host whose link ends in a namespace's kernel.
func newKernelHost(t testing.TB, cfg tun.Config) (*host, *namespace.Namespace) {
	t.Helper()
	needs.Have(t, "netns", namespace.Available())
	ns, err := namespace.New(namespace.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	cfg.Addrs = kernelAddrs
	dev, err := ns.OpenTUN(cfg)
	if err != nil {
		t.Fatal(err)
	}
	own := Config{Device: dev, Queues: dev.Queues()}
	if cfg.Mode == tun.TAP {
		e, err := NewEthernet(EthernetConfig{Config: own})
		if err != nil {
			t.Fatal(err)
		}
		return newHost(t, 1, e), ns
	}
	e, err := New(own)
	if err != nil {
		t.Fatal(err)
	}
	return newHost(t, 1, e), ns
}

// kernelAddr returns the kernel's address for "4" or "6".
func kernelAddr(v string, port uint16) (tcpip.FullAddress, tcpip.NetworkProtocolNumber) {
	if v == "4" {
		return tcpip.FullAddress{Addr: tcpip.AddrFromSlice(kernelAddrs[0].Addr().AsSlice()), Port: port}, ipv4.ProtocolNumber
	}
	return tcpip.FullAddress{Addr: tcpip.AddrFromSlice(kernelAddrs[1].Addr().AsSlice()), Port: port}, ipv6.ProtocolNumber
}

var anyAddr = map[string]string{"4": "0.0.0.0:0", "6": "[::]:0"}

// connectKernel connects a host to a kernel socket.
func connectKernel(t testing.TB, h *host, ns *namespace.Namespace, v string) (near, far net.Conn) {
	t.Helper()
	ln, err := ns.Listen("tcp"+v, anyAddr[v])
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	addr, proto := kernelAddr(v, uint16(ln.Addr().(*net.TCPAddr).Port))
	near, err = gonet.DialTCP(h.Stack, addr, proto)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	ln.(*net.TCPListener).SetDeadline(time.Now().Add(testTimeout))
	far, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return near, far
}

// TestKernel talks to a kernel over every kind of device.
func TestKernel(t *testing.T) {
	for name, cfg := range kernelDevices {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, ns := newKernelHost(t, cfg)
			for _, v := range []string{"4", "6"} {
				near, far := connectKernel(t, h, ns, v)
				transfer(t, near, far, 3<<20)
				transfer(t, far, near, 3<<20)
				testKernelUDP(t, h, ns, v)
				testKernelPing(t, h, ns, v)
			}
			s := linkStats(h)
			if s.RxBadChecksum+s.RxBadGSO+s.RxNotNegotiated+s.RxOversize+s.TxErrors+s.ReadErrors > 0 {
				t.Errorf("stats %+v", s)
			}
			if got := s.RxCoalesced > 0 && s.TxOffloaded > 0; got != (cfg.Offload == tun.OffloadAuto && cfg.Backend != tun.Water) {
				t.Errorf("offload %v: %+v", got, s)
			}
		})
	}
}

func linkStats(h *host) Stats {
	if e, ok := h.link.(*Ethernet); ok {
		return e.Stats()
	}
	return h.link.(*Endpoint).Stats()
}

// testKernelUDP has a kernel socket echo datagrams of every kind of size.
func testKernelUDP(t *testing.T, h *host, ns *namespace.Namespace, v string) {
	t.Helper()
	pc, err := ns.ListenPacket("udp"+v, anyAddr[v])
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); echo(pc) }()
	defer func() { pc.Close(); <-done }()
	addr, proto := kernelAddr(v, uint16(pc.LocalAddr().(*net.UDPAddr).Port))
	c, err := gonet.DialUDP(h.Stack, nil, &addr, proto)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(testTimeout))
	for _, size := range []int{0, 1, 1472, 1473, 9000, 65507} {
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(i * size)
		}
		buf := make([]byte, 1<<16)
		if _, err := c.Write(want); err != nil {
			t.Fatalf("%s: sending %d bytes: %v", v, size, err)
		}
		if n, err := c.Read(buf); err != nil || string(buf[:n]) != string(want) {
			t.Fatalf("%s: %d bytes: got %d, %v", v, size, n, err)
		}
	}
}

func echo(pc net.PacketConn) {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			return
		}
		pc.WriteTo(buf[:n], from)
	}
}

// BenchmarkKernelBulk measures one connection between a host and a kernel.
func BenchmarkKernelBulk(b *testing.B) {
	for name, cfg := range kernelDevices {
		for _, up := range []string{"send", "receive"} {
			b.Run(fmt.Sprintf("%s/%s", name, up), func(b *testing.B) {
				h, ns := newKernelHost(b, cfg)
				from, to := connectKernel(b, h, ns, "4")
				if up == "receive" {
					from, to = to, from
				}
				block := make([]byte, 128<<10)
				b.SetBytes(int64(len(block)))
				done := make(chan struct{})
				go func() {
					defer close(done)
					io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{to}, make([]byte, 1<<20))
				}()
				for b.Loop() {
					if _, err := from.Write(block); err != nil {
						b.Fatal(err)
					}
				}
				from.Close()
				<-done
			})
		}
	}
}
