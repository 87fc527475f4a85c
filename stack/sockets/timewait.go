package sockets

import (
	"sync"
	"weak"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// DefaultMaxTimeWait is a good hundred megabytes: to netstack a connection in
// TIME_WAIT is a whole endpoint, 6.6 kB.
const DefaultMaxTimeWait = 16384

// timeWaits remembers connections that were closed here before their peers closed
// them: those that come to FIN_WAIT2 and TIME_WAIT, whose number a peer may drive
// up by making one after the other. Netstack has no bound of its own. One whose
// last data is not acknowledged yet when its place is taken is left alone.
type timeWaits struct {
	mu     sync.Mutex
	most   int
	oldest int                          // place in closed, once it is full
	closed []weak.Pointer[tcp.Endpoint] // most of them, in a circle
}

func (t *timeWaits) init(most int) {
	if most == 0 {
		most = DefaultMaxTimeWait
	}
	t.most = most
}

// add remembers a connection that was just closed, if its end was not, and ends
// the TIME_WAIT of the one whose place it takes.
func (t *timeWaits) add(ep tcpip.Endpoint) {
	e, ok := ep.(*tcp.Endpoint)
	if !ok {
		return
	}
	switch e.EndpointState() {
	case tcp.StateFinWait1, tcp.StateFinWait2, tcp.StateClosing, tcp.StateTimeWait:
	default:
		return
	}
	old := t.replace(weak.Make(e)).Value()
	if old == nil {
		return
	}
	switch old.EndpointState() {
	case tcp.StateFinWait2, tcp.StateTimeWait:
		old.Abort()
	}
}

// replace puts one in the place of the oldest, which it returns.
func (t *timeWaits) replace(e weak.Pointer[tcp.Endpoint]) (old weak.Pointer[tcp.Endpoint]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.closed) < t.most {
		t.closed = append(t.closed, e)
		return old
	}
	old, t.closed[t.oldest] = t.closed[t.oldest], e
	t.oldest = (t.oldest + 1) % t.most
	return old
}
