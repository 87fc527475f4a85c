package link

import (
	"crypto/rand"
	"fmt"
	"net"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// EthernetConfig describes an Ethernet link. Only Device is needed.
type EthernetConfig struct {
	Config

	// MAC is the link's own address, 6 bytes, unicast. Zero means one chosen at
	// random among those that are locally and administratively assigned
	// (IEEE 802c, SLAP quadrant AAI: x2-…).
	MAC net.HardwareAddr
}

// An Ethernet connects a netstack to a Device that carries Ethernet frames
// (TAP). It is an Endpoint with MAC addresses: the stack finds its neighbours
// by ARP and neighbour discovery. Frames to other hosts, outside promiscuous
// mode, and frames with a VLAN tag are dropped. The MTU is that of IP, without the 14 bytes of header.
type Ethernet struct {
	Endpoint
	mac    atomic.Pointer[tcpip.LinkAddress]
	others atomic.Int32 // how many want to see frames to other hosts
}

// NewEthernet returns a link over a device of Ethernet frames. It owns the
// device from here on: Close closes it, and so does NewEthernet when it fails.
func NewEthernet(cfg EthernetConfig) (*Ethernet, error) {
	e := new(Ethernet)
	mac := cfg.MAC
	if mac == nil {
		mac = randomMAC()
	}
	if len(mac) != header.EthernetAddressSize || !header.IsValidUnicastEthernetAddress(tcpip.LinkAddress(mac)) {
		if cfg.Device != nil {
			cfg.Device.Close()
		}
		return nil, fmt.Errorf("link: %q is no unicast Ethernet address", mac)
	}
	e.SetLinkAddress(tcpip.LinkAddress(mac))
	if err := e.init(cfg.Config, e); err != nil {
		return nil, err
	}
	return e, nil
}

func randomMAC() net.HardwareAddr {
	mac := make(net.HardwareAddr, header.EthernetAddressSize)
	rand.Read(mac)
	mac[0] = mac[0]&0xf0 | 0x2 // unicast, local, administratively assigned
	return mac
}

// Capabilities implements stack.LinkEndpoint.
func (e *Ethernet) Capabilities() stack.LinkEndpointCapabilities {
	return e.Endpoint.Capabilities() | stack.CapabilityResolutionRequired
}

// MaxHeaderLength implements stack.LinkEndpoint.
func (*Ethernet) MaxHeaderLength() uint16 { return header.EthernetMinimumSize }

// LinkAddress implements stack.LinkEndpoint: the MAC address.
func (e *Ethernet) LinkAddress() tcpip.LinkAddress { return *e.mac.Load() }

// SetLinkAddress implements stack.LinkEndpoint.
func (e *Ethernet) SetLinkAddress(mac tcpip.LinkAddress) { e.mac.Store(&mac) }

// ARPHardwareType implements stack.LinkEndpoint.
func (*Ethernet) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }

// AddHeader implements stack.LinkEndpoint.
func (e *Ethernet) AddHeader(pkt *stack.PacketBuffer) {
	src := pkt.EgressRoute.LocalLinkAddress
	if src == "" {
		src = e.LinkAddress()
	}
	header.Ethernet(pkt.LinkHeader().Push(header.EthernetMinimumSize)).Encode(&header.EthernetFields{
		SrcAddr: src,
		DstAddr: pkt.EgressRoute.RemoteLinkAddress,
		Type:    pkt.NetworkProtocolNumber,
	})
}

// ParseHeader implements stack.LinkEndpoint.
func (*Ethernet) ParseHeader(pkt *stack.PacketBuffer) bool {
	_, ok := pkt.LinkHeader().Consume(header.EthernetMinimumSize)
	return ok
}

// EtherTypes of VLAN tags (IEEE 802.1Q).
const (
	etherTypeVLAN    = 0x8100
	etherTypeService = 0x88a8
)

// deframe implements framing.
func (e *Ethernet) deframe(b []byte) (int, tcpip.NetworkProtocolNumber, tcpip.PacketType, verdict) {
	if len(b) <= header.EthernetMinimumSize {
		return 0, 0, 0, short
	}
	frame, ip := header.Ethernet(b), b[header.EthernetMinimumSize:]
	proto := frame.Type()
	switch proto {
	case header.IPv4ProtocolNumber, header.IPv6ProtocolNumber:
		// The IP packet must be of the version that the frame says.
		if _, version, _, v := (ipFraming{}).deframe(ip); v != pass {
			return 0, 0, 0, v
		} else if version != proto {
			return 0, 0, 0, unknown
		}
	case header.ARPProtocolNumber:
		if len(ip) < header.ARPSize {
			return 0, 0, 0, short
		}
	case etherTypeVLAN, etherTypeService:
		return 0, 0, 0, vlan
	default:
		return 0, 0, 0, unknown
	}
	to := tcpip.PacketHost
	switch dst := frame.DestinationAddress(); {
	case dst == header.EthernetBroadcastAddress:
		to = tcpip.PacketBroadcast
	case header.IsMulticastEthernetAddress(dst):
		to = tcpip.PacketMulticast
	case dst != e.LinkAddress() && e.others.Load() > 0:
		to = tcpip.PacketOtherHost
	case dst != e.LinkAddress():
		return 0, 0, 0, otherHost
	}
	return header.EthernetMinimumSize, proto, to, pass
}

var (
	_ stack.LinkEndpoint = (*Ethernet)(nil)
	_ stack.GSOEndpoint  = (*Ethernet)(nil)
)
