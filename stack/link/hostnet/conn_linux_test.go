package hostnet

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

// TestTCPResetAfterFIN: the network sends a FIN and then a reset, and the stack
// hears of it without sending.
func TestTCPResetAfterFIN(t *testing.T) {
	h, _ := newHost(t, open)
	inner, outer := join(t, h, "127.0.0.1", "10.0.2.2")
	outer.CloseWrite()
	read(t, inner)
	reset(outer)
	if err := waitForEnd(inner); !errors.Is(err, sockets.ECONNRESET) && !errors.Is(err, sockets.EPIPE) {
		t.Errorf("the stack hears %v", err)
	}
}

// waitForEnd waits until poll says that a connection is over, and returns what
// sending says.
func waitForEnd(c net.Conn) error {
	s := c.(*sockets.Conn).Socket()
	d := []sockets.PollDesc{{Sock: s}} // POLLERR and POLLHUP come unasked
	if n, err := s.Host().Poll(d, patience); n == 0 {
		return fmt.Errorf("nothing: %w", err)
	}
	_, err := s.Send([]byte("x"))
	return err
}
