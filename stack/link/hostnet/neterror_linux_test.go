package hostnet

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// TestUDPRefused: a port of the network's on which nobody listens says so to the
// socket of the stack, connected or not.
func TestUDPRefused(t *testing.T) {
	h, _ := newHost(t, open)
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			gone, to := listenPacket(t, f.loopback, f.gateway)
			gone.Close()
			c := dialIn(t, h, "udp", to.String())
			for range 2 { // the second sending finds the error of the first pending outside
				write(t, c, "anyone?")
				if _, err := c.Read(make([]byte, 1)); !errors.Is(err, sockets.ECONNREFUSED) {
					t.Errorf("reading says %v, want ECONNREFUSED", err)
				}
			}
		})
	}
}

// TestUDPErrorQueue: the error says what was sent where, and who refused it.
func TestUDPErrorQueue(t *testing.T) {
	h, _ := newHost(t, open)
	gone, to := listenPacket(t, "127.0.0.1", "10.0.2.2")
	gone.Close()
	s, err := h.Socket(sockets.AF_INET, sockets.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.SetSockOptInt(sockets.SOL_IP, sockets.IP_RECVERR, 1)
	dst := sockets.Inet4{Host: "10.0.2.2", Port: int(to.Port())}
	if _, err := s.SendTo([]byte("what was sent"), dst); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(1, sockets.Within(patience)); !errors.Is(err, sockets.ECONNREFUSED) {
		t.Fatalf("receiving says %v, want ECONNREFUSED", err)
	}
	b := make([]byte, 100)
	m, err := s.RecvMsg([][]byte{b}, 512, sockets.MSG_ERRQUEUE)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(b[:m.N]); got != "what was sent" || m.Addr != dst || len(m.Control) != 1 {
		t.Errorf("the queue says %q to %v, with %v", got, m.Addr, m.Control)
	}
}

// TestUDPErrorsWhileSending: an error about one destination loses nothing that is
// sent to another.
func TestUDPErrorsWhileSending(t *testing.T) {
	h, u := newHost(t, open)
	gone, to := listenPacket(t, "127.0.0.1", "10.0.2.2")
	gone.Close()
	there, live := listenPacket(t, "127.0.0.1", "10.0.2.2")
	inner := innerPacket(t, h, "0.0.0.0:0")
	b := make([]byte, 1)
	for i := range byte(50) {
		inner.WriteTo([]byte{i}, net.UDPAddrFromAddrPort(to))
		inner.WriteTo([]byte{i}, net.UDPAddrFromAddrPort(live))
		there.SetReadDeadline(time.Now().Add(patience))
		if _, _, err := there.ReadFromUDPAddrPort(b); err != nil || b[0] != i {
			t.Fatalf("datagram %d is lost: %v", i, err)
		}
	}
	eventually(t, "errors come back", func() bool { return u.Stats().ErrorsIn > 0 })
}
