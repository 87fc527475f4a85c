package hostnet

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Keepalive of both sides, Linux's net.ipv4.tcp_keepalive_{time,intvl,probes}: it
// ends what nobody ended, and RFC 5382 REQ-5 wants idle connections to live for
// 2 hours and 4 minutes at least.
const (
	keepaliveIdle     = 2 * time.Hour
	keepaliveInterval = 75 * time.Second
	keepaliveCount    = 9
)

// keepalive are the options of the gateway's endpoints.
var keepalive = func() []tcpip.SettableSocketOption {
	idle, interval := tcpip.KeepaliveIdleOption(keepaliveIdle), tcpip.KeepaliveIntervalOption(keepaliveInterval)
	return []tcpip.SettableSocketOption{&idle, &interval}
}()

// connector holds back the stack's SYNs until the machine has connected.
type connector struct {
	u         *Uplink
	forwarder *tcp.Forwarder
	dialer    net.Dialer

	mu    sync.Mutex
	dials map[stack.TransportEndpointID]*dial
	conns map[*conn]struct{} // nil once closed

	listeners []net.Listener // published
}

// A dial is a connection that the machine is making for the stack. It stays in
// the table until the stack has its endpoint or its refusal, so that a SYN that
// is sent again starts no second one.
type dial struct {
	id     stack.TransportEndpointID
	syn    *stack.PacketBuffer // owned
	cancel context.CancelFunc
	seen   time.Time // of the last SYN
	ready  chan *tcp.ForwarderRequest
	gone   <-chan struct{} // nobody receives from ready any more
}

func (c *connector) init(u *Uplink) {
	c.u = u
	c.dials, c.conns = map[stack.TransportEndpointID]*dial{}, map[*conn]struct{}{}
	c.forwarder = tcp.NewForwarder(u.gw, 0, u.cfg.MaxDials, c.answer)
	c.dialer = net.Dialer{Control: u.cfg.Control, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: keepaliveIdle, Interval: keepaliveInterval, Count: keepaliveCount,
	}}
	u.gw.SetTransportProtocolHandler(tcp.ProtocolNumber, c.handle)
}

// handle takes the segments that no endpoint of the gateway wants. What is not
// the first of a connection gets netstack's reset.
func (c *connector) handle(id stack.TransportEndpointID, pkt *stack.PacketBuffer) bool {
	flags := header.TCP(pkt.TransportHeader().Slice()).Flags()
	const decisive = header.TCPFlagSyn | header.TCPFlagAck | header.TCPFlagRst | header.TCPFlagFin
	if flags&decisive != header.TCPFlagSyn {
		return false
	}
	if !soundTCP(id, pkt) {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if d := c.dials[id]; d != nil {
		d.seen = now
		return true
	}
	if c.dials == nil || len(c.conns)+len(c.dials) >= c.u.cfg.MaxConns {
		c.u.stats.connsFull.Add(1)
		return true
	}
	if len(c.dials) >= c.u.cfg.MaxDials {
		c.u.stats.dialsEvicted.Add(1)
		c.evict()
		return true // the SYN comes again
	}
	ctx, cancel := context.WithTimeout(c.u.ctx, c.u.cfg.DialTimeout)
	d := &dial{
		id: id, syn: pkt.Clone(), cancel: cancel, seen: now,
		ready: make(chan *tcp.ForwarderRequest), gone: ctx.Done(),
	}
	c.dials[id] = d
	c.u.work.Go(func() { c.run(ctx, d) })
	return true
}

// evict ends the attempt whose program has been silent the longest: it may have
// given up. The caller has the lock.
func (c *connector) evict() {
	var oldest *dial
	for _, d := range c.dials {
		if oldest == nil || d.seen.Before(oldest.seen) {
			oldest = d
		}
	}
	oldest.cancel()
}

// run connects and lets the stack know.
func (c *connector) run(ctx context.Context, d *dial) {
	defer c.forget(d)
	defer d.cancel()
	from, to := ends(d.id)
	outer, why := c.connect(ctx, to)
	switch {
	case outer != nil:
		c.u.stats.connects.Add(1)
		c.establish(d, outer)
		return
	case ctx.Err() == nil:
		c.u.stats.connectsFailed.Add(1)
	}
	switch why {
	case silent:
	case portUnreachable:
		c.u.gw.TransportProtocolInstance(tcp.ProtocolNumber).HandleUnknownDestinationPacket(d.id, d.syn)
	default:
		c.u.reject(from.Addr(), quote(d.syn), why)
	}
}

// forget ends a dial.
func (c *connector) forget(d *dial) {
	c.mu.Lock()
	delete(c.dials, d.id)
	c.mu.Unlock()
	d.syn.DecRef()
}

// connect makes the machine's connection, or says why there is none.
func (c *connector) connect(ctx context.Context, to netip.AddrPort) (*net.TCPConn, reason) {
	target, v := c.u.judge(ctx, "tcp", to)
	switch v {
	case forward:
		return c.dialOne(ctx, target)
	case toDNS:
		return c.dialNameserver(ctx)
	case refuse:
		return nil, portUnreachable
	case absent:
		return nil, hostUnreachable
	case prohibited:
		return nil, adminProhibited
	}
	return nil, silent
}

func (c *connector) dialOne(ctx context.Context, to netip.AddrPort) (*net.TCPConn, reason) {
	conn, err := c.dialer.DialContext(ctx, "tcp", to.String())
	if err != nil {
		why := reasonOf(err)
		if why == silent && ctx.Err() == nil {
			c.u.cfg.Logger.Warn("connecting failed", "to", to, "why", err)
		}
		return nil, why
	}
	return conn.(*net.TCPConn), silent
}

// answer is netstack's call on a goroutine of its own for a SYN that establish
// has given it.
func (c *connector) answer(req *tcp.ForwarderRequest) {
	c.mu.Lock()
	d := c.dials[req.ID()]
	c.mu.Unlock()
	if d == nil {
		req.Complete(false)
		return
	}
	select {
	case d.ready <- req:
	case <-d.gone:
		req.Complete(false)
	}
}

// establish completes the stack's handshake over a connection that the machine
// has made.
func (c *connector) establish(d *dial, outer *net.TCPConn) {
	c.forwarder.HandlePacket(d.id, d.syn)
	var req *tcp.ForwarderRequest
	select {
	case req = <-d.ready:
	case <-d.gone:
		reset(outer)
		return
	}
	var queue waiter.Queue
	ep, err := req.CreateEndpoint(&queue)
	req.Complete(false)
	if err != nil { // the program has given up
		c.u.stats.abandoned.Add(1)
		reset(outer)
		return
	}
	c.join(ep, &queue, outer)
}

// join makes a connection of the gateway and one of the machine two halves of
// one.
func (c *connector) join(ep endpoint, queue *waiter.Queue, outer *net.TCPConn) {
	ep.SocketOptions().SetKeepAlive(true)
	for _, opt := range keepalive {
		ep.SetSockOpt(opt)
	}
	ep.SocketOptions().SetDelayOption(false) // the sender has gathered what it wanted to
	cn := &conn{c: c, ep: ep, queue: queue, outer: outer, inDone: make(chan struct{}), outDone: make(chan struct{})}
	c.mu.Lock()
	if c.conns == nil { // the uplink is closing
		c.mu.Unlock()
		reset(outer)
		ep.Abort()
		ep.Close()
		return
	}
	c.conns[cn] = struct{}{}
	c.u.work.Go(cn.outward)
	c.u.work.Go(cn.inward)
	c.mu.Unlock()
}

// reset closes a connection of the machine with a reset instead of a FIN.
func reset(outer *net.TCPConn) {
	outer.SetLinger(0) // fails only where Close does nothing either
	outer.Close()
}

// count returns how many connections are open, and being made.
func (c *connector) count() (conns, dials int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.conns), len(c.dials)
}

// closing refuses what is new and ends what is old.
func (c *connector) closing() {
	c.mu.Lock()
	conns, listeners := c.conns, c.listeners
	c.conns, c.dials, c.listeners = nil, nil, nil
	c.mu.Unlock()
	for _, l := range listeners {
		l.Close()
	}
	for cn := range conns {
		cn.leave()
	}
}
