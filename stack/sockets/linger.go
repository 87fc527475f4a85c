package sockets

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// How often a lingering Close looks at the connection, at first and at last.
const (
	firstLingerPoll = time.Millisecond
	lastLingerPoll  = 50 * time.Millisecond
)

// linger returns when the peer has acknowledged all data and the FIN, as
// Linux's close(2) with SO_LINGER does, or when the time is over. Netstack
// announces neither, so the state is polled.
func (d *description) linger(ep tcpip.Endpoint, limit time.Duration) {
	timeUp := time.NewTimer(limit)
	defer timeUp.Stop()
	for poll := firstLingerPoll; !lingered(ep); poll = min(2*poll, lastLingerPoll) {
		look := time.NewTimer(poll)
		select {
		case <-look.C:
			continue
		case <-timeUp.C:
		case <-d.host.stack.Closing():
		}
		look.Stop()
		return
	}
}

// lingered reports whether the FIN has been acknowledged or never will be.
func lingered(ep tcpip.Endpoint) bool {
	switch tcp.EndpointState(ep.State()) {
	case tcp.StateFinWait1, tcp.StateClosing, tcp.StateLastAck:
		return false
	}
	return true
}
