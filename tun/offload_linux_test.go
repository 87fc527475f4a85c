package tun_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/tuntest"
)

// TestFeatures checks what is agreed on with this kernel. The oldest one that
// the tests run on has TSO and checksums; USO came with Linux 6.2.
func TestFeatures(t *testing.T) {
	if !inside(t) {
		return
	}
	const (
		checksum = tun.FeatureCSUM | tun.FeatureGuestCSUM
		tso      = tun.FeatureHostTSO4 | tun.FeatureHostTSO6 | tun.FeatureGuestTSO4 | tun.FeatureGuestTSO6
		uso      = tun.FeatureHostUSO | tun.FeatureGuestUSO4 | tun.FeatureGuestUSO6
	)
	for _, c := range []struct {
		config tun.Config
		want   uint64
	}{
		{tun.Config{}, checksum | tso},
		{tun.Config{Queues: 2}, checksum | tso},
		{tun.Config{Mode: tun.TAP}, checksum | tso},
		{tun.Config{Offload: tun.OffloadChecksum}, checksum},
		{tun.Config{Offload: tun.OffloadNone}, 0},
		{tun.Config{Backend: tun.Water}, 0},
	} {
		dev := mustOpen(t, c.config)
		got := dev.Features()
		if got&uso == uso && c.want&tso != 0 {
			got &^= uso
		}
		if got != c.want {
			t.Errorf("%+v: features %#x, want %#x", c.config, dev.Features(), c.want)
		}
		dev.Close()
	}
}

// transportChecksum is the checksum of a TCP or UDP segment whose own checksum
// field is zero (RFC 9293 section 3.1, RFC 8200 section 8.1).
func transportChecksum(ip, segment []byte, protocol byte) uint16 {
	addrs := ip[12:20]
	if ip[0]>>4 == 6 {
		addrs = ip[8:40]
	}
	pseudo := append([]byte(nil), addrs...)
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(segment)))
	pseudo = append(pseudo, 0, 0, 0, protocol)
	return tuntest.Checksum(append(pseudo, segment...))
}

// TestSegmentationOffload has the kernel's TCP send 20 kB at once. With offload
// it comes as one packet to be segmented, without in packets of at most an MSS
// with complete checksums.
func TestSegmentationOffload(t *testing.T) {
	if !inside(t) {
		return
	}
	const bulk, mss = 10000, 1400 // a window's worth: Linux starts with 10 segments
	for _, c := range []struct {
		network string
		config  tun.Config
		gso     byte
		csum    bool // left to us
	}{
		{"tcp4", tun.Config{}, 1, true},
		{"tcp6", tun.Config{}, 4, true},
		{"tcp4", tun.Config{Offload: tun.OffloadChecksum}, 0, true},
		{"tcp6", tun.Config{Offload: tun.OffloadChecksum}, 0, true},
		{"tcp4", tun.Config{Offload: tun.OffloadNone}, 0, false},
		{"tcp6", tun.Config{Offload: tun.OffloadNone}, 0, false},
		{"tcp4", tun.Config{Backend: tun.Water}, 0, false},
	} {
		t.Run(fmt.Sprintf("%s offload %d backend %d", c.network, c.config.Offload, c.config.Backend), func(t *testing.T) {
			c.config.Addrs = farAddrs
			dev := mustOpen(t, c.config)
			defer dev.Close()
			flow, sender := newTCPFlow(t, dev, c.network)
			defer sender.Close()
			if _, err := sender.Write(make([]byte, bulk)); err != nil {
				t.Fatal(err)
			}
			flow.r.until(t, func(p []byte) bool {
				if !flow.isTCP(p) || len(p) < flow.off+20+500 {
					return false
				}
				size := len(p) - flow.off - int(p[flow.off+12]>>4*4)
				gsoSize := binary.LittleEndian.Uint16(p[4:])
				if p[1] != c.gso || c.gso != 0 && (gsoSize != mss || size <= mss) || c.gso == 0 && size > mss {
					t.Errorf("gso_type %d, gso_size %d, %d bytes of data; want type %d", p[1], gsoSize, size, c.gso)
				}
				if p[0]&1 != 0 != c.csum {
					t.Errorf("flags %d, want the checksum left to us: %v", p[0], c.csum)
				}
				if !c.csum && transportChecksum(p[tun.HeaderSize:flow.off], p[flow.off:], unix.IPPROTO_TCP) != 0 {
					t.Error("the checksum is wrong")
				}
				return true
			})
		})
	}
}

// TestSendSegmented writes one packet of several segments and receives it as
// the kernel's TCP and UDP do.
func TestSendSegmented(t *testing.T) {
	if !inside(t) {
		return
	}
	dev := mustOpen(t, tun.Config{Addrs: farAddrs})
	defer dev.Close()
	if dev.Features()&tun.FeatureHostUSO == 0 {
		t.Skip("the kernel has no UDP segmentation offload for TUN devices (Linux 6.2)")
	}
	far := listenFar(t)
	defer far.Close()
	const segment = 1000
	packet := tuntest.Datagram(tuntest.Near, tuntest.Far, make([]byte, 3*segment))
	ip, udp := packet[tun.HeaderSize:][:20], packet[tun.HeaderSize+20:]
	for i := range 3 {
		udp[8+i*segment] = byte(i)
	}
	packet[0], packet[1] = 1, 5
	le := binary.LittleEndian
	le.PutUint16(packet[2:], 28)
	le.PutUint16(packet[4:], segment)
	le.PutUint16(packet[6:], 20)
	le.PutUint16(packet[8:], 6)
	// With NEEDS_CSUM the field holds the sum of the pseudo header.
	pseudo := append(append([]byte(nil), ip[12:20]...), 0, 17)
	pseudo = binary.BigEndian.AppendUint16(pseudo, uint16(len(udp)))
	binary.BigEndian.PutUint16(udp[6:], ^tuntest.Checksum(pseudo))
	if _, err := dev.Write(0, [][][]byte{{packet}}); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4*segment)
	for i := range 3 {
		n, _, err := far.ReadFrom(buf)
		if n != segment || buf[0] != byte(i) || err != nil {
			t.Errorf("segment %d: %d bytes, number %d, %v", i, n, buf[0], err)
		}
	}
}

// TestLyingHeader writes packets with headers at random. Whatever the kernel
// makes of each, the device goes on working.
func TestLyingHeader(t *testing.T) {
	if !inside(t) {
		return
	}
	const seed, tries = 1, 3000
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dev := mustOpen(t, tun.Config{Addrs: farAddrs})
	defer dev.Close()
	refused := 0
	for range tries {
		packet := tuntest.Datagram(tuntest.Near, tuntest.Far, make([]byte, random.IntN(3000)))
		for i := range tun.HeaderSize {
			packet[i] = byte(random.Uint32())
		}
		packet[0] &= 1
		packet[1] = []byte{0, 1, 4, 5}[random.IntN(4)]
		for _, field := range []int{2, 4, 6, 8} {
			if random.IntN(2) == 0 { // values that a packet of this size could have
				binary.LittleEndian.PutUint16(packet[field:], uint16(random.IntN(100)))
			}
		}
		if n, err := dev.Write(0, [][][]byte{{packet}}); err != nil {
			refused++
			if n != 0 {
				t.Fatalf("Write = %d, %v", n, err)
			}
		}
	}
	if refused < tries/2 {
		t.Errorf("only %d of %d were refused", refused, tries)
	}
	far, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(tuntest.Far))
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	if _, err := dev.Write(0, [][][]byte{{tuntest.Datagram(tuntest.Near, tuntest.Far, []byte("still here"))}}); err != nil {
		t.Fatal(err)
	}
	far.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 100)
	if n, _, err := far.ReadFrom(buf); string(buf[:n]) != "still here" {
		t.Errorf("received %q, %v", buf[:n], err)
	}
}

// TestPing answers the kernel's question whether it is there, over IPv4 and IPv6.
func TestPing(t *testing.T) {
	if !inside(t) {
		return
	}
	dev := mustOpen(t, tun.Config{Addrs: farAddrs})
	defer dev.Close()
	r := newReader(dev, 0)
	for _, c := range []struct {
		name   string
		packet []byte
		reply  func(p []byte) bool
	}{
		{"IPv4", ping4(), func(p []byte) bool { return p[0] == 0x45 && p[9] == unix.IPPROTO_ICMP && p[20] == 0 }},
		{"IPv6", ping6(), func(p []byte) bool { return p[0]>>4 == 6 && p[6] == unix.IPPROTO_ICMPV6 && p[40] == 129 }},
	} {
		if _, err := dev.Write(0, [][][]byte{{make([]byte, tun.HeaderSize), c.packet}}); err != nil {
			t.Fatal(c.name, err)
		}
		r.until(t, func(p []byte) bool { return c.reply(p[tun.HeaderSize:]) })
	}
}

func ping4() []byte {
	packet := tuntest.Datagram(tuntest.Near, tuntest.Far, nil)[tun.HeaderSize:]
	packet[9] = unix.IPPROTO_ICMP
	clear(packet[10:12])
	binary.BigEndian.PutUint16(packet[10:], tuntest.Checksum(packet[:20]))
	copy(packet[20:], "\x08\x00\xf7\xff\x00\x00\x00\x00") // echo request with its checksum
	return packet
}

func ping6() []byte {
	packet := make([]byte, 48)
	packet[0], packet[5], packet[6], packet[7] = 6<<4, 8, unix.IPPROTO_ICMPV6, 64
	from, to := netip.MustParseAddr("2001:db8::2").As16(), netip.MustParseAddr("2001:db8::1").As16()
	copy(packet[8:], from[:])
	copy(packet[24:], to[:])
	packet[40] = 128 // echo request
	binary.BigEndian.PutUint16(packet[42:], transportChecksum(packet[:40], packet[40:], unix.IPPROTO_ICMPV6))
	return packet
}

// TestOffloadIsNotLeftOver uses a persistent device first with offload and then
// without: the interface would go on offloading to somebody who cannot tell.
func TestOffloadIsNotLeftOver(t *testing.T) {
	if !inside(t) {
		return
	}
	persist(t, "kept", unix.IFF_TUN|unix.IFF_NO_PI)
	plain := func() (tun.Device, error) {
		return tun.FromFD(rawTUN(t, "kept", unix.IFF_TUN|unix.IFF_NO_PI), tun.Config{Addrs: farAddrs})
	}
	water := func() (tun.Device, error) {
		return tun.Open(tun.Config{Name: "kept", Addrs: farAddrs, Backend: tun.Water})
	}
	for name, open := range map[string]func() (tun.Device, error){"FromFD": plain, "Water": water} {
		// Offload is switched on by somebody who leaves it so, ...
		fd := rawTUN(t, "kept", unix.IFF_TUN|unix.IFF_NO_PI|unix.IFF_VNET_HDR)
		if err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, unix.TUN_F_CSUM|unix.TUN_F_TSO4); err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
		dev, err := open()
		if err != nil {
			t.Fatal(name, err)
		}
		if !checksumsComplete(t, newReader(dev, 0)) {
			t.Error(name, "was handed a packet without its checksum")
		}
		dev.Close()
	}
	// ... and not by us.
	mustOpen(t, tun.Config{Name: "kept"}).Close()
	file := os.NewFile(uintptr(rawTUN(t, "kept", unix.IFF_TUN|unix.IFF_NO_PI)), "kept")
	defer file.Close()
	if !checksumsComplete(t, rawReader{file}) {
		t.Error("Close left offload on")
	}
}

// rawReader reads packets as any other program would.
type rawReader struct{ file *os.File }

func (r rawReader) next() ([]byte, error) {
	buf := make([]byte, tun.MaxPacketSize)
	n, err := r.file.Read(buf[tun.HeaderSize:])
	return buf[:tun.HeaderSize+n], err
}

// checksumsComplete reports whether the checksum of a datagram that the kernel
// sends is in it.
func checksumsComplete(t *testing.T, from interface{ next() ([]byte, error) }) bool {
	t.Helper()
	conn := listenFar(t)
	defer conn.Close()
	if _, err := conn.WriteTo([]byte("hello"), net.UDPAddrFromAddrPort(tuntest.Near)); err != nil {
		t.Fatal(err)
	}
	for {
		p, err := from.next()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := tuntest.Payload(p, tuntest.Far, tuntest.Near); ok {
			return transportChecksum(p[tun.HeaderSize:][:20], p[tun.HeaderSize+20:], unix.IPPROTO_UDP) == 0
		}
	}
}
