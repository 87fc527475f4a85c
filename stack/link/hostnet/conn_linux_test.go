package hostnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

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

// requireFiles skips the test where the process may not open so many files.
func requireFiles(t *testing.T, n uint64) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Max < n {
		t.Skipf("RLIMIT_NOFILE is %d, and the test takes %d: raise it with ulimit -Hn", limit.Max, n)
	}
}

func TestTCPManyAtOnce(t *testing.T) {
	const many = 1000
	requireFiles(t, 2*many+200)
	h, u := newHost(t, open)
	l, address := listen(t, "127.0.0.1", "10.0.2.2")
	var echoes sync.WaitGroup
	echoes.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			echoes.Go(func() {
				defer c.Close()
				io.Copy(c, struct{ io.Reader }{c}) // without splice(2), whose pipes Go keeps
			})
		}
	})
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range many {
		wg.Go(func() {
			<-start
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			c, err := h.DialContext(ctx, "tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			line := fmt.Sprintf("connection %d", i)
			write(t, c, line)
			c.(closeWriter).CloseWrite()
			if got := read(t, c); got != line {
				t.Errorf("%q came back as %q", line, got)
			}
		})
	}
	close(start)
	wg.Wait()
	l.Close()
	echoes.Wait()
	if got := u.Stats().Connects; got != many {
		t.Errorf("%d connections were made, want %d", got, many)
	}
	eventually(t, "all connections are gone", func() bool { return u.Stats().Conns == 0 })
}
