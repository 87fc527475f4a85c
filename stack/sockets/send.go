package sockets

import (
	"context"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Send sends p (send(2)). A blocking TCP socket takes all of it; one with a
// timeout may take a part and say how much; a non-blocking one takes what fits
// or returns EAGAIN. A datagram goes whole or not at all.
//
// MSG_DONTWAIT makes this call non-blocking; MSG_OOB is EOPNOTSUPP, as netstack
// has no urgent data. Errors: EPIPE on a TCP socket that is not connected or is
// shut for writing, EDESTADDRREQ on a datagram socket without a peer, EMSGSIZE,
// ECONNRESET and others of the network.
func (s *Socket) Send(p []byte, opts ...CallOption) (int, error) {
	c := s.sending(opts)
	n, err := s.send(p, nil, &c)
	return n, s.error("send", err)
}

// SendAll sends all of p with one time limit over all of it, and returns how
// much it sent also when it fails.
func (s *Socket) SendAll(p []byte, opts ...CallOption) (int, error) {
	c := s.sending(opts)
	c.whole = true
	n, err := s.send(p, nil, &c)
	return n, s.error("sendall", err)
}

// SendTo sends a datagram to a (sendto(2)), binding the socket to a free port if
// it has none. A TCP socket ignores the address, as Linux does. Errors beside
// Send's: EINVAL for port 0, EACCES for a broadcast address without
// SO_BROADCAST, EAFNOSUPPORT.
func (s *Socket) SendTo(p []byte, a Sockaddr, opts ...CallOption) (int, error) {
	c := s.sending(opts)
	if s.d.unix != nil {
		r := gatherOver(p)
		defer r.free()
		n, err := s.sendUnix(r, a, nil, &c)
		return n, s.withRemote("sendto", a, err)
	}
	if s.d.isTCP() && c.flags&MSG_FASTOPEN != 0 {
		if err := s.connectForSend(a, opts); err != nil {
			return 0, s.withRemote("sendto", a, err)
		}
	}
	if a == nil || s.d.isTCP() {
		n, err := s.send(p, nil, &c)
		return n, s.withRemote("sendto", a, err)
	}
	if s.dead() {
		return 0, s.error("sendto", ErrClosed)
	}
	full, err := s.to(c.ctx, a)
	if err != nil {
		return 0, s.withRemote("sendto", a, s.d.autobind(err))
	}
	n, err := s.send(p, &full, &c)
	return n, s.withRemote("sendto", a, err)
}

// sending returns a call that waits for room to send.
func (s *Socket) sending(opts []CallOption) call {
	return s.newCall(waiter.WritableEvents, s.d.sndLimit(), opts)
}

func (s *Socket) sendTo(p []byte, dst netip.AddrPort, c *call) (int, error) {
	full, errno := s.d.sendDestination(dst)
	if errno != 0 {
		return 0, errno
	}
	return s.send(p, &full, c)
}

// to returns the destination of a datagram.
func (s *Socket) to(ctx context.Context, a Sockaddr) (tcpip.FullAddress, error) {
	if s.d.kind == onPacket {
		full, errno := linkTarget(a)
		return full, errno.orNil()
	}
	ap, err := s.peer(ctx, a)
	if err != nil {
		return tcpip.FullAddress{}, err
	}
	full, errno := s.d.sendDestination(ap)
	return full, errno.orNil()
}

// sendDestination is destination for a datagram, with a check of its port.
func (d *description) sendDestination(dst netip.AddrPort) (tcpip.FullAddress, Errno) {
	if errno := d.checkDatagramPort(dst); errno != 0 {
		return tcpip.FullAddress{}, errno
	}
	return d.destination(dst)
}

// send sends p, to a destination or, when to is nil, to the peer.
func (s *Socket) send(p []byte, to *tcpip.FullAddress, c *call) (n int, err error) {
	r := gatherOver(p)
	defer r.free()
	return s.sendGather(r, tcpip.WriteOptions{To: to}, c)
}

// sendGather sends what r holds. The error is an Errno, one of this
// package's, or a context's. n is exact in any case.
func (s *Socket) sendGather(r *gather, opts tcpip.WriteOptions, c *call) (n int, err error) {
	if s.d.unix != nil {
		return s.sendUnix(r, nil, nil, c)
	}
	size := r.Len()
	switch {
	case s.dead():
		return 0, ErrClosed
	case c.flags&MSG_OOB != 0 && s.d.isTCP():
		return 0, EOPNOTSUPP
	case size == 0 && s.d.isTCP():
		return 0, s.sendable(c)
	case s.d.isTCP() && s.d.wrShut.Load():
		return 0, s.sendError(&tcpip.ErrClosedForSend{}) // netstack does not know of what came before the connection
	}
	if s.d.isTCP() {
		if errno := s.d.takeError(); errno != 0 {
			return 0, errno
		}
		defer c.done()
		return s.sendStream(r, c)
	}
	return s.sendDatagram(r, opts.To, nil, c)
}

// sendDatagram is sendGather for a datagram, with control messages.
func (s *Socket) sendDatagram(r *gather, to *tcpip.FullAddress, control []ControlMessage, c *call) (int, error) {
	n, err := s.trySendDatagram(r, to, control, c)
	return n, s.d.autobind(err)
}

func (s *Socket) trySendDatagram(r *gather, to *tcpip.FullAddress, control []ControlMessage, c *call) (int, error) {
	size, plain := r.Len(), s.d.isPlain(control, c)
	if !plain {
		size = 0 // what becomes of it is checked when it is known
	}
	if c.flags&MSG_OOB != 0 {
		if errno := s.d.refusesOOB(to); errno != 0 {
			return 0, errno
		}
	}
	if errno := s.d.checkControl(to, control); errno != 0 {
		return 0, errno
	}
	if errno := s.d.maySend(r, size, to); errno != 0 {
		return 0, errno
	}
	if c.flags&MSG_DONTROUTE != 0 {
		if full, _, errno := s.d.target(to); errno == 0 && s.d.viaGateway(full) {
			return 0, ENETUNREACH
		}
	}
	defer c.done()
	if plain {
		return s.write(r, tcpip.WriteOptions{To: to}, c)
	}
	return s.sendShaped(r, to, control, c)
}

// sendStream is sendGather for a connection.
func (s *Socket) sendStream(r *gather, c *call) (int, error) {
	more := c.flags&MSG_MORE != 0
	if !more && !s.d.asked(askMore|askCork) {
		return s.write(r, tcpip.WriteOptions{}, c)
	}
	if more {
		s.d.setMore(true)
	}
	n, err := s.write(r, tcpip.WriteOptions{}, c)
	if !more {
		s.d.setMore(false)
	}
	s.d.flushLater()
	return n, err
}

// write is the wait loop itself.
func (s *Socket) write(r *gather, opts tcpip.WriteOptions, c *call) (n int, err error) {
	size := r.Len()
	watch := s.d.watcher()
	if watch != nil {
		watch.WriteBegins()
		defer watch.WriteEnds()
	}
	for {
		sent, terr := s.d.write(r, opts)
		n += int(sent)
		if sent > 0 && s.d.isTCP() {
			s.d.count().wrote(sent)
		}
		if terr == nil && n == size {
			return n, nil
		}
		if n > 0 && !s.d.sendsAll(c) {
			return n, nil // an error, if there is one, is the next call's, as on Linux
		}
		if terr != nil && !wouldBlock(terr) {
			return n, s.sendError(terr)
		}
		s.d.fillsBuffer()
		r.seek(n) // what did not fit may have been read all the same
		if err := c.againWatched(watch); err != nil {
			return n, partial(n, c, err)
		}
	}
}

// refusesOOB is what MSG_OOB does on a datagram: Linux ignores it on UDP over
// IPv6 alone.
func (d *description) refusesOOB(to *tcpip.FullAddress) Errno {
	if d.kind != onUDP || d.family != AF_INET6 {
		return EOPNOTSUPP
	}
	if _, v6, errno := d.target(to); errno != 0 || v6 {
		return errno
	}
	return EOPNOTSUPP
}

// hasDestination reports whether a datagram for to, or for the peer if to is
// nil, could go anywhere.
func (d *description) hasDestination(to *tcpip.FullAddress) bool {
	if to != nil {
		return true
	}
	return transport.DatagramEndpointState(d.ep.Load().State()) == transport.DatagramEndpointStateConnected
}

// maySend is what is checked before a datagram reaches the endpoint.
func (d *description) maySend(r *gather, size int, to *tcpip.FullAddress) Errno {
	if size > maxDatagram && d.kind&(onRaw|onPacket) == 0 && (d.family == AF_INET || d.hasDestination(to)) {
		return EMSGSIZE
	}
	if d.kind == onUDP && !d.hasDestination(to) && !d.hasCorked() {
		return EDESTADDRREQ
	}
	if to != nil && to.Addr == header.IPv4Broadcast && !d.ep.Load().SocketOptions().GetBroadcast() {
		return EACCES
	}
	if errno := d.takeError(); errno != 0 {
		return errno
	}
	switch {
	case d.kind == onPacket:
		return d.checkPacketSend(r, to)
	case d.kind != onRaw && d.wrShut.Load() && d.hasDestination(to): // Linux's raw sockets do not mind
		return EPIPE
	}
	if d.tooBig(size, to) {
		return d.tellTooBig(to) // T22
	}
	return d.takePort()
}

// partial drops the error of a call that has moved data, unless the call
// promised to move all of it.
func partial(n int, c *call, err error) error {
	if n > 0 && !c.whole {
		return nil
	}
	return err
}

// sendsAll reports whether a call goes on after part of the data was taken: in
// blocking mode and with a time limit of its own, not under the socket's
// timeout.
func (d *description) sendsAll(c *call) bool {
	return c.whole || c.blocks() && (c.bounded || c.ctx != nil || c.limit != nil || d.timeout.Load() < 0)
}

// sendable is what sending no bytes on a TCP socket gives.
func (s *Socket) sendable(c *call) error {
	defer c.done()
	for {
		switch ep := s.d.ep.Load(); tcp.EndpointState(ep.State()) {
		case tcp.StateEstablished, tcp.StateCloseWait:
			if !s.d.wrShut.Load() {
				return nil
			}
			return s.sendError(&tcpip.ErrClosedForSend{})
		case tcp.StateConnecting, tcp.StateSynSent, tcp.StateSynRecv:
		default:
			return s.sendError(&tcpip.ErrClosedForSend{})
		}
		if err := c.again(); err != nil {
			return err
		}
	}
}

// maxDatagram is the most that an IP packet can claim to hold, in bytes.
const maxDatagram = 65535

func (s *Socket) sendError(terr tcpip.Error) error {
	if s.dead() {
		return ErrClosed
	}
	d := s.d
	if !d.isTCP() {
		return errnoOf(terr)
	}
	switch terr.(type) {
	case *tcpip.ErrNotConnected, *tcpip.ErrInvalidEndpointState, *tcpip.ErrClosedForSend:
		if errno := d.takeError(); errno != 0 {
			return errno
		}
		return EPIPE
	}
	d.takeError() // reported now, so SO_ERROR has nothing left to say (T1)
	return errnoOf(terr)
}
