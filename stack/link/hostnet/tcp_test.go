package hostnet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

type closeWriter interface{ CloseWrite() error }

func TestTCPBothWaysAndHalfClose(t *testing.T) {
	h, _ := newHost(t, open)
	for _, f := range families {
		t.Run(f.name+"/stack first", func(t *testing.T) {
			inner, outer := join(t, h, f.loopback, f.gateway)
			write(t, inner, "question")
			inner.(closeWriter).CloseWrite()
			if got := read(t, outer); got != "question" {
				t.Errorf("the machine read %q", got)
			}
			write(t, outer, "answer")
			outer.Close()
			if got := read(t, inner); got != "answer" {
				t.Errorf("the stack read %q", got)
			}
		})
		t.Run(f.name+"/machine first", func(t *testing.T) {
			inner, outer := join(t, h, f.loopback, f.gateway)
			write(t, outer, "banner")
			outer.CloseWrite()
			if got := read(t, inner); got != "banner" {
				t.Errorf("the stack read %q", got)
			}
			write(t, inner, "reply")
			inner.Close()
			if got := read(t, outer); got != "reply" {
				t.Errorf("the machine read %q", got)
			}
		})
	}
}

// refusedPort returns a port of the machine on which nobody listens.
func refusedPort(t *testing.T, loopback, gateway string) string {
	l, address := listen(t, loopback, gateway)
	l.Close()
	return address
}

func TestTCPRefused(t *testing.T) {
	h, _ := newHost(t, open)
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			_, err := h.Dial("tcp", refusedPort(t, f.loopback, f.gateway))
			if !errors.Is(err, sockets.ECONNREFUSED) {
				t.Errorf("connecting to a port without listener: %v, want ECONNREFUSED", err)
			}
		})
	}
}

// TestTCPErrors has the machine's connect fail in every way that it can, and
// looks at what the program's connect says.
func TestTCPErrors(t *testing.T) {
	for _, row := range []struct {
		outer  syscall.Errno
		v4, v6 sockets.Errno
	}{
		{syscall.ECONNREFUSED, sockets.ECONNREFUSED, sockets.ECONNREFUSED},
		{syscall.ENETUNREACH, sockets.ENETUNREACH, sockets.ENETUNREACH},
		{syscall.EADDRNOTAVAIL, sockets.ENETUNREACH, sockets.ENETUNREACH},
		{syscall.EAFNOSUPPORT, sockets.ENETUNREACH, sockets.ENETUNREACH},
		{syscall.EHOSTUNREACH, sockets.EHOSTUNREACH, sockets.EHOSTUNREACH},
		{syscall.EACCES, sockets.EHOSTUNREACH, sockets.EACCES},
		{syscall.EPERM, sockets.EHOSTUNREACH, sockets.EACCES},
	} {
		t.Run(row.outer.Error(), func(t *testing.T) {
			t.Parallel()
			cfg := Config{Control: func(string, string, syscall.RawConn) error { return row.outer }}
			h, _ := newHost(t, cfg)
			for address, want := range map[string]error{"192.0.2.77:80": row.v4, "[2001:db8::77]:80": row.v6} {
				if _, err := h.Dial("tcp", address); !errors.Is(err, want) {
					t.Errorf("connect to %s: %v, want %v", address, err, want)
				}
			}
		})
	}
}

func TestTCPResets(t *testing.T) {
	h, u := newHost(t, open)
	for _, f := range families {
		t.Run(f.name+"/by the machine", func(t *testing.T) {
			inner, outer := join(t, h, f.loopback, f.gateway)
			reset(outer)
			if _, err := inner.Read(make([]byte, 1)); !errors.Is(err, sockets.ECONNRESET) {
				t.Errorf("the stack read %v, want ECONNRESET", err)
			}
		})
		t.Run(f.name+"/by the stack", func(t *testing.T) {
			inner, outer := join(t, h, f.loopback, f.gateway)
			resetInner(t, inner)
			if _, err := outer.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the machine read %v, want ECONNRESET", err)
			}
		})
		t.Run(f.name+"/by the stack after its FIN", func(t *testing.T) {
			inner, outer := join(t, h, f.loopback, f.gateway)
			inner.(closeWriter).CloseWrite()
			read(t, outer)
			resetInner(t, inner)
			for {
				if _, err := outer.Write(make([]byte, 1<<10)); err != nil {
					break // the deadline of join is an error too
				}
			}
		})
	}
	if u.Stats().Resets == 0 {
		t.Error("no reset was counted")
	}
}

// resetInner closes a connection of the stack with a reset.
func resetInner(t *testing.T, c net.Conn) {
	t.Helper()
	linger := []byte{1, 0, 0, 0, 0, 0, 0, 0} // on, 0 s (socket(7))
	if err := c.(*sockets.Conn).Socket().SetSockOpt(sockets.SOL_SOCKET, sockets.SO_LINGER, linger); err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// TestTCPAnswerBeforeReset sends more than the server reads: the server answers
// and resets. The answer must get through, as it does without a gateway.
func TestTCPAnswerBeforeReset(t *testing.T) {
	h, _ := newHost(t, open)
	inner, outer := join(t, h, "127.0.0.1", "10.0.2.2")
	write(t, inner, "a request that is not read")
	write(t, outer, "go away")
	b := make([]byte, 7)
	if _, err := io.ReadFull(inner, b); err != nil || string(b) != "go away" {
		t.Errorf("the stack read %q, %v", b, err)
	}
	if _, err := io.ReadFull(outer, b[:1]); err != nil { // then the rest has come too
		t.Error(err)
	}
	outer.Close() // with unread bytes: a reset
	if _, err := inner.Read(b); !errors.Is(err, sockets.ECONNRESET) {
		t.Errorf("then it read %v, want ECONNRESET", err)
	}
}

// random yields the same bytes for the same seed.
func random(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

func TestTCPBulk(t *testing.T) {
	const size = 16 << 20
	h, _ := newHost(t, open)
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			inner, outer := join(t, h, f.loopback, f.gateway)
			var wg sync.WaitGroup
			pass := func(name string, to, from net.Conn, seed byte) {
				sent, got := sha256.New(), sha256.New()
				wg.Go(func() {
					if _, err := io.CopyN(io.MultiWriter(to, sent), random(seed), size); err != nil {
						t.Error(name, err)
					}
					to.(closeWriter).CloseWrite()
				})
				wg.Go(func() {
					if n, err := io.Copy(got, from); err != nil || n != size {
						t.Error(name, n, err)
					}
				})
				t.Cleanup(func() {
					if !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
						t.Error(name, ": what arrived is not what was sent")
					}
				})
			}
			pass("outward", inner, outer, 1)
			pass("inward", outer, inner, 2)
			wg.Wait()
		})
	}
}

// TestTCPBackpressure writes to a reader that does not read: the writer must be
// stopped before the bytes fill the memory.
func TestTCPBackpressure(t *testing.T) {
	const bound = 64 << 20 // bytes; buffers on the way have some 20 MiB
	h, u := newHost(t, open)
	inner, outer := join(t, h, "127.0.0.1", "10.0.2.2")
	for name, w := range map[string]net.Conn{"stack": inner, "machine": outer} {
		chunk, sent := make([]byte, 1<<20), 0
		for stalled := false; !stalled; {
			if sent > bound {
				t.Fatalf("the %s wrote %d bytes that nobody read", name, sent)
			}
			w.SetWriteDeadline(soon())
			n, err := w.Write(chunk)
			sent += n
			stalled = err != nil
		}
		t.Logf("the %s wrote %d bytes", name, sent)
	}
	if s := u.Stats(); s.Conns != 1 {
		t.Errorf("%d connections, want 1", s.Conns)
	}
}

// TestTCPResetWhileStalled: a program that ends its connection with a reset, while
// the network does not read, leaves nothing behind.
func TestTCPResetWhileStalled(t *testing.T) {
	h, u := newHost(t, open)
	inner, outer := join(t, h, "127.0.0.1", "10.0.2.2")
	inner.SetWriteDeadline(soon())
	for {
		if _, err := inner.Write(make([]byte, 1<<20)); err != nil {
			break
		}
	}
	resetInner(t, inner)
	eventually(t, "the connection is gone", func() bool { return u.Stats().Conns == 0 })
	if _, err := io.Copy(io.Discard, outer); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the machine read %v at the end, want ECONNRESET", err)
	}
}

// TestTCPClose closes the stack with connections in every state.
func TestTCPClose(t *testing.T) {
	h, u := newHost(t, open)
	_, busy := join(t, h, "127.0.0.1", "10.0.2.2")
	half, other := join(t, h, "127.0.0.1", "10.0.2.2")
	half.(closeWriter).CloseWrite()
	read(t, other)
	u.Close()
	for name, c := range map[string]net.Conn{"open": busy, "half-closed": other} {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) && (name == "open" || err != io.EOF) {
			t.Errorf("the machine's end of the %s connection read %v, want ECONNRESET", name, err)
		}
	}
	if s := u.Stats(); s.Conns+s.Dials+s.Flows != 0 {
		t.Errorf("after Close there are %+v", s)
	}
}

// TestTCPGivenUp ends the program's attempt before the network has answered.
func TestTCPLimits(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	cfg := Config{MaxDials: 4, MaxConns: 1000, Control: func(string, string, syscall.RawConn) error {
		<-release
		return syscall.ECONNREFUSED
	}}
	h, u := newHost(t, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for range 50 {
		wg.Go(func() { h.DialContext(ctx, "tcp", "192.0.2.77:80") })
	}
	eventually(t, "attempts make room for each other", func() bool { return u.Stats().DialsEvicted > 0 })
	if n := u.Stats().Dials; n > cfg.MaxDials {
		t.Errorf("%d connections are being made, more than MaxDials", n)
	}
}
