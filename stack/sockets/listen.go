package sockets

import (
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/ports"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Listen makes the socket accept connections (listen(2)), on a free port when
// it is not bound. The backlog counts connections that wait for Accept: less
// than 0 is 0, more than SOMAXCONN is SOMAXCONN, and as on Linux one more than
// it fits. Calling it again changes the backlog. Errors: EOPNOTSUPP for
// SOCK_DGRAM, EINVAL on a connected socket, EADDRINUSE, after which the socket
// is still bound.
//
// With a backlog of 0 the socket admits two connections where Linux admits one:
// at less, netstack would answer each with a SYN cookie, which costs the
// connection window scaling and SACK (T6).
func (s *Socket) Listen(backlog int) error {
	if s.dead() {
		return s.error("listen", ErrClosed)
	}
	return s.error("listen", s.d.listen(min(max(backlog, 0), SOMAXCONN)))
}

// leastBacklog is the least that netstack serves without SYN cookies.
const leastBacklog = 2

func (d *description) listen(backlog int) error {
	if d.unix != nil {
		return d.unix.listen(backlog).orNil()
	}
	if !d.isTCP() {
		return EOPNOTSUPP
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.phase != unconnected {
		return EINVAL
	}
	ep := d.ep.Load()
	again := tcp.EndpointState(ep.State()) == tcp.StateListen
	if !again && (d.reclaimLocked() != 0 || d.portHasListener(ep)) {
		return EADDRINUSE // netstack would find out too late, and throw the binding away (T12)
	}
	if terr := d.takePortLocked(); terr != nil {
		return EADDRINUSE
	}
	terr := ep.Listen(max(backlog+1, leastBacklog))
	if _, shrunk := terr.(*tcpip.ErrInvalidEndpointState); shrunk && again {
		return nil // fewer places than connections that wait (T13): they may stay
	}
	if terr != nil {
		if tcp.EndpointState(ep.State()) == tcp.StateClose {
			d.replaceLocked() // another socket was faster
		}
		return errnoOf(terr)
	}
	return nil
}

// portHasListener reports whether another socket listens where ep is bound.
func (d *description) portHasListener(ep tcpip.Endpoint) bool {
	local, terr := ep.GetLocalAddress()
	if terr != nil || local.Port == 0 {
		return false
	}
	so := ep.SocketOptions()
	nets := []tcpip.NetworkProtocolNumber{d.network()}
	switch {
	case local.Addr.Len() == header.IPv4AddressSize:
		nets[0] = header.IPv4ProtocolNumber
	case local.Addr.Len() == 0 && d.family == AF_INET6 && !so.GetV6Only():
		nets = append(nets, header.IPv4ProtocolNumber)
	}
	id := stack.TransportEndpointID{LocalPort: local.Port, LocalAddress: local.Addr}
	flags := ports.Flags{TupleOnly: so.GetReuseAddress(), LoadBalanced: so.GetReusePort()}
	dev := tcpip.NICID(so.GetBindToDevice())
	return d.host.gv.CheckRegisterTransportEndpoint(nets, d.transport, id, flags, dev) != nil
}

// Accept takes the next connection (accept(2)): a new socket with the Host's
// default timeout and the listener's options, and the peer's address. Errors:
// EINVAL when the socket does not listen, EOPNOTSUPP for SOCK_DGRAM, EAGAIN when
// it is non-blocking and no connection waits, EMFILE, ErrTimeout.
func (s *Socket) Accept(opts ...CallOption) (*Socket, Sockaddr, error) {
	c := s.receiving(opts)
	if s.d.unix != nil {
		n, peer, err := s.acceptUnix(&c)
		if err != nil {
			return nil, nil, err
		}
		return n, UnixAddr{peer}, nil
	}
	n, peer, err := s.accept(&c)
	if err != nil {
		return nil, nil, err
	}
	return n, sockaddr(s.d.family, peer), nil
}

func (s *Socket) accept(c *call) (*Socket, netip.AddrPort, error) {
	defer c.done()
	for {
		if s.dead() {
			return nil, netip.AddrPort{}, s.error("accept", ErrClosed)
		}
		if err := s.host.table.full(); err != nil {
			return nil, netip.AddrPort{}, s.error("accept", err) // the connection stays in the queue, as on Linux
		}
		var peer tcpip.FullAddress
		ep, wq, terr := s.d.ep.Load().Accept(&peer)
		switch {
		case terr == nil:
			n, err := s.host.newSocket("accept", s.d.adopt(ep, wq))
			return n, addrPort(peer), err
		case !wouldBlock(terr):
			return nil, netip.AddrPort{}, s.terror("accept", terr)
		}
		if err := c.again(); err != nil {
			return nil, netip.AddrPort{}, s.error("accept", err)
		}
	}
}

// Shutdown closes one or both directions (shutdown(2)). After SHUT_RD, Recv
// gives what has arrived or still arrives, and otherwise end of file; on a
// listener it ends listening, and Listen begins anew. After SHUT_WR the peer
// sees end of file and sending is EPIPE. Errors: ENOTCONN, which on a UDP socket
// does not keep the call from taking effect, and EINVAL.
func (s *Socket) Shutdown(how How) error {
	switch {
	case s.dead():
		return s.error("shutdown", ErrClosed)
	case how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR:
		return s.error("shutdown", EINVAL)
	case s.d.unix != nil:
		s.d.unix.shutdown(how)
		return nil
	case s.d.kind == onPacket:
		return s.error("shutdown", EOPNOTSUPP)
	case !s.d.isTCP():
		return s.error("shutdown", s.d.shutdownDatagram(how))
	}
	return s.error("shutdown", s.d.shutdownTCP(how))
}

func (d *description) shutdownTCP(how How) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	ep := d.ep.Load()
	switch state := tcp.EndpointState(ep.State()); {
	case state == tcp.StateListen:
		if how != SHUT_WR {
			// Netstack would go on listening (T5). A fresh endpoint on the same
			// port resets the connections that wait, as Linux does.
			d.replaceLocked()
		}
		return nil
	case state == tcp.StateSynSent || state == tcp.StateConnecting:
		d.replaceAsLocked(ECONNRESET)
		return nil
	}
	d.shutPhaseLocked(ep)
	defer d.wq.Notify(lookAgain)
	if how != SHUT_WR {
		// Only a flag: telling the endpoint would reset the connection if there
		// were unread data and the other direction closed too (T4).
		d.rdShut.Store(true)
	}
	if how != SHUT_RD {
		d.wrShut.Store(true)
	}
	if !tcpConnected(ep) || tcpGone(ep) {
		return ENOTCONN // but the flags stay, also for a later connection
	}
	if how != SHUT_RD {
		if terr := ep.Shutdown(tcpip.ShutdownWrite); terr != nil {
			return errnoOf(terr)
		}
		d.letGo(ep)
	}
	if d.rdShut.Load() && d.wrShut.Load() {
		d.refuseData(ep)
	}
	return nil
}

// refuseData makes what a peer still sends reset the connection, once both
// directions are shut and the peer has not closed its own (RFC 1122, 4.2.2.13).
// Netstack does so when it is told, but resets at once if there is unread data
// (T4): that is held here from now on.
func (d *description) refuseData(ep tcpip.Endpoint) {
	if state := tcp.EndpointState(ep.State()); state != tcp.StateFinWait1 && state != tcp.StateFinWait2 {
		return
	}
	r := &d.reading
	r.mu.Lock()
	defer r.mu.Unlock()
	buf := lookBuffers.Get().(*[pullSize]byte)
	defer lookBuffers.Put(buf)
	for {
		w := scatterOver(buf[:])
		res, terr := ep.Read(w, tcpip.ReadOptions{})
		w.free()
		if terr != nil {
			break
		}
		d.count().received.Add(uint64(res.Count))
		r.addLocked(buf[:res.Count])
	}
	ep.Shutdown(tcpip.ShutdownRead)
}

func (d *description) shutdownDatagram(how How) error {
	// Only flags: netstack would drop what arrives later, and Linux does not.
	if how != SHUT_WR {
		d.rdShut.Store(true)
	}
	if how != SHUT_RD {
		d.wrShut.Store(true)
	}
	d.wq.Notify(lookAgain)
	if !d.hasDestination(nil) {
		return ENOTCONN
	}
	return nil
}
