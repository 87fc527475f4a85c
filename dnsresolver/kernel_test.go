package dnsresolver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// kernelServer runs a scripted server on UDP and TCP on one loopback port of the
// kernel, which ends with the test.
func kernelServer(t testing.TB, h handler) Server {
	t.Helper()
	const tries = 100 // a port that is free for UDP may be taken for TCP
	for try := 1; ; try++ {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := netip.MustParseAddrPort(pc.LocalAddr().String())
		ln, err := net.Listen("tcp", addr.String())
		if err == nil {
			serveOn(t, pc, ln, addr, h)
			return Server{Addr: addr}
		}
		pc.Close()
		if try == tries {
			t.Fatal(err)
		}
	}
}

// serveOn runs a scripted server on two sockets, until the test ends.
func serveOn(t testing.TB, pc net.PacketConn, ln net.Listener, addr netip.AddrPort, h handler) {
	n := newNetwork(t)
	n.wg.Go(func() {
		buf := make([]byte, 4096)
		for {
			size, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			q := parseQuery(t, "udp", addr, slices.Clone(buf[:size]))
			h(q, func(raw []byte) { pc.WriteTo(raw, from) })
		}
	})
	n.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			n.wg.Go(func() {
				defer c.Close()
				n.serveStream(addr, h, c)
			})
		}
	})
	t.Cleanup(func() {
		pc.Close()
		ln.Close()
		n.wg.Wait()
	})
}

func kernelResolver(t testing.TB, cfg Config) *Resolver {
	t.Helper()
	cfg.Transport = &net.Dialer{}
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// The same lookups over sockets of the kernel: UDP, TCP after truncation, and a
// port where nobody listens.
func TestOverKernelSockets(t *testing.T) {
	s := kernelServer(t, zone)
	r := kernelResolver(t, Config{Servers: []Server{s}})
	ctx := context.Background()

	got, err := r.LookupNetIP(ctx, "ip", "cn.test")
	if err != nil || !slices.Equal(got, addrs("2001:db8::6", "2001:db8::7", "192.0.2.1", "192.0.2.2")) {
		t.Errorf("cn.test: %v, %v", got, err)
	}
	ans, err := r.Lookup(ctx, "cn.test", LookupOptions{Family: AF_INET})
	if err != nil || ans.Name != "dual.test" || !slices.Equal(ans.Aliases, []string{"cn.test", "cn2.test"}) {
		t.Errorf("cn.test: %+v, %v", ans, err)
	}
	got, err = r.LookupNetIP(ctx, "ip4", "big.test")
	if err != nil || len(got) != 400 {
		t.Errorf("big.test over TCP: %d addresses, %v", len(got), err)
	}
	_, err = r.LookupNetIP(ctx, "ip", "nx.test")
	wantCode(t, err, EAI_NONAME)
}

// A port where nobody listens is told by ICMP, and the next server is asked at
// once.
func TestKernelPortClosed(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := Server{Addr: netip.MustParseAddrPort(pc.LocalAddr().String())}
	pc.Close()
	open := kernelServer(t, zone)
	took := initialRTO
	for try := 0; try < 5 && took >= initialRTO; try++ { // a busy machine may have been late
		r := kernelResolver(t, Config{Servers: []Server{closed, open}})
		start := time.Now()
		if _, err := r.LookupNetIP(t.Context(), "ip", "a4.test"); err != nil {
			t.Fatal(err)
		}
		took = time.Since(start)
	}
	if took >= initialRTO {
		t.Errorf("took %v", took)
	}
}

// Close ends a lookup that waits for sockets of the kernel.
func TestKernelClose(t *testing.T) {
	sent := make(chan struct{}, 2)
	r := kernelResolver(t, Config{
		Servers: []Server{kernelServer(t, silent)},
		Trace: func(e Event) {
			if e.Kind == EventSend {
				sent <- struct{}{}
			}
		},
	})
	errs := make(chan error, 1)
	go func() {
		_, err := r.LookupNetIP(t.Context(), "ip", "a4.test")
		errs <- err
	}()
	<-sent
	<-sent
	start := time.Now()
	r.Close()
	if err := <-errs; !errors.Is(err, net.ErrClosed) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(start); took > 100*time.Millisecond {
		t.Errorf("Close took %v", took)
	}
}

// 10,000 forged replies on the wire of the kernel neither win nor hold up the
// answer for long.
func TestKernelForgeries(t *testing.T) {
	s := kernelServer(t, func(q query, s sender) {
		if q.network == "udp" {
			for i := range 10_000 {
				s.reply(q, message{id: func(id uint16) uint16 { return id + 1 + uint16(i) }, answer: []rr{a(q.name, "192.0.2.66")}})
			}
		}
		s.reply(q, message{answer: []rr{a(q.name, "192.0.2.1")}})
	})
	got, err := kernelResolver(t, Config{Servers: []Server{s}}).LookupNetIP(t.Context(), "ip4", "a4.test")
	if err != nil || !slices.Equal(got, addrs("192.0.2.1")) {
		t.Errorf("%v, %v", got, err)
	}
}
