package stack

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"

	"github.com/userstack/userstack/stack/internal/translate"
)

// Interface describes a NIC of a stack at one moment.
type Interface struct {
	Index    int // 1 is the loopback
	Name     string
	MTU      int // bytes of an IP packet
	MAC      net.HardwareAddr
	Addrs    []netip.Prefix
	Loopback bool
	Up       bool
	Traffic  Traffic
}

// Traffic counts what went through a NIC since it was made. The loopback's packets
// are in both directions' counters.
type Traffic struct {
	ReceivedPackets, ReceivedBytes uint64
	SentPackets, SentBytes         uint64
	SendDrops                      uint64 // the link's queue was full
}

// Flags of an interface (netdevice(7), SIOCGIFFLAGS).
const (
	flagUp           = 0x1
	flagBroadcast    = 0x2
	flagLoopback     = 0x8
	flagPointToPoint = 0x10
	flagRunning      = 0x40
	flagNoARP        = 0x80
	flagMulticast    = 0x1000
)

// Flags are the IFF_ flags that Linux shows of such an interface: one with a MAC
// address is an Ethernet, one without a tunnel.
func (i Interface) Flags() int {
	flags := 0
	if i.Up {
		flags |= flagUp | flagRunning
	}
	switch {
	case i.Loopback:
		return flags | flagLoopback
	case len(i.MAC) > 0:
		return flags | flagBroadcast | flagMulticast
	}
	return flags | flagPointToPoint | flagNoARP | flagMulticast
}

// QueueLen is the txqueuelen that Linux shows of such an interface, in packets. The
// stack has no such queue.
func (i Interface) QueueLen() int {
	if !i.Loopback && len(i.MAC) == 0 {
		return 500 // drivers/net/tun.c, TUN_READQ_SIZE
	}
	return 1000 // <net/pkt_sched.h>, DEFAULT_TX_QUEUE_LEN
}

// Broadcast returns the address that reaches every host of an IPv4 network, which
// is the last. An interface without broadcasts, a network of one or two addresses
// (RFC 3021) and IPv6 have none: the zero Addr.
func (i Interface) Broadcast(network netip.Prefix) netip.Addr {
	if i.Flags()&flagBroadcast == 0 {
		return netip.Addr{}
	}
	return LastAddr(network)
}

// LastAddr returns the last address of an IPv4 network, which is its broadcast
// address; of one that has none, as in Broadcast, the zero Addr.
func LastAddr(network netip.Prefix) netip.Addr {
	if !network.IsValid() || !network.Addr().Is4() || network.Bits() > 30 {
		return netip.Addr{}
	}
	b := network.Addr().As4()
	last := binary.BigEndian.Uint32(b[:]) | (1<<(32-network.Bits()) - 1)
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, last)))
}

// Interfaces returns the NICs in the order of their indexes.
func (s *Stack) Interfaces() []Interface {
	infos := s.gv.NICInfo()
	out := make([]Interface, 0, len(infos))
	for id, info := range infos {
		ifc := Interface{
			Index: int(id), Name: info.Name, MTU: int(info.MTU),
			Loopback: info.Flags.Loopback, Up: info.Flags.Up,
			Traffic: Traffic{
				ReceivedPackets: info.Stats.Rx.Packets.Value(),
				ReceivedBytes:   info.Stats.Rx.Bytes.Value(),
				SentPackets:     info.Stats.Tx.Packets.Value(),
				SentBytes:       info.Stats.Tx.Bytes.Value(),
				SendDrops:       info.Stats.TxPacketsDroppedNoBufferSpace.Value(),
			},
		}
		if len(info.LinkAddress) > 0 {
			ifc.MAC = net.HardwareAddr(info.LinkAddress)
		}
		for _, a := range info.ProtocolAddresses {
			if addr := translate.NetipAddr(a.AddressWithPrefix.Address); addr.IsValid() {
				ifc.Addrs = append(ifc.Addrs, netip.PrefixFrom(addr, a.AddressWithPrefix.PrefixLen))
			}
		}
		out = append(out, ifc)
	}
	slices.SortFunc(out, func(a, b Interface) int { return cmp.Compare(a.Index, b.Index) })
	return out
}

// InterfaceByZone returns the NIC that an IPv6 zone names: an interface name or
// its decimal index (RFC 4007 section 11.2).
func (s *Stack) InterfaceByZone(zone string) (Interface, bool) {
	index, err := strconv.Atoi(zone)
	for _, ifc := range s.Interfaces() {
		if ifc.Name == zone || err == nil && ifc.Index == index {
			return ifc, true
		}
	}
	return Interface{}, false
}

// Promiscuous has the NIC show frames to other hosts to packet sockets, until
// leave is called, which counts once; it changes nothing on links that filter none, such as TUN
// devices.
func (s *Stack) Promiscuous(index int) (leave func()) {
	i := index - firstLinkIndex
	if i < 0 || i >= len(s.links) {
		return func() {}
	}
	l, ok := s.links[i].(interface {
		EnterPromiscuous()
		LeavePromiscuous()
	})
	if !ok {
		return func() {}
	}
	l.EnterPromiscuous()
	return sync.OnceFunc(l.LeavePromiscuous)
}

const (
	loopbackIndex  = 1
	firstLinkIndex = 2 // the first interface after the loopback
)

// AddAddress gives the NIC an address and the connected route that goes with
// it.
func (s *Stack) AddAddress(nic string, p netip.Prefix) error {
	ifc, ok := s.InterfaceByZone(nic)
	if !ok || !p.IsValid() {
		return fmt.Errorf("stack: adding %v to NIC %q: no such NIC or address", p, nic)
	}
	if err := s.addAddress(tcpip.NICID(ifc.Index), p); err != nil {
		return fmt.Errorf("stack: NIC %q: %w", nic, err)
	}
	return s.addRouteOnce(Route{Dst: p.Masked(), NIC: ifc.Name})
}

// RemoveAddress takes an address from the NIC, and its connected route when no
// other address of the NIC is in the same network. Connections that use the
// address end as they find that they cannot send.
func (s *Stack) RemoveAddress(nic string, addr netip.Addr) error {
	ifc, ok := s.InterfaceByZone(nic)
	i := slices.IndexFunc(ifc.Addrs, func(p netip.Prefix) bool { return p.Addr() == addr })
	if !ok || i < 0 {
		return fmt.Errorf("stack: NIC %q does not have the address %v", nic, addr)
	}
	if err := s.gv.RemoveAddress(tcpip.NICID(ifc.Index), translate.Addr(addr)); err != nil {
		return fmt.Errorf("stack: removing %v from NIC %q: %v", addr, nic, err)
	}
	s.flows.Forget()
	network := ifc.Addrs[i].Masked()
	for j, p := range ifc.Addrs {
		if j != i && p.Masked() == network {
			s.generation.Add(1)
			return nil
		}
	}
	s.RemoveRoute(Route{Dst: network, NIC: ifc.Name})
	return nil
}
