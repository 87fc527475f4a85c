package link

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"

	"github.com/userstack/userstack/internal/needs"
	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/namespace"
)

// A routed host reaches a kernel through a router: a TUN device with offload
// into one namespace, which forwards to another over a cable without any. So
// what the first kernel makes of the host's large segments is on the cable as
// it would be on a real one.
type routed struct {
	*host
	router, far *namespace.Namespace
}

// The addresses of the far kernel, and of the router towards it.
var (
	farCable    = []netip.Prefix{netip.MustParsePrefix("10.1.0.2/24"), netip.MustParsePrefix("fd01::2/64")}
	routerCable = []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24"), netip.MustParsePrefix("fd01::1/64")}
)

func newRouted(t *testing.T, cfg tun.Config) *routed {
	t.Helper()
	needs.Have(t, "netns", namespace.Available())
	_, err := exec.LookPath("ip") // for a route
	needs.Have(t, "netns", err)
	router, far, err := namespace.NewPair(namespace.PairConfig{A: routerCable, B: farCable, Sysctl: map[string]string{
		"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { router.Close(); far.Close() })
	for _, ns := range []*namespace.Namespace{router, far} {
		for _, c := range []uint32{etTSO, etGSO, etGRO, etSG, etTXSum, etRXSum} {
			ethtool(t, ns, "veth0", c, 0)
		}
	}
	command(t, far, "ip", "route", "add", "10.0.0.0/24", "via", "10.1.0.1")
	command(t, far, "ip", "-6", "route", "add", "fd00::/64", "via", "fd01::1")
	cfg.Addrs = kernelAddrs
	dev, err := router.OpenTUN(cfg)
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Config{Device: dev})
	if err != nil {
		t.Fatal(err)
	}
	r := &routed{host: newHost(t, 1, e), router: router, far: far}
	var routes []tcpip.Route
	for i, any := range []tcpip.Subnet{header.IPv4EmptySubnet, header.IPv6EmptySubnet} {
		gateway := tcpip.AddrFromSlice(kernelAddrs[i].Addr().AsSlice())
		routes = append(routes, tcpip.Route{Destination: any, Gateway: gateway, NIC: testNIC})
	}
	r.SetRouteTable(routes)
	return r
}

func command(t *testing.T, ns *namespace.Namespace, name string, args ...string) {
	t.Helper()
	if out, err := ns.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// Requests of SIOCETHTOOL that switch an offload (Linux ethtool.h).
const (
	etRXSum = 0x15
	etTXSum = 0x17
	etSG    = 0x19
	etTSO   = 0x1f
	etGSO   = 0x24
	etGRO   = 0x2c
)

// ethtool sets a value of an interface. Not every kernel has every request for
// every interface; that a cable is without offload shows in what is on it.
func ethtool(t *testing.T, ns *namespace.Namespace, name string, request, value uint32) {
	t.Helper()
	f, err := ns.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	set := struct{ cmd, data uint32 }{request, value}
	ifr := struct { // struct ifreq, of 40 bytes
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer // the kernel's ABI wants an address
		_    [16]byte
	}{data: unsafe.Pointer(&set)}
	copy(ifr.name[:], name)
	raw.Control(func(fd uintptr) { unix.Syscall(unix.SYS_IOCTL, fd, unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&ifr))) })
}

// A cableCapture checks every packet that the far kernel gets from the host.
type cableCapture struct {
	file *os.File
	done chan struct{}

	mu    sync.Mutex
	watch mssWatch
	udp   int
	wrong []error
}

func newCableCapture(t *testing.T, ns *namespace.Namespace) *cableCapture {
	t.Helper()
	all := int(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL)))
	f, err := ns.Socket(unix.AF_PACKET, unix.SOCK_DGRAM, all)
	if err != nil {
		t.Fatal(err)
	}
	c := &cableCapture{file: f, done: make(chan struct{})}
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<20) })
	go func() {
		defer close(c.done)
		buf := make([]byte, 1<<16)
		for {
			n, err := f.Read(buf)
			if err != nil {
				return
			}
			c.look(buf[:n])
		}
	}()
	t.Cleanup(func() { f.Close(); <-c.done })
	return c
}

// look checks a packet as a router would that trusts nobody. Those of the far
// kernel itself say what its MSS is; their checksums are none of ours.
func (c *cableCapture) look(b []byte) {
	l, ok := parseLayout(b, 0)
	if !ok {
		return // neither TCP nor UDP
	}
	if !strings.HasPrefix(string(l.addresses(b)), string(testHostAddr(l.v6))) {
		if l.proto == protoTCP {
			c.watch.announcement(b, l)
		}
		return
	}
	err := c.watch.check(framed(virtioHeader{}, b), DefaultMTU)
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.proto == protoUDP {
		c.udp++
	}
	if err != nil && len(c.wrong) < 5 {
		c.wrong = append(c.wrong, fmt.Errorf("%d bytes, layout %+v: %w", len(b), l, err))
	}
}

func testHostAddr(v6 bool) []byte {
	if v6 {
		return append(append([]byte{0xfd}, make([]byte, 14)...), 1)
	}
	return []byte{10, 0, 0, 1}
}

// verdict fails the test for what was wrong, and returns how many segments and
// datagrams were seen; the capture may have lost some.
func (c *cableCapture) verdict(t *testing.T) (tcp, udp int) {
	t.Helper()
	c.file.Close()
	<-c.done
	for _, err := range c.wrong {
		t.Error("on the cable: ", err)
	}
	return c.watch.segments, c.udp
}

// connectFar connects to the far kernel, whose MSS is mss if that is not 0.
func (r *routed) connectFar(t *testing.T, v string, mss int) (near, far net.Conn) {
	t.Helper()
	ln, err := r.far.Listen("tcp"+v, anyAddr[v])
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if mss > 0 {
		raw, err := ln.(*net.TCPListener).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, mss) })
		if err != nil {
			t.Fatal(err)
		}
	}
	addr, proto := farAddr(v, uint16(ln.Addr().(*net.TCPAddr).Port))
	near, err = gonet.DialTCP(r.Stack, addr, proto)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	ln.(*net.TCPListener).SetDeadline(time.Now().Add(testTimeout))
	if far, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return near, far
}

func farAddr(v string, port uint16) (tcpip.FullAddress, tcpip.NetworkProtocolNumber) {
	i, proto := 0, ipv4.ProtocolNumber
	if v == "6" {
		i, proto = 1, ipv6.ProtocolNumber
	}
	return tcpip.FullAddress{Addr: tcpip.AddrFromSlice(farCable[i].Addr().AsSlice()), Port: port}, proto
}

// TestCableChecksums has every packet that a kernel made of what the host sent
// to its device looked at, over both families, TCP and UDP, in odd sizes.
func TestCableChecksums(t *testing.T) {
	for name, cfg := range map[string]tun.Config{"all offloads": {}, "checksum only": {Offload: tun.OffloadChecksum}, "no offload": {Offload: tun.OffloadNone}} {
		t.Run(name, func(t *testing.T) {
			r := newRouted(t, cfg)
			capture := newCableCapture(t, r.far)
			// Connections first, which wait until the cable's addresses may be used, and then what may be lost, while the
			// capture's buffer is empty.
			ends := map[string][2]net.Conn{}
			for _, v := range []string{"4", "6"} {
				near, far := r.connectFar(t, v, 0)
				ends[v] = [2]net.Conn{near, far}
			}
			for _, v := range []string{"4", "6"} {
				pc, err := r.far.ListenPacket("udp"+v, anyAddr[v])
				if err != nil {
					t.Fatal(err)
				}
				addr, proto := farAddr(v, uint16(pc.LocalAddr().(*net.UDPAddr).Port))
				r.datagrams(t, pc, addr, proto)
				pc.Close()
			}
			for _, c := range ends {
				near, far := c[0], c[1]
				for _, n := range []int64{1, 3, 999, 1461, 65537, 700001} {
					transfer(t, near, far, n)
				}
				transfer(t, far, near, 300001)
			}
			tcp, udp := capture.verdict(t)
			if tcp < 10 || udp < 10 {
				t.Errorf("only %d TCP segments and %d datagrams were seen", tcp, udp)
			}
			if s := linkStats(r.host); s.TxOffloaded > 0 != (cfg.Offload == tun.OffloadAuto) {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// datagrams sends datagrams of odd sizes and awaits each.
func (r *routed) datagrams(t *testing.T, pc net.PacketConn, addr tcpip.FullAddress, proto tcpip.NetworkProtocolNumber) {
	t.Helper()
	c, err := gonet.DialUDP(r.Stack, nil, &addr, proto)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 1<<16)
	pc.SetDeadline(time.Now().Add(testTimeout))
	for _, size := range []int{0, 1, 2, 3, 101, 1451} {
		if _, err := c.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if n, _, err := pc.ReadFrom(buf); n != size || err != nil {
			t.Fatalf("%d of %d bytes, %v", n, size, err)
		}
	}
}

// TestCableSegments gives the far kernel a small MSS: no longer segment is on
// the cable. Then the cable's MTU shrinks under the connections, which the
// router tells by ICMP.
func TestCableSegments(t *testing.T) {
	for name, cfg := range map[string]tun.Config{"all offloads": {}, "no offload": {Offload: tun.OffloadNone}} {
		t.Run(name, func(t *testing.T) {
			r := newRouted(t, cfg)
			capture := newCableCapture(t, r.far)
			for _, v := range []string{"4", "6"} {
				for _, mss := range []int{536, 1200, 1440} {
					near, far := r.connectFar(t, v, mss)
					transfer(t, near, far, 500<<10)
				}
			}
			near, far := r.connectFar(t, "4", 0)
			near6, far6 := r.connectFar(t, "6", 0)
			transfer(t, near, far, 100<<10)
			transfer(t, near6, far6, 100<<10)
			for _, ns := range []*namespace.Namespace{r.router, r.far} {
				command(t, ns, "ip", "link", "set", "veth0", "mtu", "1300")
			}
			transfer(t, near, far, 500<<10)
			transfer(t, near6, far6, 500<<10)
			if n := r.Stats().ICMP.V4.PacketsReceived.DstUnreachable.Value(); n == 0 {
				t.Error("no router said that a packet is too large")
			}
			if n, _ := capture.verdict(t); n < 10 || len(capture.watch.mss) < 4 {
				t.Errorf("%d segments and %d ends of connections were seen", n, len(capture.watch.mss))
			}
		})
	}
}
