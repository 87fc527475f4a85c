package hostnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Publish lets the network in: what arrives on a port of the machine goes to one
// of the stack's. Network is "tcp" or "udp". The address of listen may be zero
// for all of the machine's, of both IP versions; port 0 lets the machine choose.
// The address of to may be zero or unspecified for the stack's own, of the
// client's IP version. Publish returns the address on the machine. It ends with
// the uplink.
//
// The stack sees the client's own address and port, except where it could not
// tell that from its own network: clients on the machine's loopback, of the other
// IP version, with link-local addresses, or with addresses of the link's
// networks appear as the gateway. The port, too, is the client's wherever that
// is free.
//
// A stack's socket that refuses resets the client; the machine has accepted the
// connection by then. One UDP socket of the stack can be published once.
//
// The errors are those of bind(2), such as syscall.EADDRINUSE and, for a port
// that needs privileges, syscall.EACCES.
func (u *Uplink) Publish(network string, listen, to netip.AddrPort) (net.Addr, error) {
	var addr net.Addr
	var err error
	switch network {
	case "tcp":
		addr, err = u.publishTCP(listen, to)
	case "udp":
		addr, err = u.publishUDP(listen, to)
	default:
		err = net.UnknownNetworkError(network)
	}
	if errors.Is(err, syscall.EACCES) {
		err = fmt.Errorf("%w (low ports take CAP_NET_BIND_SERVICE, or a lower net.ipv4.ip_unprivileged_port_start)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("hostnet: publishing %s port %d: %w", network, listen.Port(), err)
	}
	return addr, nil
}

// familyOf returns a network with the IP version that an address asks for.
func familyOf(network string, a netip.Addr) string {
	switch {
	case !a.IsValid():
		return network
	case a.Is4():
		return network + "4"
	}
	return network + "6"
}

// hostPort returns an address as package net takes it.
func hostPort(a netip.AddrPort) string {
	if !a.Addr().IsValid() {
		return fmt.Sprintf(":%d", a.Port())
	}
	return a.String()
}

func (u *Uplink) publishTCP(listen, to netip.AddrPort) (net.Addr, error) {
	lc := net.ListenConfig{Control: u.cfg.Control, KeepAliveConfig: u.tcp.dialer.KeepAliveConfig}
	lc.SetMultipathTCP(false) // the stack could not tell
	l, err := lc.Listen(u.ctx, familyOf("tcp", listen.Addr()), hostPort(listen))
	if err != nil {
		return nil, err
	}
	if !u.tcp.listen(l) {
		return nil, errors.Join(net.ErrClosed, l.Close())
	}
	u.work.Go(func() { u.accept(l.(*net.TCPListener), to) })
	return l.Addr(), nil
}

// listen keeps a listener until the uplink closes. It reports false when it has.
func (c *connector) listen(l net.Listener) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conns == nil {
		return false
	}
	c.listeners = append(c.listeners, l)
	return true
}

// accept is the goroutine of a listener. The uplink's end closes the listener.
func (u *Uplink) accept(l *net.TCPListener, to netip.AddrPort) {
	for {
		outer, err := l.AcceptTCP()
		switch {
		case err == nil:
			u.work.Go(func() { u.enter(outer, to) })
		case u.ctx.Err() != nil:
			return
		default: // such as a want of descriptors: the connection waits in the backlog
			u.cfg.Logger.Warn("accepting failed", "on", l.Addr(), "why", err)
			if !sleep(u.ctx, acceptPause) {
				return
			}
		}
	}
}

// enter brings a client's connection to the stack.
func (u *Uplink) enter(outer *net.TCPConn, to netip.AddrPort) {
	if conns, dials := u.tcp.count(); conns+dials >= u.cfg.MaxConns {
		u.stats.connsFull.Add(1)
		reset(outer)
		return
	}
	client := unmap(outer.RemoteAddr().(*net.TCPAddr).AddrPort())
	to = u.inside(to, client.Addr())
	src, own := u.asClient(client, to.Addr())
	var queue waiter.Queue
	ep, err := u.connectIn(&queue, src, to)
	if _, taken := err.(*tcpip.ErrPortInUse); taken {
		ep, err = u.connectIn(&queue, netip.AddrPortFrom(src.Addr(), 0), to)
	}
	if err != nil {
		u.cfg.Logger.Debug("the stack refused a client", "client", client, "own", own, "to", to, "why", err)
		reset(outer)
		return
	}
	u.stats.accepted.Add(1)
	u.tcp.join(ep, &queue, outer)
}

// inside returns where a client goes.
func (u *Uplink) inside(to netip.AddrPort, client netip.Addr) netip.AddrPort {
	switch a := to.Addr(); {
	case a.IsValid() && !a.IsUnspecified():
		return to
	case a.IsValid() && a.Is4() || !a.IsValid() && client.Is4():
		return netip.AddrPortFrom(u.cfg.Addr4.Addr(), to.Port())
	}
	return netip.AddrPortFrom(u.cfg.Addr6.Addr(), to.Port())
}

// asClient returns the address under which a stack's socket sees a client, and
// whether that is the client's own.
func (u *Uplink) asClient(client netip.AddrPort, to netip.Addr) (src netip.AddrPort, own bool) {
	a := client.Addr()
	if a.Is4() == to.Is4() && a.Zone() == "" && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !u.onLink(a) && routable(a) {
		return client, true
	}
	return netip.AddrPortFrom(u.gatewayFor(to.Is4()), client.Port()), false
}

// connectIn connects to the stack from an address that is not the gateway's.
func (u *Uplink) connectIn(queue *waiter.Queue, src, to netip.AddrPort) (tcpip.Endpoint, tcpip.Error) {
	ep, err := u.gw.NewEndpoint(tcp.ProtocolNumber, protocolOf(to.Addr()), queue)
	if err != nil {
		return nil, err
	}
	entry, ready := waiter.NewChannelEntry(waiter.WritableEvents | waiter.EventHUp | waiter.EventErr)
	queue.EventRegister(&entry)
	defer queue.EventUnregister(&entry)
	if err = ep.Bind(fullAddress(src)); err == nil {
		err = ep.Connect(fullAddress(to))
	}
	if _, started := err.(*tcpip.ErrConnectStarted); started {
		ctx, cancel := context.WithTimeout(u.ctx, u.cfg.DialTimeout)
		defer cancel()
		select {
		case <-ready:
			err = ep.LastError()
		case <-ctx.Done():
			err = &tcpip.ErrTimeout{}
		}
	}
	if err != nil {
		ep.Abort()
		ep.Close()
		return nil, err
	}
	return ep, nil
}

func (u *Uplink) publishUDP(listen, to netip.AddrPort) (net.Addr, error) {
	if listen.Addr().IsValid() {
		return u.publishOneUDP(listen, to)
	}
	addr, err := u.publishOneUDP(netip.AddrPortFrom(netip.IPv4Unspecified(), listen.Port()), to)
	if err != nil || to.Addr().Is4() {
		return addr, err
	}
	port := addr.(*net.UDPAddr).AddrPort().Port()
	if to.Addr().IsValid() && !to.Addr().IsUnspecified() {
		return addr, nil // one socket of the stack has one of the machine's
	}
	_, err = u.publishOneUDP(netip.AddrPortFrom(netip.IPv6Unspecified(), port), to)
	if errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) {
		err = nil // a machine without IPv6
	}
	return addr, err
}

func (u *Uplink) publishOneUDP(listen, to netip.AddrPort) (net.Addr, error) {
	f := &flow{key: flowKey{proto: udp.ProtocolNumber, src: u.inside(to, listen.Addr())}, pinned: true}
	if old := u.udp.get(f.key); old != nil && old.pinned {
		return nil, fmt.Errorf("%v of the stack is published already: %w", f.key.src, syscall.EADDRINUSE)
	}
	c, err := u.listenUDP(familyOf("udp", listen.Addr()), listen.String())
	if err != nil {
		return nil, err
	}
	f.sock = c
	if !u.udp.add(f, u.receiveFlow) {
		return nil, net.ErrClosed
	}
	return c.LocalAddr(), nil
}

// unmap returns an IPv4 address for an IPv4-mapped one.
func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// acceptPause is how long a listener rests when accept(2) fails.
const acceptPause = 100 * time.Millisecond

// sleep waits, and reports false when ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
