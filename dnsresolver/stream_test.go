package dnsresolver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// streamServer is a server that is only ever asked over TCP.
func streamServer(n *network, serve func(net.Conn)) Server {
	s := n.add("192.0.2.1", zone)
	s.Proto = ProtoTCP
	n.stream[s.Addr] = serve
	return s
}

// answersTo reads queries from c and passes the answers of h to reply.
func answersTo(t testing.TB, c net.Conn, h handler, reply func(framed []byte)) {
	for {
		raw, err := readQuery(c)
		if err != nil {
			return
		}
		h(parseQuery(t, "tcp", netip.AddrPort{}, raw), func(raw []byte) { reply(frame(raw)) })
	}
}

// Queries share a connection, which is closed when nobody has used it for a
// while.
func TestStreamIsReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		s := n.add("192.0.2.1", zone)
		s.Proto = ProtoTCP
		r := n.resolver(Config{Servers: []Server{s}})
		for range 5 {
			if _, _, err := timed(r, "a4.test", AF_INET); err != nil {
				t.Fatal(err)
			}
			pass(streamIdle / 2)
		}
		if got := n.dialed(); got != 1 {
			t.Errorf("%d connections for five queries, want 1", got)
		}
		pass(streamIdle)
		if got := n.connections(); got != 0 {
			t.Errorf("%d connections open after %v without a query", got, streamIdle)
		}
		if _, _, err := timed(r, "a4.test", AF_INET); err != nil {
			t.Fatal(err)
		}
		if got := n.dialed(); got != 2 {
			t.Errorf("%d connections in all, want 2", got)
		}
	})
}

// Replies come in any order.
func TestStreamOutOfOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		const queries = 20
		s := streamServer(n, func(c net.Conn) {
			var held [][]byte
			numbered := func(q query, s sender) {
				var i int
				fmt.Sscanf(q.name, "h%d.", &i)
				s.reply(q, message{answer: []rr{a(q.name, fmt.Sprintf("192.0.2.%d", i))}})
			}
			answersTo(t, c, numbered, func(framed []byte) {
				if held = append(held, framed); len(held) == queries {
					for i := len(held) - 1; i >= 0; i-- {
						c.Write(held[i])
					}
				}
			})
		})
		r := n.resolver(Config{Servers: []Server{s}})
		first := make(chan struct{})
		var wg sync.WaitGroup
		for i := range queries {
			wg.Go(func() {
				if i > 0 {
					<-first // so that there is one connection to share
				}
				name := fmt.Sprintf("h%d.test", i)
				want := addrs(fmt.Sprintf("192.0.2.%d", i))
				ans, _, err := timed(r, name, AF_INET)
				if err != nil || !slices.Equal(ans.Addrs, want) {
					t.Errorf("%s: %v, %v; want %v", name, ans.Addrs, err, want)
				}
			})
		}
		synctest.Wait()
		close(first)
		wg.Wait()
		if got := n.dialed(); got != 1 {
			t.Errorf("%d connections, want 1", got)
		}
	})
}

// A server may close a connection at any time between queries. The next query
// goes to a new one, and takes no longer.
func TestStreamEndedByServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		var dead atomic.Int32
		s := streamServer(n, func(c net.Conn) {
			served := 0
			answersTo(t, c, zone, func(framed []byte) {
				if served++; served > 1 { // takes the query and hangs up
					dead.Add(1)
					c.Close()
					return
				}
				c.Write(framed)
			})
		})
		r := n.resolver(Config{Servers: []Server{s}})
		for i := range 4 {
			_, took, err := timed(r, "a4.test", AF_INET)
			if err != nil || took > time.Millisecond {
				t.Errorf("query %d: %v after %v", i, err, took)
			}
		}
		if got := dead.Load(); got != 3 {
			t.Errorf("%d connections were closed under a query, want 3", got)
		}
	})
}

// A query that nobody answers ends the connection: the next one must not wait on
// it too.
func TestStreamMuteIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		var conns atomic.Int32
		s := streamServer(n, func(c net.Conn) {
			mute := conns.Add(1) == 1
			answersTo(t, c, zone, func(framed []byte) {
				if !mute {
					c.Write(framed)
				}
			})
		})
		r := n.resolver(Config{Servers: []Server{s}, Timeout: 2 * time.Second})
		_, took, err := timed(r, "a4.test", AF_INET)
		if err != nil {
			t.Fatal(err)
		}
		about(t, "second attempt", took, 2*time.Second+roundDelay)
		if got := conns.Load(); got != 2 {
			t.Errorf("%d connections, want 2", got)
		}
	})
}

// Close ends idle connections as well.
func TestCloseEndsStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		s := n.add("192.0.2.1", zone)
		s.Proto = ProtoTCP
		r := n.resolver(Config{Servers: []Server{s}})
		if _, _, err := timed(r, "a4.test", AF_INET); err != nil {
			t.Fatal(err)
		}
		if n.connections() != 1 {
			t.Fatal("the connection was not kept")
		}
		start := time.Now()
		r.Close()
		if got := n.connections(); got != 0 || time.Since(start) > 0 {
			t.Errorf("%d connections left, Close took %v", got, time.Since(start))
		}
	})
}

// Queries that come together share a connection: a server may talk to one at a
// time.
func TestStreamIsSharedFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		s := n.add("192.0.2.1", zone)
		s.Proto = ProtoTCP
		r := n.resolver(Config{Servers: []Server{s}})
		if ans, _, err := timed(r, "dual.test", AF_UNSPEC); err != nil || len(ans.Addrs) < 2 {
			t.Error(ans, err)
		}
		if got := n.dialed(); got != 1 {
			t.Errorf("%d connections, want 1", got)
		}
	})
}

// firstHangs is a network whose first connection is not made before its caller
// gives up.
type firstHangs struct {
	*network
	calls atomic.Int32
}

func (f *firstHangs) DialContext(ctx context.Context, nw, address string) (net.Conn, error) {
	if f.calls.Add(1) == 1 {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return f.network.DialContext(ctx, nw, address)
}

// Who waits for the connection that another lookup makes goes on when that lookup
// is given up, and fails with it when the server is to blame.
func TestStreamOpeningGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		s := n.add("192.0.2.1", zone)
		s.Proto = ProtoTCP
		for _, c := range []struct {
			cancel, want time.Duration
		}{{time.Second, time.Second}, {time.Minute, tcpConnectTimeout + roundDelay}} {
			r, err := New(Config{Transport: &firstHangs{network: n}, Servers: []Server{s}, Cache: CacheConfig{Off: true}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), c.cancel)
			first := make(chan error)
			go func() {
				_, err := r.Lookup(ctx, "dual.test", LookupOptions{Family: AF_INET6})
				first <- err
			}()
			synctest.Wait()
			_, took, err := timed(r, "dual.test", AF_INET)
			if err != nil {
				t.Error(err)
			}
			about(t, "the second lookup", took, c.want)
			if err := <-first; (err != nil) != (c.cancel == time.Second) {
				t.Error("the first lookup:", err)
			}
			cancel()
			r.Close()
		}
	})
}
