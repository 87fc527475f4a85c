package sockets_test

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/faketime"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

// manyPorts is what near has in these tests.
var manyPorts = stack.PortRange{First: 40000, Last: 40003}

// timedPair is pair with a clock that stands still, and few ports on one side.
func timedPair(t *testing.T, reuse stack.TimeWaitReuse) (near, far *sockets.Host, clock *faketime.ManualClock) {
	t.Helper()
	return timedPairOf(t, stack.Config{Ports: manyPorts, TCP: stack.TCP{TimeWaitReuse: reuse}}, 0)
}

func timedPairOf(t *testing.T, cfg stack.Config, maxTimeWait int) (near, far *sockets.Host, clock *faketime.ManualClock) {
	t.Helper()
	clock = faketime.NewManualClock()
	left, right := link.NewPipe(link.PipeConfig{})
	host := func(l *link.PipeEnd, addr string) *sockets.Host {
		cfg.Clock, cfg.NICs = clock, []stack.NIC{{Link: l, Addrs: []netip.Prefix{netip.MustParsePrefix(addr + "/24")}}}
		s := must[*stack.Stack](t)(stack.New(cfg))
		h := must[*sockets.Host](t)(sockets.New(sockets.Config{Stack: s, MaxTimeWait: maxTimeWait}))
		t.Cleanup(func() {
			h.Close()
			s.Close()
		})
		return h
	}
	return host(left, addrA), host(right, addrB), clock
}

// awaitTCPState waits for a state of TCP_INFO.
func awaitTCPState(t *testing.T, s *sockets.Socket, state byte) {
	t.Helper()
	for limit := time.Now().Add(patience); ; runtime.Gosched() {
		now := must[[]byte](t)(s.GetSockOpt(sockets.SOL_TCP, sockets.TCP_INFO, 1))[0]
		if now == state {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("the state is %d, want %d", now, state)
		}
	}
}

// end closes a connection, first first, which thereby comes to TIME_WAIT.
func end(t *testing.T, first, second *sockets.Socket) {
	t.Helper()
	check(t, first.Shutdown(sockets.SHUT_WR))
	awaitEnd(t, second)
	check(t, second.Shutdown(sockets.SHUT_WR))
	awaitTCPState(t, first, sockets.TCP_CLOSE) // what Linux calls TIME_WAIT too
	awaitTCPState(t, second, sockets.TCP_CLOSE)
	check(t, first.Close())
	check(t, second.Close())
}

// Who connects and closes first has a port for each connection, for a minute on
// Linux's terms, for a second on these.
func TestTimeWaitOfDialer(t *testing.T) {
	near, far, clock := timedPair(t, 0)
	l, addr := listener(t, far, addrB)
	connect := func() error {
		client := tcpSocket(t, near)
		if err := client.Connect(addr); err != nil {
			return err
		}
		server, _, err := l.Accept()
		check(t, err)
		end(t, client, server)
		return nil
	}
	ports := int(manyPorts.Last - manyPorts.First + 1)
	for second := range 5 {
		for range ports {
			if err := connect(); err != nil {
				t.Fatalf("after %d s: %v", second, err)
			}
		}
		wantErrno(t, connect(), sockets.EADDRNOTAVAIL) // none of the ports is a second old
		clock.Advance(time.Second)
	}
}

// What Linux does by default.
func TestTimeWaitWithoutReuse(t *testing.T) {
	for _, reuse := range []stack.TimeWaitReuse{stack.ReuseLoopback, stack.ReuseNone} {
		near, far, clock := timedPair(t, reuse)
		l, addr := listener(t, far, addrB)
		for range manyPorts.Last - manyPorts.First + 1 {
			client := tcpSocket(t, near)
			check(t, client.Connect(addr))
			server, _, err := l.Accept()
			check(t, err)
			end(t, client, server)
		}
		clock.Advance(59 * time.Second)
		wantErrno(t, tcpSocket(t, near).Connect(addr), sockets.EADDRNOTAVAIL)
		clock.Advance(2 * time.Second)
		check(t, tcpSocket(t, near).Connect(addr))
	}
}

// A server that closes first remembers each connection for a minute, and takes
// another one from the same port at once: its initial sequence number is beyond the
// former one's last, where less has come than a tick of 64 ns for each byte.
func TestTimeWaitOfServer(t *testing.T) {
	near, far, clock := timedPair(t, stack.ReuseNone)
	l, addr := listener(t, far, addrB)
	want := []byte("no more than the clock's ticks")
	for range 12 {
		client := tcpSocket(t, near)
		check(t, client.Connect(addr, sockets.Within(patience)))
		server, _, err := l.Accept()
		check(t, err)
		must[int](t)(client.SendAll(want))
		if got := must[[]byte](t)(server.Recv(len(want), sockets.MSG_WAITALL)); string(got) != string(want) {
			t.Fatalf("%q came, want %q", got, want)
		}
		end(t, server, client)
		clock.Advance(time.Millisecond)
	}
}

// What peers leave a server with is bounded: the connection that it closed longest
// ago makes room, whether its peer has closed as well or not, and no other does.
func TestTimeWaitIsBounded(t *testing.T) {
	const most, more = 3, 4
	for _, peerCloses := range []bool{true, false} {
		near, far, _ := timedPairOf(t, stack.Config{}, most)
		l, addr := listener(t, far, addrB)
		stays := tcpSocket(t, near)
		check(t, stays.Connect(addr))
		staysHere, _, err := l.Accept()
		check(t, err)
		var clients []*sockets.Socket
		for range most + more {
			client := tcpSocket(t, near)
			check(t, client.Connect(addr))
			server, _, err := l.Accept()
			check(t, err)
			if peerCloses {
				end(t, server, client)
				continue
			}
			check(t, server.Shutdown(sockets.SHUT_WR))
			awaitTCPState(t, server, sockets.TCP_FIN_WAIT2)
			check(t, server.Close())
			clients = append(clients, client)
		}
		left := map[tcp.EndpointState]int{}
		for _, ep := range far.Stack().GVisor().RegisteredEndpoints() {
			if e, ok := ep.(*tcp.Endpoint); ok {
				left[e.EndpointState()]++
			}
		}
		waiting := tcp.StateFinWait2
		if peerCloses {
			waiting = tcp.StateTimeWait
		}
		if left[waiting] != most || left[tcp.StateEstablished] != 1 {
			t.Fatalf("peers close %v: %v are left, want %d in %v and one connection", peerCloses, left, most, waiting)
		}
		for i, c := range clients {
			if i < more {
				awaitTCPState(t, c, sockets.TCP_CLOSE)
			} else {
				must[int](t)(c.Send([]byte("more")))
			}
		}
		must[int](t)(stays.SendAll([]byte("still here")))
		must[[]byte](t)(staysHere.Recv(10, sockets.MSG_WAITALL))
	}
}
