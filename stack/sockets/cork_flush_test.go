package sockets_test

import (
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

// What TCP_CORK or MSG_MORE holds back leaves after 200 ms all the same (tcp(7)).
func TestCorkedDataLeaves(t *testing.T) {
	a, b := pair(t)
	for name, flags := range map[string]sockets.MsgFlags{"TCP_CORK": 0, "MSG_MORE": sockets.MSG_MORE} {
		t.Run(name, func(t *testing.T) {
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
		})
	}
}
