package sockets_test

import (
	"fmt"
	"io"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// TestAnyMethodWhileClosing calls every exported method of a Socket, and the
// calls that poll it, at once, while another goroutine closes it. The race
// detector and the leak checks of TestMain look on; what blocks must end.
func TestAnyMethodWhileClosing(t *testing.T) {
	for name, open := range map[string]func(t *testing.T, a, b *sockets.Host) *sockets.Socket{
		"fresh":      func(t *testing.T, a, b *sockets.Host) *sockets.Socket { return tcpSocket(t, a) },
		"connecting": func(t *testing.T, a, b *sockets.Host) *sockets.Socket { return connecting(t, a) },
		"connected":  func(t *testing.T, a, b *sockets.Host) *sockets.Socket { s, _ := connected(t, a, b); return s },
		"listening":  func(t *testing.T, a, b *sockets.Host) *sockets.Socket { l, _ := listener(t, a, addrA); return l },
		"UDP":        func(t *testing.T, a, b *sockets.Host) *sockets.Socket { return correspond(t, a, b).to },
		"AF_UNIX": func(t *testing.T, a, b *sockets.Host) *sockets.Socket {
			s, peer, err := a.SocketPair(sockets.AF_UNIX, sockets.SOCK_STREAM, 0)
			check(t, err)
			t.Cleanup(func() { peer.Close() })
			return s
		},
		"AF_UNIX, listening": func(t *testing.T, a, b *sockets.Host) *sockets.Socket {
			s := mustSocket(t, a, sockets.AF_UNIX, sockets.SOCK_SEQPACKET, 0)
			check(t, s.Bind(sockets.UnixAddr{}))
			check(t, s.Listen(1))
			return s
		},
		"ping": func(t *testing.T, a, b *sockets.Host) *sockets.Socket {
			return mustSocket(t, a, sockets.AF_INET, sockets.SOCK_DGRAM, sockets.IPPROTO_ICMP)
		},
		"raw": func(t *testing.T, a, b *sockets.Host) *sockets.Socket {
			s := mustSocket(t, a, sockets.AF_INET, sockets.SOCK_RAW, sockets.IPPROTO_ICMP)
			check(t, s.SetSockOpt(sockets.SOL_IP, sockets.IP_ADD_MEMBERSHIP, addrs4("239.1.1.1", "0.0.0.0")))
			return s
		},
		"packet": func(t *testing.T, a, b *sockets.Host) *sockets.Socket {
			s := mustSocket(t, a, sockets.AF_PACKET, sockets.SOCK_DGRAM, sockets.Protocol(sockets.Htons(sockets.ETH_P_ALL)))
			check(t, s.Bind(sockets.LinkAddr{Ifindex: 2}))
			return s
		},
		"UDP6": func(t *testing.T, a, b *sockets.Host) *sockets.Socket {
			return mustSocket(t, a, sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := pair(t)
			p := newPoller(t, a)
			for round := range rounds(50) {
				closeUnderAll(t, round, open(t, a, b), p)
			}
		})
	}
}

// closeUnderAll closes s while each of its methods is called.
func closeUnderAll(t *testing.T, round int, s *sockets.Socket, p *sockets.Poller) {
	t.Helper()
	s.SetBlocking(true)
	calls := map[string]func(){
		"Host.Poll":   func() { s.Host().Poll([]sockets.PollDesc{{Sock: s, In: in}}, sockets.NoTimeout) },
		"Host.Select": func() { s.Host().Select([]*sockets.Socket{s}, nil, []*sockets.Socket{s}, sockets.NoTimeout) },
		"Poller":      func() { p.Register(s, in|edge); p.Modify(s, everything); p.Poll(0) },
		"Unregister":  func() { p.Poll(time.Millisecond); p.Unregister(s) },
	}
	v := reflect.ValueOf(s)
	for i := range v.NumMethod() {
		calls["Socket."+v.Type().Method(i).Name] = func() { callAnyhow(v.Method(i)) }
	}
	ended := make(chan string, len(calls))
	for name, call := range calls {
		go func() {
			call()
			ended <- name
		}()
	}
	for range round % 100 {
		runtime.Gosched()
	}
	s.Close()
	late := time.After(patience)
	for range len(calls) {
		select {
		case name := <-ended:
			delete(calls, name)
		case <-late:
			for name := range calls {
				t.Errorf("%s still blocks after Close", name)
			}
			t.FailNow()
		}
	}
}

// callAnyhow calls a method with some arguments and closes what it returns.
func callAnyhow(m reflect.Value) {
	args := make([]reflect.Value, 0, m.Type().NumIn())
	for i := range m.Type().NumIn() {
		if m.Type().IsVariadic() && i == m.Type().NumIn()-1 {
			break
		}
		args = append(args, someArgument(m.Type().In(i)))
	}
	for _, r := range m.Call(args) {
		switch {
		case r.Kind() == reflect.Func && !r.IsNil(): // an iterator: take one turn
			yield := reflect.MakeFunc(r.Type().In(0), func([]reflect.Value) []reflect.Value {
				return []reflect.Value{reflect.ValueOf(false)}
			})
			r.Call([]reflect.Value{yield})
		case r.CanInterface():
			c, ok := r.Interface().(io.Closer)
			if _, host := c.(*sockets.Host); ok && !host && !(r.Kind() == reflect.Pointer && r.IsNil()) {
				c.Close()
			}
		}
	}
}

// someArgument returns a value with which a call may well block.
func someArgument(typ reflect.Type) reflect.Value {
	for _, v := range []any{
		make([]byte, 8), sockets.NoTimeout, "rb", true, 1, sockets.SHUT_RDWR, uint32(1),
		&sockets.Msg{Buffers: [][]byte{make([]byte, 8)}}, [][]byte{make([]byte, 8)},
	} {
		if reflect.TypeOf(v) == typ {
			return reflect.ValueOf(v)
		}
	}
	if addr := reflect.ValueOf(sockets.Inet4{Host: addrB, Port: 9}); addr.Type().AssignableTo(typ) && typ.NumMethod() > 0 {
		return addr
	}
	return reflect.Zero(typ)
}

// TestPollerWhileClosing opens and closes sockets under a Poller that several
// goroutines poll.
func TestPollerWhileClosing(t *testing.T) {
	a, b := pair(t)
	p := newPoller(t, a)
	from := udpSocket(t, b)
	var polling, working sync.WaitGroup
	for range 3 {
		polling.Go(func() {
			for {
				d, err := p.Poll(sockets.NoTimeout)
				if err != nil {
					return
				}
				for _, d := range d {
					d.Sock.Recv(1, sockets.MSG_DONTWAIT)
				}
			}
		})
	}
	errs := make(chan error, 4)
	for i := range 4 {
		working.Go(func() {
			for n := range rounds(1000) {
				if err := openAndClose(a, p, from, []sockets.PollEvents{0, edge, oneShot}[(n+i)%3]); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	working.Wait()
	check(t, p.Close())
	polling.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}

func openAndClose(h *sockets.Host, p *sockets.Poller, from *sockets.Socket, mode sockets.PollEvents) error {
	s, err := h.UDP()
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Bind(sockets.Inet4{Host: addrA}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := p.Register(s, in|mode); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	to, err := s.GetSockName()
	if err != nil {
		return err
	}
	if _, err := from.SendTo(nil, to); err != nil {
		return err
	}
	if err := p.Modify(s, in|mode); err != nil {
		return fmt.Errorf("modify: %w", err)
	}
	if mode == edge {
		return p.Unregister(s)
	}
	return nil
}
