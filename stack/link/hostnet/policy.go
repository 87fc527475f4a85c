package hostnet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Why DefaultPolicy refuses.
var (
	errLinkLocal = errors.New("hostnet: link-local destinations are not forwarded (RFC 3927 section 7, RFC 4291 section 2.5.6)")
	errMetadata  = errors.New("hostnet: a cloud's metadata server knows the machine's secrets")
)

// metadata are the metadata servers of clouds whose addresses are not link-local:
// Amazon's and Google's of IPv6, and Alibaba's.
var metadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("fd20:ce::254"), netip.MustParseAddr("100.100.100.200"),
}

// DefaultPolicy refuses link-local destinations, as a router has to: the stack
// is not on the machine's link. The metadata servers of clouds, which hand out
// the machine's identity, are such, 169.254.169.254, and it refuses those that
// are not. All others are let through.
func DefaultPolicy(_ context.Context, _ string, to netip.AddrPort) error {
	switch {
	case to.Addr().IsLinkLocalUnicast():
		return errLinkLocal
	case slices.Contains(metadata, to.Addr()):
		return errMetadata
	}
	return nil
}

// A verdict says what becomes of a packet to a destination.
type verdict int

const (
	forward    verdict = iota // to the address that comes with it
	toDNS                     // to a nameserver
	refuse                    // the gateway or DNS address, where nobody listens
	absent                    // an address of the link that nobody has
	prohibited                // not for this stack
	ignore                    // multicast, broadcast and what no packet can be sent to
)

// thisNetwork is 0.0.0.0/8 (RFC 1122 section 3.2.1.3); Linux takes 0.0.0.0 for
// its loopback.
var thisNetwork = netip.MustParsePrefix("0.0.0.0/8")

const portDNS = 53

// judge says what becomes of a packet, and to which address of the machine's
// network it is.
func (u *Uplink) judge(ctx context.Context, network string, to netip.AddrPort) (netip.AddrPort, verdict) {
	a := to.Addr()
	switch {
	case a == u.cfg.Gateway4 || a == u.cfg.Gateway6:
		if u.cfg.HostLoopback != AccessAllowed {
			return to, refuse
		}
		return netip.AddrPortFrom(loopbackOf(a), to.Port()), forward
	case a == u.cfg.DNS4 || a == u.cfg.DNS6:
		if to.Port() != portDNS {
			return to, refuse
		}
		return to, toDNS
	case u.cfg.Addr4.Contains(a):
		if a == broadcastOf(u.cfg.Addr4) {
			return to, ignore
		}
		return to, absent
	case u.cfg.Addr6.Contains(a):
		return to, absent
	case !routable(a):
		return to, ignore
	case a.IsLoopback():
		return to, prohibited
	case u.own.has(a):
		if u.cfg.HostLoopback != AccessAllowed {
			return to, prohibited
		}
		return to, forward
	}
	if inner := translated(a); inner.IsValid() && !u.mayTranslate(ctx, network, netip.AddrPortFrom(inner, to.Port())) {
		return to, prohibited
	}
	if !u.permits(ctx, network, to) {
		return to, prohibited
	}
	return to, forward
}

// permits asks the policy.
func (u *Uplink) permits(ctx context.Context, network string, to netip.AddrPort) bool {
	err := u.cfg.Policy(ctx, network, to)
	if err != nil {
		u.stats.refused.Add(1)
		u.cfg.Logger.Debug("destination refused", "network", network, "to", to, "why", err)
	}
	return err == nil
}

// nat64 has the IPv6 addresses that a translator on the way makes IPv4 ones of
// (RFC 6052 section 2.1).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// translated returns the IPv4 address that an IPv6 one stands for, the zero Addr
// if it stands for none.
func translated(a netip.Addr) netip.Addr {
	if !nat64.Contains(a) {
		return netip.Addr{}
	}
	b := a.As16()
	return netip.AddrFrom4([4]byte(b[12:]))
}

// mayTranslate reports whether a destination may be reached by way of a
// translator: one that may not be reached without has no other name.
func (u *Uplink) mayTranslate(ctx context.Context, network string, to netip.AddrPort) bool {
	a := to.Addr()
	if !routable(a) || a.IsLoopback() || u.own.has(a) && u.cfg.HostLoopback != AccessAllowed {
		return false
	}
	return u.permits(ctx, network, to)
}

// routable reports whether one host can be meant. An IPv4-mapped address on the
// wire is nobody's (RFC 4291 section 2.5.5.2), and as an argument to connect(2)
// it would be IPv4's.
func routable(a netip.Addr) bool {
	return a.IsValid() && !a.IsMulticast() && !a.IsUnspecified() && !a.Is4In6() &&
		!thisNetwork.Contains(a) && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// loopbackOf returns the loopback address of the family of a.
func loopbackOf(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}

// broadcastOf returns the last address of an IPv4 network.
func broadcastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

const (
	ownLife = 5 * time.Second // how long what is known of an address holds
	ownMax  = 1024            // addresses of which it is known
)

// ownAddrs knows which addresses are the machine's own.
type ownAddrs struct {
	mu    sync.Mutex
	known map[netip.Addr]ownAddr

	interfaces map[netip.Addr]bool // what the interfaces have
	until      time.Time           // how long that holds
}

type ownAddr struct {
	own   bool
	until time.Time
}

// has reports whether packets to a stay on the machine. The kernel's routing
// knows: the source address of what is sent to an own address is that address.
// Connecting a UDP socket sends nothing. Only of the further addresses of an
// interface in one network the source is the first.
func (o *ownAddrs) has(a netip.Addr) bool {
	now := time.Now()
	o.mu.Lock()
	k, ok := o.known[a]
	o.mu.Unlock()
	if ok && now.Before(k.until) {
		return k.own
	}
	own := a.IsLoopback() || sourceFor(a) == a || o.ofInterfaces(now)[a]
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.known) >= ownMax || o.known == nil {
		o.known = make(map[netip.Addr]ownAddr)
	}
	o.known[a] = ownAddr{own, now.Add(ownLife)}
	return own
}

// ofInterfaces returns the addresses of the machine's interfaces.
func (o *ownAddrs) ofInterfaces(now time.Time) map[netip.Addr]bool {
	o.mu.Lock()
	list, until := o.interfaces, o.until
	o.mu.Unlock()
	if now.Before(until) {
		return list
	}
	list = make(map[netip.Addr]bool)
	all, _ := net.InterfaceAddrs() // without them the routing has to do
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			list[p.Addr().Unmap()] = true
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.interfaces, o.until = list, now.Add(ownLife)
	return list
}

// sourceFor returns the address that the machine sends from to a, or the zero
// Addr if it cannot.
func sourceFor(a netip.Addr) netip.Addr {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, portDiscard)))
	if err != nil {
		return netip.Addr{}
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}

const portDiscard = 9 // RFC 863; nothing is sent
