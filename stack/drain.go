package stack

import (
	"context"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Drain waits until the peers of all TCP connections that this side has closed
// or shut down for sending have acknowledged everything: until none is in the
// state FIN-WAIT-1, CLOSING or LAST-ACK (RFC 9293, section 3.3.2). A program
// that ends calls it before Close, which resets connections. The error is that
// of ctx.
func (s *Stack) Drain(ctx context.Context) error {
	const first, longest = time.Millisecond, 50 * time.Millisecond
	t := time.NewTimer(0)
	defer t.Stop()
	for pause := first; ; pause = min(2*pause, longest) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.Closing():
			return nil
		case <-t.C:
		}
		if !s.delivering() {
			return nil
		}
		t.Reset(pause)
	}
}

// delivering reports whether a connection waits for the acknowledgement of its
// FIN.
func (s *Stack) delivering() bool {
	for _, ep := range s.gv.RegisteredEndpoints() {
		if sends(ep) {
			return true
		}
	}
	for _, ep := range s.gv.CleanupEndpoints() {
		if sends(ep) {
			return true
		}
	}
	return false
}

func sends(ep stack.TransportEndpoint) bool {
	e, ok := ep.(*tcp.Endpoint)
	if !ok {
		return false
	}
	switch e.EndpointState() {
	case tcp.StateFinWait1, tcp.StateClosing, tcp.StateLastAck:
		return true
	}
	return false
}
