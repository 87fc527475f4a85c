package sockets

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Readiness is made here from what this package knows, in the way of Linux's
// tcp_poll and datagram_poll. Netstack's own Readiness says other things in many
// states: an error for ever once there was one (T2, T16), no hang-up while a
// connection ends, nothing for a write alone when a connect failed.
//
// Whatever changes an answer given here must notify the wait queue afterwards.

// ready returns all that the socket is ready for, POLLNVAL once it is closed.
func (s *Socket) ready() PollEvents {
	if s.dead() {
		return POLLNVAL
	}
	ev := s.d.ready()
	if ev&(POLLERR|POLLHUP|POLLRDHUP) != 0 && s.dead() {
		return POLLNVAL // not what the closing makes of the connection
	}
	return ev
}

func (d *description) ready() PollEvents {
	if d.unix != nil {
		return d.unix.ready()
	}
	var ev PollEvents
	if d.isTCP() {
		ev = d.readyTCP()
	} else {
		ev = d.readyDatagram()
	}
	if !d.listening() && (d.pendingError() != 0 || d.hasQueuedErrors()) {
		ev |= POLLERR
		if d.kind != onTCP && d.asked(askPriority) {
			ev |= POLLPRI // datagram_poll of Linux, not tcp_poll
		}
	}
	return ev
}

// shutEvents are the events of closed directions.
func shutEvents(rd, wr bool) PollEvents {
	var ev PollEvents
	if rd {
		ev |= pollReadable | POLLRDHUP
	}
	if rd && wr {
		ev |= POLLHUP
	}
	return ev
}

func (d *description) readyDatagram() PollEvents {
	ev := shutEvents(d.rdShut.Load(), d.wrShut.Load())
	if d.in.len() > 0 {
		ev |= pollReadable
	}
	if d.ep.Load().Readiness(waiter.WritableEvents)&waiter.EventOut != 0 {
		ev |= pollWritable | POLLWRBAND
	}
	return ev
}

func (d *description) readyTCP() PollEvents {
	ep := d.ep.Load()
	rd, wr := d.rdShut.Load(), d.wrShut.Load()
	switch tcp.EndpointState(ep.State()) {
	case tcp.StateListen:
		if ep.Readiness(waiter.ReadableEvents)&waiter.EventIn != 0 {
			return pollReadable
		}
		return 0
	case tcp.StateConnecting, tcp.StateSynSent, tcp.StateSynRecv:
		return shutEvents(rd, wr)
	case tcp.StateInitial, tcp.StateBound:
		return shutEvents(rd, wr) | pollWritable | POLLHUP
	case tcp.StateEstablished, tcp.StateCloseWait, tcp.StateFinWait1, tcp.StateFinWait2,
		tcp.StateLastAck, tcp.StateClosing:
		return d.readyConnected(ep)
	}
	return shutEvents(true, true) | pollWritable // TIME_WAIT, CLOSED, and netstack's error
}

// readyConnected is readyTCP of a connection that has not ended.
func (d *description) readyConnected(ep tcpip.Endpoint) PollEvents {
	// Netstack announces a FIN before it changes the state, with the endpoint
	// locked. Asking for the size takes the lock, so that what was announced
	// before is in the state that is read after it.
	size, _ := ep.GetSockOptInt(tcpip.ReceiveQueueSizeOption)
	rd, wr := d.rdShut.Load(), d.wrShut.Load()
	switch tcp.EndpointState(ep.State()) {
	case tcp.StateEstablished, tcp.StateFinWait1, tcp.StateFinWait2:
	case tcp.StateCloseWait, tcp.StateLastAck, tcp.StateClosing:
		rd = true
	default: // it has ended meanwhile
		return shutEvents(true, true) | pollWritable
	}
	ev := shutEvents(rd, wr)
	if size+d.ahead() >= d.recvLowat() {
		ev |= pollReadable
	}
	if wr || ep.Readiness(waiter.WritableEvents)&waiter.EventOut != 0 {
		ev |= pollWritable
	}
	return ev
}
