package link_test

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/link/ethernet"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack/link"
)

// captured is one packet as the reader of a capture sees it.
type captured struct {
	data []byte
	gopacket.CaptureInfo
	flags    pcapgo.NgEpbFlag
	comments []string
}

// readCapture parses a whole capture.
func readCapture(t *testing.T, capture []byte) (*pcapgo.NgReader, []captured) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(capture), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	var packets []captured
	for {
		data, info, opts, err := r.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			return r, packets
		}
		if err != nil {
			t.Fatalf("after %d packets: %v", len(packets), err)
		}
		p := captured{data: data, CaptureInfo: info, comments: opts.Comments}
		if opts.Flags != nil {
			p.flags = opts.Flags.Direction
		}
		packets = append(packets, p)
	}
}

// captureBench is a Capture on a channel link.
type captureBench struct {
	*link.Capture
	lower *channel.Endpoint
	up    received
}

func newCaptureBench(t *testing.T, f *link.CaptureFile, name string, comments ...string) *captureBench {
	b := &captureBench{lower: channel.New(1<<10, benchMTU, "")}
	b.Capture = link.NewCapture(b.lower, f, name, comments...)
	b.Attach(&b.up)
	t.Cleanup(func() {
		b.Close()
		b.Wait()
		b.lower.Drain()
	})
	return b
}

// send has the stack send a packet whose network header is in its header space,
// as gVisor's are.
func (b *captureBench) send(network, payload []byte) {
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: len(network) + 40, Payload: buffer.MakeWithData(slices.Clone(payload)),
	})
	copy(pkt.NetworkHeader().Push(len(network)), network)
	var list stack.PacketBufferList
	list.PushBack(pkt)
	b.WritePackets(list)
	list.Reset()
}

func (b *captureBench) receive(data []byte) {
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(slices.Clone(data))})
	defer pkt.DecRef()
	b.lower.InjectInbound(header.IPv4ProtocolNumber, pkt)
}

// udpPacket is a small IPv4 packet with right checksums.
func udpPacket(payload string) []byte {
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: []byte{192, 0, 2, 1}, DstIP: []byte{192, 0, 2, 2}}
	udp := &layers.UDP{SrcPort: 4000, DstPort: 4001}
	udp.SetNetworkLayerForChecksum(ip)
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, ip, udp, gopacket.Payload(payload)); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

func TestCapture(t *testing.T) {
	var out bytes.Buffer
	now := time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)
	f := link.NewCaptureFile(&out, link.CaptureConfig{Comment: "the file", Now: func() time.Time { return now }})
	one, two := newCaptureBench(t, f, "tun0", "first", "interface"), newCaptureBench(t, f, "tun1")
	sent, got := udpPacket("sent"), udpPacket("received")
	one.send(sent[:20], sent[20:])
	two.Annotate("on two only")
	f.Annotate("whatever is next")
	f.Annotate("with this")
	one.receive(got)
	two.receive(got)
	f.Annotate("the end")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	one.receive(got) // links go on, unrecorded
	if n := len(one.up.take()); n != 2 {
		t.Errorf("%d packets reached the stack, want 2", n)
	}
	if n := one.lower.NumQueued(); n != 1 {
		t.Errorf("%d packets reached the link, want 1", n)
	}

	r, packets := readCapture(t, out.Bytes())
	if c := r.SectionInfo().Comment; c != "the file" {
		t.Errorf("section comment %q", c)
	}
	for i, want := range []pcapgo.NgInterface{{Name: "tun0", Comment: "first\ninterface"}, {Name: "tun1"}} {
		got, err := r.Interface(i)
		if err != nil {
			t.Fatal(err)
		}
		if got.Name != want.Name || got.Comment != want.Comment || got.LinkType != layers.LinkTypeRaw || got.TimestampResolution != 9 {
			t.Errorf("interface %d: %+v", i, got)
		}
		if n := got.Statistics.PacketsReceived; n != uint64(2-i) {
			t.Errorf("interface %d: statistics count %d packets", i, n)
		}
	}
	want := []captured{
		{data: sent, flags: pcapgo.NgEpbFlagDirectionOutbound},
		{data: got, flags: pcapgo.NgEpbFlagDirectionInbound, comments: []string{"whatever is next", "with this"}},
		{data: got, flags: pcapgo.NgEpbFlagDirectionInbound, comments: []string{"on two only"}, CaptureInfo: gopacket.CaptureInfo{InterfaceIndex: 1}},
		{comments: []string{"the end"}},
	}
	if len(packets) != len(want) {
		t.Fatalf("%d packets, want %d", len(packets), len(want))
	}
	for i, p := range packets {
		w := want[i]
		if !bytes.Equal(p.data, w.data) || p.flags != w.flags || !slices.Equal(p.comments, w.comments) || p.InterfaceIndex != w.InterfaceIndex {
			t.Errorf("packet %d: %+v, want %+v", i, p, w)
		}
		if p.Length != len(w.data) || !p.Timestamp.Equal(now) {
			t.Errorf("packet %d: length %d at %v", i, p.Length, p.Timestamp)
		}
	}
}

func TestCaptureSnapLen(t *testing.T) {
	var out bytes.Buffer
	f := link.NewCaptureFile(&out, link.CaptureConfig{SnapLen: 30})
	b := newCaptureBench(t, f, "tun0")
	long := udpPacket(strings.Repeat("x", 1000))
	b.send(long[:20], long[20:])
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	_, packets := readCapture(t, out.Bytes())
	if len(packets) != 1 || !bytes.Equal(packets[0].data, long[:30]) || packets[0].Length != len(long) {
		t.Errorf("captured %+v, want 30 of %d bytes", packets, len(long))
	}
}

// TestCaptureEthernet wants the frame, not only the packet, of a link that has
// frames.
func TestCaptureEthernet(t *testing.T) {
	const mac = tcpip.LinkAddress("\x02\x00\x00\x00\x00\x01")
	var out bytes.Buffer
	f := link.NewCaptureFile(&out, link.CaptureConfig{})
	lower := channel.New(16, benchMTU, mac)
	c := link.NewCapture(ethernet.New(lower), f, "tap0")
	defer lower.Drain()
	defer c.Close()
	c.Attach(&received{})
	ip := udpPacket("payload")
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		ReserveHeaderBytes: int(c.MaxHeaderLength()), Payload: buffer.MakeWithData(slices.Clone(ip)),
	})
	pkt.NetworkProtocolNumber = header.IPv4ProtocolNumber
	pkt.EgressRoute.LocalLinkAddress, pkt.EgressRoute.RemoteLinkAddress = mac, mac
	c.AddHeader(pkt)
	var list stack.PacketBufferList
	list.PushBack(pkt)
	c.WritePackets(list)
	list.Reset()
	frame := lower.Read()
	arriving := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: frame.ToBuffer()})
	frame.DecRef()
	lower.InjectInbound(0, arriving)
	arriving.DecRef()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	_, packets := readCapture(t, out.Bytes())
	if len(packets) != 2 {
		t.Fatalf("%d packets, want 2", len(packets))
	}
	for i, p := range packets {
		decoded := gopacket.NewPacket(p.data, layers.LinkTypeEthernet, gopacket.Default)
		if app := decoded.ApplicationLayer(); app == nil || string(app.Payload()) != "payload" {
			t.Errorf("packet %d is no Ethernet frame with our packet in it: %v", i, decoded)
		}
	}
}

func TestCaptureNothing(t *testing.T) {
	var out bytes.Buffer
	f := link.NewCaptureFile(&out, link.CaptureConfig{})
	if err := f.Flush(); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	newCaptureBench(t, f, "late").receive(udpPacket("late"))
	if _, packets := readCapture(t, out.Bytes()); len(packets) != 0 {
		t.Errorf("captured %+v", packets)
	}
}

// stuckWriter blocks until it is let go, then fails.
type stuckWriter struct{ letGo chan struct{} }

var errDiskFull = errors.New("disk full")

func (w stuckWriter) Write([]byte) (int, error) {
	<-w.letGo
	return 0, errDiskFull
}

// TestCaptureNeverStalls: a disk that hangs, and then fails, must not hold up
// packets.
func TestCaptureNeverStalls(t *testing.T) {
	w := stuckWriter{make(chan struct{})}
	f := link.NewCaptureFile(w, link.CaptureConfig{Buffer: 4096})
	b := newCaptureBench(t, f, "tun0")
	const n = 500
	for range n {
		b.receive(udpPacket("x"))
	}
	if got := len(b.up.take()); got != n {
		t.Errorf("%d of %d packets reached the stack", got, n)
	}
	s := f.Stats()
	if s.Packets+s.Missing != n || s.Packets == 0 || s.Missing == 0 {
		t.Errorf("%+v, want some of %d packets missing", s, n)
	}
	close(w.letGo)
	if err := f.Flush(); !errors.Is(err, errDiskFull) {
		t.Errorf("Flush = %v, want %v", err, errDiskFull)
	}
	for range 2 {
		if err := f.Close(); !errors.Is(err, errDiskFull) {
			t.Errorf("Close = %v, want %v", err, errDiskFull)
		}
	}
	if s := f.Stats(); s.WriteErrors != 1 {
		t.Errorf("WriteErrors = %d, want 1", s.WriteErrors)
	}
}

func TestCaptureCommentsAreBounded(t *testing.T) {
	var out bytes.Buffer
	f := link.NewCaptureFile(&out, link.CaptureConfig{})
	b := newCaptureBench(t, f, "tun0")
	for range 100 {
		b.Annotate(strings.Repeat("é", 1<<15)) // 65536 bytes
		f.Annotate(strings.Repeat("é", 1<<15))
	}
	b.receive(udpPacket("x"))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	_, packets := readCapture(t, out.Bytes())
	if len(packets) != 1 || len(packets[0].comments) == 0 || len(packets[0].comments) > 2 {
		t.Fatalf("%d packets, want one with one or two comments", len(packets))
	}
	if got := packets[0].comments[0]; got != strings.Repeat("é", 1<<15-1) {
		t.Errorf("comment of %d bytes, want 65534, whole characters", len(got))
	}
}

func TestCaptureConcurrent(t *testing.T) {
	var out bytes.Buffer
	f := link.NewCaptureFile(&out, link.CaptureConfig{Buffer: 64 << 20})
	benches := []*captureBench{newCaptureBench(t, f, "a"), newCaptureBench(t, f, "b")}
	ip := udpPacket("payload")
	const n = 500
	var work sync.WaitGroup
	for _, b := range benches {
		work.Go(func() {
			for range n {
				b.receive(ip)
				f.Annotate("x")
			}
		})
		work.Go(func() {
			for range n {
				b.Annotate("y")
				b.send(ip[:20], ip[20:])
			}
		})
	}
	work.Go(func() {
		for range n {
			_ = f.Flush()
			f.Stats()
		}
	})
	work.Wait()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	_, packets := readCapture(t, out.Bytes())
	count := map[int]int{}
	for _, p := range packets {
		if len(p.data) > 0 {
			count[p.InterfaceIndex]++
		}
	}
	if count[0] != 2*n || count[1] != 2*n {
		t.Errorf("captured %v, want %d on each link", count, 2*n)
	}
}

// TestCaptureOpensInWireshark reads a capture with its command-line sister.
func TestCaptureOpensInWireshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is missing: install Wireshark's command-line tools")
	}
	name := filepath.Join(t.TempDir(), "test.pcapng")
	now := time.Unix(1767323045, 678901234)
	f, err := link.CreateCaptureFile(name, link.CaptureConfig{Comment: "the file", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	one, two := newCaptureBench(t, f, "tun0", "on one"), newCaptureBench(t, f, "tun1")
	ip := udpPacket("hello")
	one.Annotate("here we go")
	one.send(ip[:20], ip[20:])
	two.receive(ip)
	f.Annotate("the end")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tshark, "-r", name, "-o", "udp.check_checksum:TRUE", "-T", "fields", "-E", "separator=|",
		"-e", "frame.interface_name", "-e", "frame.packet_flags_direction", "-e", "frame.time_epoch", "-e", "frame.len",
		"-e", "udp.checksum.status", "-e", "frame.comment")

	got, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := "tun0|2|1767323045.678901234|33|1|here we go\n" +
		"tun1|1|1767323045.678901234|33|1|\n" +
		"tun0|0|1767323045.678901234|0||the end\n"
	if strings.ReplaceAll(string(got), "0x0000000", "") != want {
		t.Errorf("tshark printed\n%swant\n%s", got, want)
	}
}
