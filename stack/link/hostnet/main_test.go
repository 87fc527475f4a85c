package hostnet

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/testnet"
)

func TestMain(m *testing.M) { testnet.Main(m) }

// patience is a guard against hanging, never something that a test waits for.
const patience = 60 * time.Second

// newHost returns a host whose network is an uplink's. Both end with the test.
func newHost(t testing.TB, cfg Config) (*sockets.Host, *Uplink) {
	t.Helper()
	u, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s, err := stack.New(stack.Config{NICs: []stack.NIC{{Name: "host0", Link: u.Link(), Addrs: u.Addrs()}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	h, err := sockets.New(sockets.Config{Stack: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h, u
}

// families are the machine's loopback addresses, and where the stack finds them.
var families = []struct{ name, loopback, gateway string }{
	{"IPv4", "127.0.0.1", "10.0.2.2"},
	{"IPv6", "::1", "fd00::2"},
}

// listen returns a listener on the machine, and the address by which the stack
// reaches it. It skips where the machine has no such family.
func listen(t testing.TB, loopback, gateway string) (l *net.TCPListener, address string) {
	t.Helper()
	ln, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Skip("the machine's loopback lacks ", loopback, ": ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return ln.(*net.TCPListener), net.JoinHostPort(gateway, port)
}

// dialIn connects from the stack.
func dialIn(t testing.TB, h *sockets.Host, network, address string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := h.DialContext(ctx, network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// join returns both ends of a connection from the stack to the machine.
func join(t testing.TB, h *sockets.Host, loopback, gateway string) (inner net.Conn, outer *net.TCPConn) {
	t.Helper()
	l, address := listen(t, loopback, gateway)
	inner = dialIn(t, h, "tcp", address)
	outer, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { outer.Close() })
	outer.SetDeadline(time.Now().Add(patience))
	return inner, outer
}

// open lets the stack reach the machine.
var open = Config{HostLoopback: AccessAllowed}

func read(t testing.TB, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func write(t testing.TB, w io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		t.Error(err)
	}
}

// soon is a deadline for what is expected to block.
func soon() time.Time { return time.Now().Add(200 * time.Millisecond) }

// eventually waits for something that happens at an unknown time.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("this did not happen: ", what)
		}
	}
}
