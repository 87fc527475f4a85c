package sockets

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Errors that the network reported and no call has told yet: Linux's sk_err.
// Netstack destroys an error by reading it and keeps a failed connect's twice
// (T1, T2), so the description holds it. A call that tells an error takes it.

// setError makes errno the pending error unless there is one, and returns
// whether it did. The caller notifies the wait queue.
func (d *description) setError(errno Errno) bool {
	return d.soErr.CompareAndSwap(0, int32(errno))
}

// pendingError returns the pending error and leaves it.
func (d *description) pendingError() Errno {
	d.pullError()
	return Errno(d.soErr.Load())
}

// takeError returns the pending error and clears it.
func (d *description) takeError() Errno {
	d.pullError()
	return Errno(d.soErr.Swap(0))
}

// pullError moves to the description what netstack knows about the end of a
// connection. The inbox does so for datagrams.
func (d *description) pullError() {
	if !d.isTCP() {
		return
	}
	ep := d.ep.Load()
	switch tcp.EndpointState(ep.State()) {
	case tcp.StateError:
		for range maxEndpointErrors {
			terr := ep.LastError()
			switch terr.(type) {
			case nil:
				return
			case *tcpip.ErrConnectionAborted: // data came after both directions were shut
				d.setError(ECONNRESET)
			default:
				d.setError(errnoOf(terr))
			}
		}
	case tcp.StateClose:
		// A reset after the peer's FIN is no error of the connection to netstack;
		// Linux says EPIPE. Anything else is an ICMP error of former times.
		if terr, reset := ep.LastError().(*tcpip.ErrAborted); reset {
			d.setError(errnoOf(terr))
		}
	}
}

// maxEndpointErrors bounds the errors that an endpoint keeps: the one that ended
// the connection, and the last one of an ICMP message.
const maxEndpointErrors = 2

// takeSocketError is SO_ERROR: the pending error, else the last ICMP error that
// an established connection survived (Linux's sk_err_soft), which no other call
// tells.
func (d *description) takeSocketError() Errno {
	if errno := d.takeError(); errno != 0 || !d.isTCP() {
		return errno
	}
	ep := d.ep.Load()
	if !tcpConnected(ep) {
		return 0
	}
	errno := errnoOf(ep.LastError())
	if d.asked(askErrors | askErrors6) {
		return 0 // with IP_RECVERR it was the pending error already
	}
	if errno != 0 && tcp.EndpointState(ep.State()) == tcp.StateError {
		d.takeError() // the connection ended just now: this was the hard error, and the rest repeats it
	}
	return errno
}
