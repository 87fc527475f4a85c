package dnsresolver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"
)

// handler is a scripted server. It may reply any number of times; sender.reply
// and sender.raw are safe after it has returned.
type handler func(q query, s sender)

// sender carries replies back to where the query came from.
type sender func(raw []byte)

func (s sender) reply(q query, m message) { s(m.pack(q)) }

// after sends raw when d has passed.
func (s sender) after(d time.Duration, raw []byte) { time.AfterFunc(d, func() { s(raw) }) }

// network is an in-memory Transport with scripted servers. Within a synctest
// bubble its time is the bubble's.
type network struct {
	t       testing.TB
	servers map[netip.AddrPort]handler
	stream  map[netip.AddrPort]func(net.Conn) // replaces handler for TCP
	latency time.Duration                     // of a reply
	caching bool                              // resolvers may remember answers
	forgets bool                              // keeps no record, for benchmarks
	refuse  map[string]error                  // by network and address: what DialContext returns

	mu      sync.Mutex
	queries []query
	times   []time.Time
	open    int // connections
	dials   int
	wg      sync.WaitGroup
}

func newNetwork(t testing.TB) *network {
	n := &network{
		t: t, servers: map[netip.AddrPort]handler{},
		stream: map[netip.AddrPort]func(net.Conn){}, refuse: map[string]error{},
	}
	t.Cleanup(n.wg.Wait)
	return n
}

// add adds a server and returns it for Config.Servers.
func (n *network) add(addr string, h handler) Server {
	ap := netip.AddrPortFrom(netip.MustParseAddr(addr), 53)
	n.servers[ap] = h
	return Server{Addr: ap}
}

// record notes a query.
func (n *network) record(q query) {
	if n.forgets {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queries = append(n.queries, q)
	n.times = append(n.times, time.Now())
}

// asked returns the queries so far.
func (n *network) asked() []query {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]query(nil), n.queries...)
}

// sent returns when the queries so far were sent.
func (n *network) sent() []time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]time.Time(nil), n.times...)
}

// dialed returns how many connections were opened so far.
func (n *network) dialed() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

// forget forgets the queries so far.
func (n *network) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queries, n.times = nil, nil
}

func (n *network) DialContext(ctx context.Context, nw, address string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n.mu.Lock()
	n.dials++
	n.mu.Unlock()
	if err := n.refuse[nw+" "+address]; err != nil {
		return nil, &net.OpError{Op: "dial", Net: nw, Err: err}
	}
	addr := netip.MustParseAddrPort(address)
	h := n.servers[addr]
	switch nw {
	case "udp":
		c := &memUDP{n: n, server: addr, h: h, in: make(chan []byte, socketBuffer), closed: make(chan struct{})}
		n.opened(1)
		return c, nil
	case "tcp":
		stream := n.stream[addr]
		if stream == nil && h == nil {
			return nil, &net.OpError{Op: "dial", Net: nw, Err: syscall.ECONNREFUSED}
		}
		if stream == nil {
			stream = func(c net.Conn) { n.serveStream(addr, h, c) }
		}
		client, server := net.Pipe()
		n.opened(1)
		n.wg.Go(func() {
			defer server.Close()
			stream(server)
		})
		return &memTCP{Conn: client, n: n}, nil
	}
	return nil, fmt.Errorf("network %q", nw)
}

func (n *network) opened(by int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open += by
}

// connections returns how many connections are open.
func (n *network) connections() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.open
}

// serveStream answers framed queries on c.
func (n *network) serveStream(addr netip.AddrPort, h handler, c net.Conn) {
	var mu sync.Mutex
	for {
		raw, err := readQuery(c)
		if err != nil {
			return
		}
		q := parseQuery(n.t, "tcp", addr, raw)
		n.record(q)
		h(q, func(raw []byte) {
			mu.Lock()
			defer mu.Unlock()
			c.Write(frame(raw)) // fails when the resolver has hung up
		})
	}
}

func readQuery(c io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return nil, err
	}
	raw := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(c, raw)
	return raw, err
}

func frame(raw []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(raw))), raw...)
}

// socketBuffer is how many datagrams a socket holds for its reader.
const socketBuffer = 2 * maxRejects

// memUDP is a connected UDP socket to a scripted server.
type memUDP struct {
	net.Conn // panics for what is not implemented
	n        *network
	server   netip.AddrPort
	h        handler
	in       chan []byte
	closed   chan struct{}
	once     sync.Once
}

func (c *memUDP) Write(b []byte) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
	}
	q := parseQuery(c.n.t, "udp", c.server, append([]byte(nil), b...))
	c.n.record(q)
	if c.h != nil {
		deliver := func(raw []byte) {
			select {
			case c.in <- raw:
			default: // full: a datagram is lost
			}
		}
		if c.n.latency > 0 {
			send := deliver
			deliver = func(raw []byte) { sender(send).after(c.n.latency, raw) }
		}
		c.h(q, deliver)
	}
	return len(b), nil
}

func (c *memUDP) Read(b []byte) (int, error) {
	select {
	case raw := <-c.in:
		if raw == nil {
			return 0, &net.OpError{Op: "read", Net: "udp", Err: syscall.ECONNREFUSED}
		}
		return copy(b, raw), nil
	case <-c.closed:
		return 0, net.ErrClosed
	}
}

func (c *memUDP) Close() error {
	c.once.Do(func() { close(c.closed); c.n.opened(-1) })
	return nil
}

type memTCP struct {
	net.Conn
	n    *network
	once sync.Once
}

func (c *memTCP) Close() error {
	c.once.Do(func() { c.n.opened(-1) })
	return c.Conn.Close()
}

// resolver returns a resolver over n that is closed with the test.
func (n *network) resolver(cfg Config) *Resolver {
	n.t.Helper()
	cfg.Transport = n
	cfg.Cache.Off = cfg.Cache.Off || !n.caching
	r, err := New(cfg)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { r.Close() })
	return r
}

// wantCode fails the test unless err is an *Error with the code.
func wantCode(t testing.TB, err error, code EAI) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v (%T), want an *Error with %v", err, err, code)
	}
	if e.Code != code {
		t.Errorf("error %v: code %d, want %d (%v)", err, e.Code, code, code)
	}
}

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}
