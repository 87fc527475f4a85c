package hostnet

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

// TestTCPChurn ends connections in every way and order that both sides can think
// of. None may be left.
func TestTCPChurn(t *testing.T) {
	const connections, seed = 300, 7
	h, u := newHost(t, open)
	l, address := listen(t, "127.0.0.1", "10.0.2.2")
	r := rand.New(rand.NewPCG(seed, seed))
	var wg sync.WaitGroup
	for range connections {
		inner := dialIn(t, h, "tcp", address)
		outer, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		one, two := rand.New(rand.NewPCG(r.Uint64(), 1)), rand.New(rand.NewPCG(r.Uint64(), 2))
		wg.Go(func() { misbehave(inner, one) })
		wg.Go(func() { misbehave(outer, two) })
	}
	wg.Wait()
	eventually(t, "no connection is left", func() bool { return u.Stats().Conns == 0 })
}

// misbehave does some things with a connection and closes it.
func misbehave(c net.Conn, r *rand.Rand) {
	defer c.Close()
	b := make([]byte, 1+r.IntN(200<<10))
	for range r.IntN(6) {
		c.SetDeadline(soon())
		switch r.IntN(5) {
		case 0, 1:
			c.Write(b)
		case 2:
			io.ReadFull(c, b)
		case 3:
			c.(closeWriter).CloseWrite()
		case 4:
			linger(c)
			return
		}
	}
}

// linger makes closing a connection of either kind a reset.
func linger(c net.Conn) {
	if c, ok := c.(*net.TCPConn); ok {
		c.SetLinger(0)
		return
	}
	c.(*sockets.Conn).Socket().SetSockOpt(sockets.SOL_SOCKET, sockets.SO_LINGER, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}
