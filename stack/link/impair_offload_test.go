package link_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack/link"
)

func TestImpairHidesOffload(t *testing.T) {
	b := newImpairBench(t, link.ImpairConfig{})
	b.lower.LinkEPCapabilities = stack.CapabilityTXChecksumOffload | stack.CapabilityRXChecksumOffload | stack.CapabilitySaveRestore
	b.lower.SupportedGSOKind = stack.HostGSOSupported
	if got := b.Capabilities(); got != stack.CapabilitySaveRestore {
		t.Errorf("Capabilities = %b, want all but checksum offload", got)
	}
	if got := b.SupportedGSO(); got != stack.GSONotSupported {
		t.Errorf("SupportedGSO = %v", got)
	}
}

var (
	impairPeer4 = tcpip.AddrFrom4([4]byte{192, 0, 2, 1})
	impairHost4 = tcpip.AddrFrom4([4]byte{192, 0, 2, 2})
	impairPeer6 = tcpip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1})
	impairHost6 = tcpip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 2})
)

// ipPacket puts an IP header before a transport segment.
func ipPacket(protocol tcpip.NetworkProtocolNumber, transport tcpip.TransportProtocolNumber, segment []byte) []byte {
	if protocol == header.IPv4ProtocolNumber {
		ip := make(header.IPv4, header.IPv4MinimumSize)
		ip.Encode(&header.IPv4Fields{
			TotalLength: uint16(len(ip) + len(segment)), Protocol: uint8(transport), TTL: 64,
			SrcAddr: impairPeer4, DstAddr: impairHost4,
		})
		ip.SetChecksum(^ip.CalculateChecksum())
		return append(ip, segment...)
	}
	ip := make(header.IPv6, header.IPv6MinimumSize)
	ip.Encode(&header.IPv6Fields{
		PayloadLength: uint16(len(segment)), TransportProtocol: transport, HopLimit: 64,
		SrcAddr: impairPeer6, DstAddr: impairHost6,
	})
	return append(ip, segment...)
}

// partialTCP is a TCP packet as a kernel hands it to a device with offload: a
// coalesced one, with the checksum of the pseudo header only.
func partialTCP(protocol tcpip.NetworkProtocolNumber, payload []byte) []byte {
	const options = "\x01\x01\x01\x00"
	segment := make(header.TCP, header.TCPMinimumSize, header.TCPMinimumSize+len(options)+len(payload))
	segment.Encode(&header.TCPFields{
		SrcPort: 1, DstPort: 2, SeqNum: 1000, DataOffset: header.TCPMinimumSize + uint8(len(options)),
		Flags: header.TCPFlagAck | header.TCPFlagPsh | header.TCPFlagFin,
	})
	segment = append(append(segment, options...), payload...)
	segment.SetChecksum(0x1234)
	return ipPacket(protocol, header.TCPProtocolNumber, segment)
}

// validChecksums checks the IP and transport checksums of a packet and returns
// its transport segment.
func validChecksums(t *testing.T, protocol tcpip.NetworkProtocolNumber, packet []byte) []byte {
	t.Helper()
	var ip header.Network
	var segment []byte
	if protocol == header.IPv4ProtocolNumber {
		v4 := header.IPv4(packet)
		if !v4.IsValid(len(packet)) || !v4.IsChecksumValid() {
			t.Fatalf("bad IPv4 header: %x", packet[:20])
		}
		ip, segment = v4, v4.Payload()
	} else {
		v6 := header.IPv6(packet)
		if !v6.IsValid(len(packet)) || int(v6.PayloadLength()) != len(packet)-header.IPv6MinimumSize {
			t.Fatalf("bad IPv6 header: %x", packet[:40])
		}
		ip, segment = v6, v6.Payload()
	}
	sum := header.PseudoHeaderChecksum(ip.TransportProtocol(), ip.SourceAddress(), ip.DestinationAddress(), uint16(len(segment)))
	if got := checksum.Checksum(segment, sum); got != 0xffff {
		t.Errorf("transport checksum is wrong by %#x", ^got)
	}
	return segment
}

// inject hands bytes to the bench's link.
func (b *impairBench) inject(protocol tcpip.NetworkProtocolNumber, data []byte) {
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(data)})
	defer pkt.DecRef()
	b.lower.InjectInbound(protocol, pkt)
}

func TestImpairSplitsCoalesced(t *testing.T) {
	payload := make([]byte, 5000)
	for i := range payload {
		payload[i] = byte(i)
	}
	for _, protocol := range []tcpip.NetworkProtocolNumber{header.IPv4ProtocolNumber, header.IPv6ProtocolNumber} {
		t.Run(fmt.Sprintf("%#x", protocol), func(t *testing.T) {
			b := newImpairBench(t, link.ImpairConfig{In: link.Impairment{Delay: time.Millisecond}})
			b.lower.LinkEPCapabilities = stack.CapabilityRXChecksumOffload
			b.inject(protocol, partialTCP(protocol, payload))
			b.clock.Advance(time.Millisecond)
			packets := b.up.take()
			if len(packets) != 4 {
				t.Fatalf("%d packets, want 4 of at most %d bytes", len(packets), benchMTU)
			}
			var got []byte
			for i, packet := range packets {
				if len(packet) > benchMTU {
					t.Errorf("a packet of %d bytes", len(packet))
				}
				tcp := header.TCP(validChecksums(t, protocol, packet))
				if want := 1000 + uint32(len(got)); tcp.SequenceNumber() != want {
					t.Errorf("sequence number %d, want %d", tcp.SequenceNumber(), want)
				}
				end := tcp.Flags()&(header.TCPFlagFin|header.TCPFlagPsh) == header.TCPFlagFin|header.TCPFlagPsh
				none := tcp.Flags()&(header.TCPFlagFin|header.TCPFlagPsh) == 0
				if last := i == len(packets)-1; last && !end || !last && !none {
					t.Errorf("packet %d of %d has flags %v", i, len(packets), tcp.Flags())
				}
				got = append(got, tcp.Payload()...)
			}
			if !bytes.Equal(got, payload) {
				t.Error("the payload changed")
			}
			balance(t, "in", b.Stats().In)
		})
	}
}

// TestImpairCompletesChecksums: the stack above verifies checksums, since it
// sees no offload, so partial ones must be completed even with nothing to
// impair; what has no TCP or UDP checksum, or is broken, passes as it is.
func TestImpairCompletesChecksums(t *testing.T) {
	udp := make(header.UDP, header.UDPMinimumSize+3)
	udp.Encode(&header.UDPFields{SrcPort: 1, DstPort: 2, Length: uint16(len(udp)), Checksum: 0x1234})
	fragment := ipPacket(header.IPv4ProtocolNumber, header.UDPProtocolNumber, udp)
	header.IPv4(fragment).SetFlagsFragmentOffset(header.IPv4FlagMoreFragments, 0)
	long := ipPacket(header.IPv4ProtocolNumber, header.UDPProtocolNumber, udp)
	header.IPv4(long).SetTotalLength(9999)
	for _, test := range []struct {
		name      string
		protocol  tcpip.NetworkProtocolNumber
		data      []byte
		completed bool
	}{
		{"TCP over IPv4", header.IPv4ProtocolNumber, partialTCP(header.IPv4ProtocolNumber, []byte("abc")), true},
		{"TCP over IPv6", header.IPv6ProtocolNumber, partialTCP(header.IPv6ProtocolNumber, []byte("abc")), true},
		{"UDP over IPv4", header.IPv4ProtocolNumber, ipPacket(header.IPv4ProtocolNumber, header.UDPProtocolNumber, udp), true},
		{"UDP over IPv6", header.IPv6ProtocolNumber, ipPacket(header.IPv6ProtocolNumber, header.UDPProtocolNumber, udp), true},
		{"fragment", header.IPv4ProtocolNumber, fragment, false},
		{"lying length", header.IPv4ProtocolNumber, long, false},
		{"cut TCP", header.IPv4ProtocolNumber, ipPacket(header.IPv4ProtocolNumber, header.TCPProtocolNumber, make([]byte, 19)), false},
		{"ICMP", header.IPv4ProtocolNumber, ipPacket(header.IPv4ProtocolNumber, header.ICMPv4ProtocolNumber, make([]byte, 8)), false},
		{"cut IPv6", header.IPv6ProtocolNumber, make([]byte, 39), false},
		{"nothing", header.IPv4ProtocolNumber, nil, false},
		{"ARP", header.ARPProtocolNumber, make([]byte, 28), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newImpairBench(t, link.ImpairConfig{})
			b.lower.LinkEPCapabilities = stack.CapabilityRXChecksumOffload
			b.inject(test.protocol, slices.Clone(test.data))
			got := b.up.take()[0]
			if test.completed {
				validChecksums(t, test.protocol, got)
			} else if !bytes.Equal(got, test.data) {
				t.Errorf("changed %x to %x", test.data, got)
			}
			if s := b.Stats().In; (s.Completed == 1) != test.completed || s.Delivered != 1 {
				t.Errorf("Completed = %d, Delivered = %d", s.Completed, s.Delivered)
			}
		})
	}
}
