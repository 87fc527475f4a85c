package sockets

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack"
)

// Resolver looks names up. *dnsresolver.Resolver is one, and so is
// *net.Resolver, which would ask the machine's own network.
type Resolver interface {
	// LookupNetIP returns the addresses of host; network is "ip", "ip4" or
	// "ip6".
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Config describes a Host.
type Config struct {
	// Stack carries the sockets. Required. The Host does not own it: close the
	// Host first, then the Stack.
	Stack *stack.Stack

	// Resolver looks up the names in addresses. Nil means that names are
	// refused with EAI_NONAME; SetResolver can change it later.
	Resolver Resolver

	// Hostname is the host's own name. Empty is "localhost".
	Hostname string

	// FDBase is the lowest descriptor number. Zero is 3.
	FDBase int

	// MinUnprivilegedPort is the first port that a TCP or UDP socket may be
	// bound to; below it Bind gives EACCES, as Linux's
	// net.ipv4.ip_unprivileged_port_start does. Zero means any port.
	MinUnprivilegedPort int
}

// A Host is a stack with a table of socket descriptors: what the BSD socket
// calls are made on. Its methods may be called from any goroutine.
type Host struct {
	stack    *stack.Stack
	gv       *gstack.Stack
	hostname string

	resolver       atomic.Value // of resolverBox
	defaultTimeout atomic.Int64 // time.Duration of new sockets, NoTimeout at first

	table table

	cookie              uint64 // SO_NETNS_COOKIE
	minUnprivilegedPort int
	paths               paths

	closing   chan struct{} // closed by Close, when the sockets are
	closeOnce sync.Once

	pollersMu sync.Mutex
	pollers   map[*Poller]struct{} // those that are open
}

type resolverBox struct{ Resolver }

// New returns a Host on cfg.Stack.
func New(cfg Config) (*Host, error) {
	if cfg.Stack == nil {
		return nil, fmt.Errorf("sockets: Config.Stack is nil")
	}
	if cfg.FDBase < 0 {
		return nil, fmt.Errorf("sockets: Config.FDBase %d is negative", cfg.FDBase)
	}
	if p := cfg.MinUnprivilegedPort; p < 0 || p > 0xffff {
		return nil, fmt.Errorf("sockets: Config.MinUnprivilegedPort %d is not a port", p)
	}
	h := &Host{stack: cfg.Stack, gv: cfg.Stack.GVisor(), hostname: cfg.Hostname, closing: make(chan struct{}),
		cookie: cookies.Add(1), minUnprivilegedPort: cfg.MinUnprivilegedPort}
	if h.hostname == "" {
		h.hostname = "localhost"
	}
	h.table.init(cfg.FDBase)
	h.defaultTimeout.Store(int64(NoTimeout))
	h.SetResolver(cfg.Resolver)
	return h, nil
}

// Stack returns the stack under the Host.
func (h *Host) Stack() *stack.Stack { return h.stack }

// GetHostName returns the host's own name (gethostname(2)).
func (h *Host) GetHostName() string { return h.hostname }

// SetResolver changes what looks names up; nil refuses them.
func (h *Host) SetResolver(r Resolver) { h.resolver.Store(resolverBox{r}) }

// DefaultTimeout returns the timeout that new sockets have; it is NoTimeout
// until SetDefaultTimeout changes it.
func (h *Host) DefaultTimeout() time.Duration { return time.Duration(h.defaultTimeout.Load()) }

// SetDefaultTimeout sets the timeout of sockets made or accepted from now on,
// as Socket.SetTimeout would. A negative duration other than NoTimeout is
// EINVAL.
func (h *Host) SetDefaultTimeout(d time.Duration) error {
	if d < 0 && d != NoTimeout {
		return &Error{Op: "setdefaulttimeout", Num: EINVAL, Msg: "the timeout is negative"}
	}
	h.defaultTimeout.Store(int64(d))
	return nil
}

// HasIPv6 reports whether the stack has IPv6.
func (h *Host) HasIPv6() bool { return h.gv.CheckNetworkProtocol(header.IPv6ProtocolNumber) }

// Close aborts every socket, so that peers see a reset, and wakes every blocked
// call with ErrClosed. Sockets cannot be made afterwards. The stack stays open.
func (h *Host) Close() error {
	h.closeOnce.Do(func() {
		for _, s := range h.table.close() {
			s.abort()
		}
		close(h.closing)
		for _, p := range h.openPollers() {
			p.Close()
		}
	})
	return nil
}

// resolve returns a numeric address and port for a, which may hold a name. The
// family is that of the socket.
func (h *Host) resolve(ctx context.Context, a Sockaddr) (netip.AddrPort, error) {
	var host string
	var port int
	var scope uint32
	network, f := "ip4", AF_INET
	switch a := a.(type) {
	case Inet4:
		host, port = a.Host, a.Port
	case Inet6:
		host, port, scope, network, f = a.Host, a.Port, a.ScopeID, "ip6", AF_INET6
	default:
		return netip.AddrPort{}, EAFNOSUPPORT
	}
	if port < 0 || port > 0xffff {
		return netip.AddrPort{}, EINVAL
	}
	addr, ok := numericHost(host, f)
	if !ok {
		addrs, err := h.lookup(ctx, network, host)
		if err != nil {
			return netip.AddrPort{}, err
		}
		addr = addrs[0]
	}
	if scope != 0 && !addr.Is4In6() {
		addr = addr.WithZone(fmt.Sprint(scope))
	}
	return netip.AddrPortFrom(addr, uint16(port)), nil
}

// lookup asks the resolver. It returns at least one address or a *GAIError.
func (h *Host) lookup(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	r := h.resolver.Load().(resolverBox).Resolver
	if r == nil {
		return nil, &GAIError{Code: EAI_NONAME, Name: host}
	}
	addrs, err := r.LookupNetIP(ctx, network, host)
	if err != nil {
		return nil, gaiError(host, err)
	}
	if len(addrs) == 0 {
		return nil, &GAIError{Code: EAI_NONAME, Name: host}
	}
	return addrs, nil
}
