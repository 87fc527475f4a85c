package stack

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/loopback"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/raw"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"github.com/userstack/userstack/stack/internal/acks"
	"github.com/userstack/userstack/stack/internal/translate"
	"github.com/userstack/userstack/stack/internal/udpflow"
)

// A Stack is a configured TCP/IP stack. Its methods may be called from any
// goroutine.
type Stack struct {
	gv    *stack.Stack
	links []stack.LinkEndpoint // owned; in the order of Config.NICs
	taps  []*acks.Link         // in front of them, in the same order
	flows *udpflow.Table

	generation atomic.Uint64
	routeMu    sync.Mutex // held over a read-change-write of gv's route table

	closing chan struct{}
	close   sync.Once

	renoOnShortPaths, boundedOnShortPaths bool
}

var networkProtocols = []stack.NetworkProtocolFactory{
	// Routers and switches learn of memberships by IGMP and MLD, on every link
	// but the loopback, as on Linux.
	ipv4.NewProtocolWithOptions(ipv4.Options{IGMP: ipv4.IGMPOptions{Enabled: true}}),
	// A MAC address gives a link-local address, as on Linux; other links get
	// only what the caller gives them.
	ipv6.NewProtocolWithOptions(ipv6.Options{AutoGenLinkLocal: true, MLD: ipv6.MLDOptions{Enabled: true}}),
	arp.NewProtocol, // idle on links without MAC addresses
}

var transportProtocols = append(
	rawProtocols(tcp.ProtocolNumber, udp.ProtocolNumber, icmp.ProtocolNumber4, icmp.ProtocolNumber6),
	tcp.NewProtocolCUBIC, // Linux's default; gVisor's is Reno (T17)
	udp.NewProtocol,
	icmp.NewProtocol4,
	icmp.NewProtocol6,
)

// New returns a running stack. It takes ownership of the links in cfg at once:
// when it fails it has closed them.
func New(cfg Config) (_ *Stack, err error) {
	s := &Stack{closing: make(chan struct{})}
	for _, n := range cfg.NICs {
		if n.Link != nil {
			s.links = append(s.links, n.Link)
		}
	}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if cfg, err = cfg.validate(); err != nil {
		return nil, err
	}
	s.gv = stack.New(stack.Options{
		NetworkProtocols:         networkProtocols,
		TransportProtocols:       transportProtocols,
		Clock:                    cfg.Clock,
		HandleLocal:              true, // own addresses never reach a link (T10)
		RawFactory:               raw.EndpointFactory{},
		AllowPacketEndpointWrite: true,
	})
	s.renoOnShortPaths, s.boundedOnShortPaths = cfg.TCP.mixed, cfg.TCP.bounded && !s.holdsWindows()
	s.flows = udpflow.NewTable(s.gv)
	if err := cfg.TCP.apply(s.gv); err != nil {
		return nil, err
	}
	if err := s.gv.SetPortRange(cfg.Ports.First, cfg.Ports.Last); err != nil {
		return nil, fmt.Errorf("stack: setting the port range: %v", err)
	}
	if err := setBuffers(s.gv); err != nil {
		return nil, err
	}
	if err := s.addNICs(cfg); err != nil {
		return nil, err
	}
	if err := s.setInitialRoutes(cfg); err != nil {
		return nil, err
	}
	if cfg.Forwarding == ForwardAll {
		s.requireWireForm()
		for _, proto := range []tcpip.NetworkProtocolNumber{ipv4.ProtocolNumber, ipv6.ProtocolNumber} {
			if err := s.gv.SetForwardingDefaultAndAllNICs(proto, true); err != nil {
				return nil, fmt.Errorf("stack: turning forwarding on: %v", err)
			}
		}
	}
	return s, nil
}

// Buffers of sockets that are not TCP's, in bytes: Linux's net.core.rmem_default
// and wmem_default, and as much as SO_RCVBUFFORCE can ask for.
const (
	defaultBuffer = 212992
	maxBuffer     = 1<<31 - 1
)

func setBuffers(s *stack.Stack) error {
	for _, opt := range []any{
		tcpip.SendBufferSizeOption{Min: stack.MinBufferSize, Default: defaultBuffer, Max: maxBuffer},
		tcpip.ReceiveBufferSizeOption{Min: stack.MinBufferSize, Default: defaultBuffer, Max: maxBuffer},
	} {
		if err := s.SetOption(opt); err != nil {
			return fmt.Errorf("stack: setting %T: %v", opt, err)
		}
	}
	return nil
}

// requireWireForm has the links that coalesce packets hand them up as they would
// lie on a wire: what is passed on must fit the next link.
func (s *Stack) requireWireForm() {
	for _, l := range s.links {
		if l, ok := l.(interface{ RequireWireForm() }); ok {
			l.RequireWireForm()
		}
	}
}

// holdsWindows reports whether every link has room for a whole window of a
// connection, as a pipe in memory has. In a device's queue it would be lost in part.
func (s *Stack) holdsWindows() bool {
	for _, l := range s.links {
		if l, ok := l.(interface{ QueueBytes() int }); !ok || l.QueueBytes() < DefaultMaxReceiveBuffer {
			return false
		}
	}
	return true
}

func (s *Stack) addNICs(cfg Config) error {
	lo := NIC{Name: LoopbackName, Link: loopback.New(), Addrs: []netip.Prefix{
		netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("::1/128"),
	}}
	for _, n := range append([]NIC{lo}, cfg.NICs...) {
		opts := stack.NICOptions{Name: n.Name, DeliverLinkPackets: true} // for packet sockets
		id := s.gv.NextNICID()
		l := n.Link
		if n.Name != LoopbackName {
			tap := acks.New(s.flows.NewLink(l, id))
			s.taps = append(s.taps, tap)
			l = tap
		}
		if err := s.gv.CreateNICWithOptions(id, l, opts); err != nil {
			return fmt.Errorf("stack: creating NIC %q: %v", n.Name, err)
		}
		for _, p := range n.Addrs {
			if err := s.addAddress(id, p); err != nil {
				return fmt.Errorf("stack: NIC %q: %w", n.Name, err)
			}
		}
	}
	return nil
}

func (s *Stack) addAddress(id tcpip.NICID, p netip.Prefix) error {
	if mtu := s.gv.NICInfo()[id].MTU; p.Addr().Is6() && mtu < header.IPv6MinimumMTU {
		// RFC 8200, section 5. Netstack's MLD would never end.
		return fmt.Errorf("adding address %v: an MTU of %d is below the %d that IPv6 needs", p, mtu, header.IPv6MinimumMTU)
	}
	err := s.gv.AddProtocolAddress(id, tcpip.ProtocolAddress{
		Protocol: translate.Protocol(p.Addr()),
		AddressWithPrefix: tcpip.AddressWithPrefix{
			Address: translate.Addr(p.Addr()), PrefixLen: p.Bits(),
		},
	}, stack.AddressProperties{})
	if err != nil {
		return fmt.Errorf("adding address %v: %v", p, err)
	}
	return nil
}

// GVisor returns the netstack underneath, for code that wants more than this
// package offers. It stays owned by s; do not close it.
func (s *Stack) GVisor() *stack.Stack { return s.gv }

// SegmentsUDP reports whether a NIC's link takes several datagrams in one packet;
// see link.Endpoint.SegmentsUDP.
func (s *Stack) SegmentsUDP(nic tcpip.NICID) bool {
	const first = 2 // NIC 1 is the loopback
	i := int(nic) - first
	if i < 0 || i >= len(s.links) {
		return false
	}
	l, ok := s.links[i].(interface{ SegmentsUDP() bool })
	return ok && l.SegmentsUDP()
}

// RenoOnShortPaths reports that TCP.CongestionControl leaves the choice to the
// path, which package sockets makes.
func (s *Stack) RenoOnShortPaths() bool { return s.renoOnShortPaths }

// ShortPathReceiveBuffer returns size, or 0 where every path may have what there
// is: TCP.MaxReceiveBuffer has a value, or no link's queue is too short for it.
func (s *Stack) ShortPathReceiveBuffer(size int64) int64 {
	if !s.boundedOnShortPaths {
		return 0
	}
	return size
}

// UDPFlows returns the datagrams' way past netstack, for package sockets.
func (s *Stack) UDPFlows() *udpflow.Table { return s.flows }

// Closing returns a channel that is closed when Close begins.
func (s *Stack) Closing() <-chan struct{} { return s.closing }

// Close resets every connection, closes the links and returns when the stack's
// goroutines and the links' are gone. A second Close waits for the first. The
// error is always nil; it is there for io.Closer.
func (s *Stack) Close() error {
	s.close.Do(func() {
		close(s.closing)
		// This order was measured: netstack's Close sends the resets through
		// links that still work, a link that is closed before netstack's Wait
		// cannot be written to by an endpoint that Wait waits for, and Wait last
		// finds nobody holding a link.
		if s.gv != nil {
			s.gv.Close()
		}
		for _, l := range s.links {
			l.Close()
		}
		for _, l := range s.links {
			l.Wait()
		}
		if s.gv != nil {
			s.gv.Wait()
		}
	})
	return nil
}
