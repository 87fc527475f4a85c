package sockets_test

import (
	"testing"
	"time"

	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

// What TCP_CORK or MSG_MORE holds back leaves after 200 ms all the same (tcp(7)),
// also when nothing that was sent before has been acknowledged by then.
func TestCorkedDataLeaves(t *testing.T) {
	for path, delay := range map[string]time.Duration{"near": 0, "far": 300 * time.Millisecond} {
		left, right := link.NewPipe(link.PipeConfig{})
		slow, err := link.NewImpair(left, link.ImpairConfig{In: link.Impairment{Delay: delay}}) // delays acknowledgements
		check(t, err)
		a, b := newHost(t, slow, addrA, addrA6), newHost(t, right, addrB, addrB6)
		for name, flags := range map[string]sockets.MsgFlags{"TCP_CORK": 0, "MSG_MORE": sockets.MSG_MORE} {
			t.Run(name+"/"+path, func(t *testing.T) {
				client, server := connected(t, a, b)
				if flags == 0 {
					check(t, client.SetSockOptInt(sockets.SOL_TCP, sockets.TCP_CORK, 1))
				}
				for range 3 {
					must[int](t)(client.Send([]byte("x"), flags))
					p, err := server.Recv(1, sockets.Within(patience))
					if err != nil || string(p) != "x" {
						t.Fatalf("received %q, %v", p, err)
					}
				}
				if v := must[int](t)(client.GetSockOptInt(sockets.SOL_TCP, sockets.TCP_NODELAY)); v != 0 {
					t.Errorf("TCP_NODELAY is %d afterwards", v)
				}
			})
		}
	}
}

// The end of what is sent takes along what is held back, at once: no round has to wait for the time to be over.
func TestCorkedDataLeavesAtTheEnd(t *testing.T) {
	const corkTime = 200 * time.Millisecond // for which a connection holds bytes back (tcp(7))
	a, b := pair(t)
	ends := map[string]func(s *sockets.Socket) error{
		"close":    (*sockets.Socket).Close,
		"shutdown": func(s *sockets.Socket) error { return s.Shutdown(sockets.SHUT_WR) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			const rounds = 20 // a busy machine may be slow in some
			for range rounds {
				client, server := connected(t, a, b)
				check(t, client.SetSockOptInt(sockets.SOL_TCP, sockets.TCP_CORK, 1))
				began := time.Now()
				must[int](t)(client.Send([]byte("held back")))
				check(t, end(client))
				for p := []byte("some"); len(p) > 0; {
					p = must[[]byte](t)(server.Recv(100, sockets.Within(patience)))
				}
				if time.Since(began) < corkTime {
					return
				}
			}
			t.Errorf("%d rounds took %v each", rounds, corkTime)
		})
	}
}
