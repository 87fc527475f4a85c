package link

import (
	"bytes"
	"net"
	"reflect"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

func newEthernetHost(t testing.TB, n byte, d *fakeDevice) *host {
	t.Helper()
	d.l2 = header.EthernetMinimumSize
	d.strict(t, DefaultMTU)
	e, err := NewEthernet(EthernetConfig{Config: Config{Device: d}})
	if err != nil {
		t.Fatal(err)
	}
	return newHost(t, n, e)
}

// TestEthernet joins two stacks that find each other by ARP and NDP.
func TestEthernet(t *testing.T) {
	for name, features := range endpointFeatures {
		for _, v := range []string{"4", "6"} {
			t.Run(name+"/"+v, func(t *testing.T) {
				t.Parallel()
				x, y := newFakePair(features, 1)
				one, two := newEthernetHost(t, 1, x), newEthernetHost(t, 2, y)
				near, far := connect(t, one, two, v)
				transfer(t, near, far, 2<<20)
				transfer(t, far, near, 2<<20)
				exchange(t, one, two, v, 0, 1472, 65507)
				s := two.link.(*Ethernet).Stats()
				if s.RxOtherHost+s.RxUnknown+s.RxBadChecksum+s.RxBadGSO+s.TxErrors > 0 {
					t.Errorf("stats %+v", s)
				}
			})
		}
	}
}

var (
	testMAC  = net.HardwareAddr{0x02, 0, 0, 0, 0, 1}
	otherMAC = net.HardwareAddr{0x02, 0, 0, 0, 0, 9}
)

// ethernetFrame puts an Ethernet header before a packet.
func ethernetFrame(dst net.HardwareAddr, proto tcpip.NetworkProtocolNumber, b []byte) []byte {
	f := make([]byte, header.EthernetMinimumSize, header.EthernetMinimumSize+len(b))
	header.Ethernet(f).Encode(&header.EthernetFields{
		SrcAddr: tcpip.LinkAddress(otherMAC), DstAddr: tcpip.LinkAddress(dst), Type: proto,
	})
	return append(f, b...)
}

func TestEthernetFrames(t *testing.T) {
	ip4, _ := testPacket{payload: 100}.build()
	ip6, _ := testPacket{payload: 100, v6: true}.build()
	tests := []struct {
		name    string
		frame   []byte
		counter string // of Stats, when dropped
		to      tcpip.PacketType
	}{
		{"to us", ethernetFrame(testMAC, header.IPv4ProtocolNumber, ip4), "", tcpip.PacketHost},
		{"IPv6 to us", ethernetFrame(testMAC, header.IPv6ProtocolNumber, ip6), "", tcpip.PacketHost},
		{"to all", ethernetFrame(net.HardwareAddr("\xff\xff\xff\xff\xff\xff"), header.IPv4ProtocolNumber, ip4), "", tcpip.PacketBroadcast},
		{"to many", ethernetFrame(net.HardwareAddr("\x33\x33\x00\x00\x00\x01"), header.IPv6ProtocolNumber, ip6), "", tcpip.PacketMulticast},
		{"ARP", ethernetFrame(testMAC, header.ARPProtocolNumber, make([]byte, header.ARPSize)), "", tcpip.PacketHost},
		{"to another host", ethernetFrame(otherMAC, header.IPv4ProtocolNumber, ip4), "RxOtherHost", 0},
		{"VLAN", ethernetFrame(testMAC, etherTypeVLAN, ip4), "RxVLAN", 0},
		{"service VLAN", ethernetFrame(testMAC, etherTypeService, ip4), "RxVLAN", 0},
		{"LLDP", ethernetFrame(testMAC, 0x88cc, ip4), "RxUnknown", 0},
		{"IPv6 in an IPv4 frame", ethernetFrame(testMAC, header.IPv4ProtocolNumber, ip6), "RxUnknown", 0},
		{"only a header", ethernetFrame(testMAC, header.IPv4ProtocolNumber, nil), "RxShort", 0},
		{"half a header", make([]byte, 7), "RxShort", 0},
		{"truncated ARP", ethernetFrame(testMAC, header.ARPProtocolNumber, make([]byte, 27)), "RxShort", 0},
		{"truncated IP", ethernetFrame(testMAC, header.IPv4ProtocolNumber, ip4[:19]), "RxShort", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d, _ := newFakePair(allOffloads, 1)
			e, err := NewEthernet(EthernetConfig{Config: Config{Device: d}, MAC: testMAC})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { e.Close(); e.Wait() }()
			s := newSink(e)
			last := ethernetFrame(testMAC, header.IPv4ProtocolNumber, append(bytes.Clone(ip4), 0))
			d.inject(0, [][]byte{framed(virtioHeader{}, test.frame)})
			d.inject(0, [][]byte{framed(virtioHeader{}, last)})
			got := s.upTo(t, last)
			if test.counter != "" {
				if n := reflect.ValueOf(e.Stats()).FieldByName(test.counter).Uint(); n != 1 || len(got) != 0 {
					t.Errorf("%s is %d, delivered %d: %+v", test.counter, n, len(got), e.Stats())
				}
				return
			}
			if len(got) != 1 || got[0].to != test.to || !bytes.Equal(got[0].bytes, test.frame) {
				t.Errorf("delivered %+v", got)
			}
		})
	}
}

// TestEthernetOffloads receives large packets behind an Ethernet header.
func TestEthernetOffloads(t *testing.T) {
	d, _ := newFakePair(allOffloads, 1)
	e, err := NewEthernet(EthernetConfig{Config: Config{Device: d}, MAC: testMAC})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { e.Close(); e.Wait() }()
	s := newSink(e)
	b, l := testPacket{udp: true, payload: 2500, v6: true}.build()
	h := coalesced(b, l, 1000)
	h.csumStart += header.EthernetMinimumSize
	last := ethernetFrame(testMAC, header.IPv6ProtocolNumber, b[:48])
	d.inject(0, [][]byte{framed(h, ethernetFrame(testMAC, header.IPv6ProtocolNumber, b))})
	d.inject(0, [][]byte{framed(virtioHeader{}, last)})
	got := s.upTo(t, last)
	if len(got) != 3 {
		t.Fatalf("%d pieces: %+v", len(got), e.Stats())
	}
	for i, p := range got {
		if err := checkFrame(framed(virtioHeader{}, p.bytes), header.EthernetMinimumSize, DefaultMTU); err != nil {
			t.Errorf("piece %d: %v", i, err)
		}
	}
}

func TestNewEthernetMAC(t *testing.T) {
	seen := map[tcpip.LinkAddress]bool{}
	for range 50 {
		d, _ := newFakePair(0, 1)
		e, err := NewEthernet(EthernetConfig{Config: Config{Device: d}})
		if err != nil {
			t.Fatal(err)
		}
		mac := e.LinkAddress()
		if len(mac) != 6 || mac[0]&0x0f != 2 || seen[mac] {
			t.Fatalf("random MAC %v", mac)
		}
		seen[mac] = true
		if e.Capabilities()&stack.CapabilityResolutionRequired == 0 || e.MaxHeaderLength() != 14 || e.ARPHardwareType() != header.ARPHardwareEther {
			t.Fatal("not an Ethernet link")
		}
		e.Close()
	}
	for _, mac := range []net.HardwareAddr{{}, {1, 2, 3, 4, 5, 6}, {2, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0}, bytes.Repeat([]byte{255}, 6)} {
		d, _ := newFakePair(0, 1)
		if _, err := NewEthernet(EthernetConfig{Config: Config{Device: d}, MAC: mac}); err == nil || !d.queues[0].closed {
			t.Errorf("MAC %v: error %v, device closed %v", mac, err, d.queues[0].closed)
		}
	}
}
