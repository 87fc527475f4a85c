package hostnet

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack/link"
)

// Uplink is the machine's network at the far side of a link. Its methods may be
// called from any goroutine.
type Uplink struct {
	cfg  Config
	near *nearEnd      // the stack's link
	far  *link.PipeEnd // the gateway's
	gw   *stack.Stack  // the gateway

	own       ownAddrs
	tcp       connector
	udp       flowTable
	dns       nameservers
	marks     marks
	stats     counters
	fragments atomic.Uint32 // identifications

	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
	work   sync.WaitGroup // all goroutines but the links' and netstack's
	close  sync.Once
	closed chan struct{} // everything has ended
}

// nearEnd is the link that the stack owns: the uplink ends with it.
type nearEnd struct {
	*link.PipeEnd
	u *Uplink
}

// Close implements stack.LinkEndpoint.
func (n *nearEnd) Close() { n.u.shut() }

// Wait implements stack.LinkEndpoint. It returns when the uplink has ended too.
func (n *nearEnd) Wait() {
	n.PipeEnd.Wait()
	<-n.u.closed
}

// pipeQueue is how many bytes may wait on the link in each direction. What comes
// beyond is lost, and 300 downloads at once took twice as long with 16 MiB.
const pipeQueue = 64 << 20

// New returns an uplink. The caller closes it, or gives its link to a stack that
// does.
func New(cfg Config) (*Uplink, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	u := &Uplink{cfg: cfg, closed: make(chan struct{})}
	u.ctx, u.cancel = context.WithCancel(context.Background())
	near, far := link.NewPipe(link.PipeConfig{MTU: cfg.MTU, GSOMaxSize: link.MaxGSOSize, QueueBytes: pipeQueue})
	u.near, u.far = &nearEnd{near, u}, far
	u.dns.init(cfg.Nameservers)
	u.gw, err = newGateway(cfg, far)
	if err != nil {
		u.Close()
		return nil, err
	}
	u.tcp.init(u)
	u.udp.init(u)
	return u, nil
}

// Link returns the stack's end of the link, for stack.NIC.Link. Whoever gets it
// owns the uplink: closing the link closes the uplink.
func (u *Uplink) Link() stack.LinkEndpoint { return u.near }

// Addrs returns the stack's addresses, for stack.NIC.Addrs.
func (u *Uplink) Addrs() []netip.Prefix { return []netip.Prefix{u.cfg.Addr4, u.cfg.Addr6} }

// Route is a route that the stack should have.
type Route struct {
	Dst     netip.Prefix
	Gateway netip.Addr
}

// Routes returns the default routes, by way of the gateway.
func (u *Uplink) Routes() []Route {
	return []Route{
		{netip.PrefixFrom(netip.IPv4Unspecified(), 0), u.cfg.Gateway4},
		{netip.PrefixFrom(netip.IPv6Unspecified(), 0), u.cfg.Gateway6},
	}
}

// Nameservers returns the addresses at which the stack finds the machine's
// nameservers, over UDP and TCP.
func (u *Uplink) Nameservers() []netip.AddrPort {
	return []netip.AddrPort{netip.AddrPortFrom(u.cfg.DNS4, portDNS), netip.AddrPortFrom(u.cfg.DNS6, portDNS)}
}

// Close resets every connection that has not ended, ends all that was published
// and returns when no goroutine and no socket of the uplink is left. What a
// stack has sent may be lost: Drain before. The error is always nil.
func (u *Uplink) Close() error {
	u.shut()
	<-u.closed
	return nil
}

// shut begins the end. It does not wait: netstack may call it with locks held.
func (u *Uplink) shut() {
	u.close.Do(func() {
		u.cancel()
		u.near.PipeEnd.Close()
		go u.finish()
	})
}

// finish is the goroutine that ends everything, in the order that
// docs/architecture.md has for stacks. Close and the link's Wait join it.
func (u *Uplink) finish() {
	defer close(u.closed)
	u.tcp.closing()
	u.udp.closing()
	if u.gw != nil {
		u.gw.Close()
	}
	u.work.Wait()
	u.far.Close()
	u.far.Wait()
	if u.gw != nil {
		u.gw.Wait()
	}
}
