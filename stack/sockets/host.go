package sockets

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/dnsresolver/netdb"
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

	// Resolver looks names up. One that is a NameService too, as
	// *dnsresolver.Resolver is, gives canonical names, aliases and the names of
	// addresses; another gives addresses, and names where it has *net.Resolver's
	// LookupAddr. Nil means that names which neither Hosts has nor RFC 6761
	// makes loopback are refused with EAI_NONAME; SetResolver can change it
	// later.
	Resolver Resolver

	// Hostname is the host's own name. Empty is "localhost"; SetHostName can
	// change it later.
	Hostname string

	// Hosts goes before Resolver: a name in it is not looked up elsewhere
	// (hosts(5)). Nil is an empty table.
	Hosts *HostsTable

	// Services and Protocols are the databases of services(5) and protocols(5).
	// Nil are the built-in ones, which have Debian's choice.
	Services  *ServiceDB
	Protocols *ProtocolDB

	// FDBase is the lowest descriptor number. Zero is 3.
	FDBase int

	// MinUnprivilegedPort is the first port that a TCP or UDP socket may be
	// bound to; below it Bind gives EACCES, as Linux's
	// net.ipv4.ip_unprivileged_port_start does. Zero means any port.
	MinUnprivilegedPort int

	// MaxTimeWait bounds the connections in TIME_WAIT and FIN_WAIT2 that nobody has
	// open any more, as Linux's net.ipv4.tcp_max_tw_buckets does (ip-sysctl): beyond
	// it the one that was closed longest ago ends, with a reset to its peer. Zero
	// is DefaultMaxTimeWait.
	MaxTimeWait int
}

// A Host is a stack with a table of socket descriptors: what the BSD socket
// calls are made on. Its methods may be called from any goroutine.
type Host struct {
	stack *stack.Stack
	gv    *gstack.Stack

	hosts     *HostsTable
	services  *ServiceDB
	protocols *ProtocolDB
	hostname  atomic.Pointer[string]

	db             atomic.Pointer[netdb.DB] // over the Resolver that was set last
	defaultTimeout atomic.Int64             // time.Duration of new sockets, NoTimeout at first

	table       table
	unix        unixNet
	closedFirst timeWaits

	cookie              uint64 // SO_NETNS_COOKIE
	minUnprivilegedPort int
	paths               paths
	tap                 icmpTap            // tells sockets of ICMP errors
	udpDrops, udpSent   *tcpip.StatCounter // netstack's; to ask for them copies them all

	closing   chan struct{} // closed by Close, when the sockets are
	closeOnce sync.Once

	pollersMu sync.Mutex
	pollers   map[*Poller]struct{} // those that are open

	lookups    context.Context // done when the Host is closed
	endLookups context.CancelCauseFunc
}

// New returns a Host on cfg.Stack.
func New(cfg Config) (*Host, error) {
	if cfg.Stack == nil {
		return nil, fmt.Errorf("sockets: Config.Stack is nil")
	}
	if cfg.FDBase < 0 || cfg.FDBase > math.MaxInt32-maxFDs {
		return nil, fmt.Errorf("sockets: Config.FDBase %d is not between 0 and %d", cfg.FDBase, math.MaxInt32-maxFDs)
	}
	if p := cfg.MinUnprivilegedPort; p < 0 || p > 0xffff {
		return nil, fmt.Errorf("sockets: Config.MinUnprivilegedPort %d is not a port", p)
	}
	if cfg.MaxTimeWait < 0 {
		return nil, fmt.Errorf("sockets: Config.MaxTimeWait %d is negative", cfg.MaxTimeWait)
	}
	h := &Host{stack: cfg.Stack, gv: cfg.Stack.GVisor(), closing: make(chan struct{}),
		hosts: cfg.Hosts, services: cfg.Services, protocols: cfg.Protocols,
		cookie: cookies.Add(1), minUnprivilegedPort: cfg.MinUnprivilegedPort}
	if cfg.Hostname == "" {
		cfg.Hostname = "localhost"
	}
	if err := h.SetHostName(cfg.Hostname); err != nil {
		return nil, err
	}
	h.lookups, h.endLookups = context.WithCancelCause(context.Background())
	h.tap.host = h
	udp := h.gv.Stats().UDP
	h.udpDrops, h.udpSent = udp.ReceiveBufferErrors, udp.PacketsSent
	h.table.init(cfg.FDBase)
	h.closedFirst.init(cfg.MaxTimeWait)
	h.defaultTimeout.Store(int64(NoTimeout))
	h.SetResolver(cfg.Resolver)
	return h, nil
}

// Stack returns the stack under the Host.
func (h *Host) Stack() *stack.Stack { return h.stack }

// GetHostName returns the host's own name (gethostname(2)).
func (h *Host) GetHostName() string { return *h.hostname.Load() }

// maxHostName is the longest host name in bytes (Linux's __NEW_UTS_LEN).
const maxHostName = 64

// SetHostName changes the host's own name (sethostname(2)). A name that is empty
// or longer than 64 bytes is EINVAL.
func (h *Host) SetHostName(name string) error {
	if name == "" || len(name) > maxHostName {
		return &Error{Op: "sethostname", Num: EINVAL, Msg: "the name is empty or longer than 64 bytes"}
	}
	h.hostname.Store(&name)
	return nil
}

// SetResolver changes what looks names up; see Config.Resolver.
func (h *Host) SetResolver(r Resolver) { h.db.Store(h.newDB(r)) }

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
		h.endLookups(ErrClosed)
		open, forgotten := h.table.close()
		for _, s := range open {
			s.markClosed() // all before any is aborted: one may be the peer of another
		}
		for _, s := range open {
			s.abort()
		}
		close(h.closing)
		for _, p := range h.openPollers() {
			p.Close()
		}
		h.tap.close()
		for _, d := range forgotten {
			d.abort()
		}
	})
	return nil
}
