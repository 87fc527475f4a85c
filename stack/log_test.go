package stack_test

import (
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/log"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
)

// TestNetstackIsSilent has a copy of this program log what netstack would, and
// wants to see nothing of it.
func TestNetstackIsSilent(t *testing.T) {
	if os.Getenv("USERSTACK_TEST_LOG") != "" {
		log.Warningf("martian packet")
		martian(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestNetstackIsSilent$")
	cmd.Env = append(os.Environ(), "USERSTACK_TEST_LOG=1")
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "PASS\n" {
		t.Errorf("the program printed %q (%v), want only PASS", out, err)
	}
}

// martian lets a stack receive a packet from 127.0.0.1. Netstack has a logger of
// its own for these, which it made before anyone could choose where logs go.
func martian(t *testing.T) {
	near, far := link.NewPipe(link.PipeConfig{})
	s, err := stack.New(stack.Config{NICs: []stack.NIC{{Link: near, Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p := make([]byte, header.IPv4MinimumSize)
	ip := header.IPv4(p)
	ip.Encode(&header.IPv4Fields{TotalLength: uint16(len(p)), TTL: 64, Protocol: uint8(header.UDPProtocolNumber),
		SrcAddr: header.IPv4Loopback, DstAddr: header.IPv4Loopback})
	ip.SetChecksum(^ip.CalculateChecksum())
	pkt := gstack.NewPacketBuffer(gstack.PacketBufferOptions{Payload: buffer.MakeWithData(p)})
	defer pkt.DecRef()
	pkt.NetworkProtocolNumber = header.IPv4ProtocolNumber
	var list gstack.PacketBufferList
	list.PushBack(pkt)
	far.WritePackets(list)
	invalid := s.GVisor().Stats().IP.InvalidSourceAddressesReceived
	for deadline := time.Now().Add(time.Minute); invalid.Value() == 0; <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the packet was not noticed")
		}
	}
}
