package sockets_test

import (
	"net"
	"testing"

	"golang.org/x/net/nettest"
)

// TestConn runs the contract of net.Conn over a wire, for IPv4 and IPv6.
func TestConn(t *testing.T) {
	for _, tc := range []struct{ name, listen string }{
		{"IPv4", addrB + ":0"}, {"IPv6", "[" + addrB6 + "]:0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, b := pair(t)
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				l, err := b.Listen("tcp", tc.listen)
				if err != nil {
					return nil, nil, nil, err
				}
				defer l.Close()
				if c1, err = a.DialContext(t.Context(), "tcp", l.Addr().String()); err != nil {
					return nil, nil, nil, err
				}
				if c2, err = l.Accept(); err != nil {
					c1.Close()
					return nil, nil, nil, err
				}
				return c1, c2, func() { c1.Close(); c2.Close() }, nil
			})
		})
	}
}
