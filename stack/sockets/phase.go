package sockets

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/userstack/userstack/stack/internal/translate"
)

// A phase is what connect(2) has told about a TCP socket: Linux's sock->state.
// It lags behind the connection, which may be there, or be over, before a
// connect has said so, and what a connect says depends on it alone.
type phase int8

const (
	unconnected   phase = iota
	connecting          // an attempt was started, and no call has told its end
	connected           // told, accepted, or shut down since
	disconnecting       // shut down after the attempt had failed
)

// tryConnect starts a connect or asks how it ended. The error is nil,
// EINPROGRESS, EALREADY, or why the attempt failed; then the endpoint has been
// replaced.
func (d *description) tryConnect(dst netip.AddrPort) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch d.phase {
	case connected:
		return EISCONN
	case disconnecting:
		return EINVAL
	case connecting:
		return d.progressLocked(EALREADY)
	}
	if tcp.EndpointState(d.ep.Load().State()) == tcp.StateListen {
		return EISCONN // T20
	}
	if !dst.IsValid() {
		return EAFNOSUPPORT
	}
	full, errno := d.connectDestination(dst)
	if errno != 0 {
		return errno
	}
	if d.reclaimLocked() != 0 {
		return EADDRNOTAVAIL
	}
	former := d.soErr.Swap(0) // of an earlier connection; that of this one may come at once
	terr := d.startConnectLocked(d.ep.Load(), full)
	if _, started := terr.(*tcpip.ErrConnectStarted); terr != nil && !started {
		d.setError(Errno(former))
	}
	switch terr.(type) {
	case nil, *tcpip.ErrConnectStarted:
		d.phase = connecting
		return EINPROGRESS // even when it has ended meanwhile: the next call tells
	case *tcpip.ErrNoPortAvailable:
		d.replaceLocked()
		return EADDRNOTAVAIL
	default:
		d.replaceLocked()
		return d.unreachable(errnoOf(terr))
	}
}

// progressLocked says how the attempt that is under way ended, or returns busy
// when it has not.
func (d *description) progressLocked(busy Errno) error {
	switch ep := d.ep.Load(); tcp.EndpointState(ep.State()) {
	case tcp.StateConnecting, tcp.StateSynSent, tcp.StateSynRecv:
		return busy
	case tcp.StateInitial, tcp.StateBound, tcp.StateError, tcp.StateClose, tcp.StateTimeWait:
		errno := d.takeError()
		if errno == 0 {
			errno = ECONNABORTED // SO_ERROR has told why, as on Linux
		}
		d.replaceLocked()
		return errno
	}
	d.phase = connected
	return nil
}

func (d *description) giveUpConnect() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.phase == connecting && !tcpConnected(d.ep.Load()) {
		d.replaceLocked()
	}
}

// shutPhaseLocked is what shutdown(2) does to the phase.
func (d *description) shutPhaseLocked(ep tcpip.Endpoint) {
	switch {
	case d.phase != connecting:
	case tcpConnected(ep) && !tcpGone(ep):
		d.phase = connected
	default:
		d.phase = disconnecting
	}
}

// connectDestination is destination for connect(2), which wants the interface of
// a link-local address.
func (d *description) connectDestination(dst netip.AddrPort) (tcpip.FullAddress, Errno) {
	if dst.Addr().Is4() && d.family == AF_INET6 && d.ep.Load().SocketOptions().GetV6Only() {
		return tcpip.FullAddress{}, EAFNOSUPPORT
	}
	full, errno := d.destination(dst)
	linkLocal := dst.Addr().IsLinkLocalUnicast() || dst.Addr().IsLinkLocalMulticast()
	if errno == 0 && linkLocal && dst.Addr().Is6() && !dst.Addr().Is4In6() && dst.Addr().Zone() == "" &&
		d.ep.Load().SocketOptions().GetBindToDevice() == 0 {
		return full, EINVAL
	}
	return full, errno
}

// tryConnectDatagram sets the peer of a socket without connections.
func (d *description) tryConnectDatagram(dst netip.AddrPort) error {
	full, errno := d.connectDestination(dst)
	if errno != 0 {
		return errno
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	ep := d.ep.Load()
	if !ep.SocketOptions().GetBroadcast() && full.Addr.Len() == header.IPv4AddressSize &&
		d.notUnicast(full) && !header.IsV4MulticastAddress(full.Addr) {
		return EACCES
	}
	switch terr := d.startConnectLocked(ep, full); terr.(type) {
	case nil:
		d.redirectCorked(full)
		return nil
	case *tcpip.ErrNoPortAvailable:
		return EAGAIN
	default:
		return d.unreachable(errnoOf(terr))
	}
}

// unreachable is errno, but EINVAL when a socket bound to 127.0.0.0/8 has no
// route: Linux refuses to send from there to other hosts.
func (d *description) unreachable(errno Errno) Errno {
	local, terr := d.ep.Load().GetLocalAddress()
	if errno == ENETUNREACH && terr == nil && addrPort(local).Addr().Is4() && addrPort(local).Addr().IsLoopback() {
		return EINVAL
	}
	return errno
}

// listening reports whether the socket listens. Poll does not show a listener's
// pending error.
func (d *description) listening() bool {
	return d.isTCP() && tcp.EndpointState(d.ep.Load().State()) == tcp.StateListen
}

// reviveLocked makes a socket that was never bound and whose connect failed fit
// for bind(2), with all that can be seen of the failure.
func (d *description) reviveLocked() {
	if d.phase != connecting && d.phase != disconnecting || d.bound.IsValid() || tcp.EndpointState(d.ep.Load().State()) != tcp.StateError {
		return
	}
	if d.unread() > 0 {
		return // there was a connection, and what it brought can still be read
	}
	d.pullError()
	d.refreshLocked()
	d.rdShut.Store(true)
	d.wrShut.Store(true)
}

// refreshLocked is replaceLocked that nobody may notice.
func (d *description) refreshLocked() {
	phase, rd, wr := d.phase, d.rdShut.Load(), d.wrShut.Load()
	d.replaceLocked()
	d.phase = phase
	d.rdShut.Store(rd)
	d.wrShut.Store(wr)
}

// reclaimLocked binds the endpoint to where the socket is bound, if it is not yet:
// a connection that the socket had, or that a listener accepted, may have the
// port for a while.
func (d *description) reclaimLocked() Errno {
	ep, to := d.ep.Load(), d.bound
	if !to.IsValid() && d.kept != nil {
		to = netip.AddrPortFrom(*d.kept, 0)
	}
	if !to.IsValid() || d.isTCP() && tcp.EndpointState(ep.State()) != tcp.StateInitial {
		return 0
	}
	full, errno := bindAddress(d.host.stack, to)
	if errno != 0 {
		return errno
	}
	return errnoOf(ep.Bind(full))
}

// bindOnceLocked is bindTo that knows of a port which reclaimLocked has to get
// back.
func (d *description) bindOnceLocked(ep tcpip.Endpoint, full tcpip.FullAddress) tcpip.Error {
	if d.isTCP() && d.bound.IsValid() {
		return &tcpip.ErrAlreadyBound{}
	}
	return d.bindTo(ep, full)
}

// autobind gives a UDP socket a port when err is a failure. On Linux every send
// and connect does so before it looks at anything else.
func (d *description) autobind(err error) error {
	if _, failed := err.(Errno); !failed || d.kind != onUDP {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.hasPort() && d.refs.Load() > 0 {
		d.bindTo(d.ep.Load(), tcpip.FullAddress{})
	}
	return err
}

// hasPort reports whether the socket has a local port, its own or netstack's
// choice.
func (d *description) hasPort() bool {
	ep := d.endpoint()
	local, terr := ep.GetLocalAddress()
	failed := d.isTCP() && tcp.EndpointState(ep.State()) == tcp.StateError && d.phase != connected
	return d.bound.IsValid() || terr == nil && local.Port != 0 && !failed
}

// boundLocked is called after a bind to an address. One of IPv6 alone makes the
// socket one of IPv6 alone, and Linux says so in IPV6_V6ONLY.
func (d *description) boundLocked(ep tcpip.Endpoint, a netip.Addr) {
	if d.kind&onInet == 0 || !a.Is6() || a.Is4In6() || a.IsUnspecified() {
		return
	}
	o, on := options[optionKey{SOL_IPV6, IPV6_V6ONLY}], intBytes(1)
	o.set(d, ep, on)
	d.recordLocked(o, on)
}

// local reports whether a socket may be bound to an address: one of the
// stack's, any, or for many.
func (d *description) local(full tcpip.FullAddress) bool {
	addr := translate.NetipAddr(full.Addr)
	return !addr.IsValid() || addr.Unmap().IsUnspecified() || d.notUnicast(full) ||
		d.host.gv.CheckLocalAddress(full.NIC, translate.Protocol(addr), full.Addr) != 0
}
