package sockets_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/faketime"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

// The timestamps of each segment take 12 bytes of what MTU and headers leave.
func TestMaxSegment(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	wantInt(t, client, sockets.SOL_TCP, sockets.TCP_MAXSEG, 1448)
	wantInt(t, server, sockets.SOL_TCP, sockets.TCP_MAXSEG, 1448)
	l, addr := listener(t, b, addrB)
	c := tcpSocket(t, a)
	wantInt(t, c, sockets.SOL_TCP, sockets.TCP_MAXSEG, 536)
	setInt(t, c, sockets.SOL_TCP, sockets.TCP_MAXSEG, 1000)
	wantInt(t, c, sockets.SOL_TCP, sockets.TCP_MAXSEG, 1000)
	check(t, c.Connect(addr))
	wantInt(t, c, sockets.SOL_TCP, sockets.TCP_MAXSEG, 988)
	check(t, l.Close())
}

// TCP_SYNCNT 1 gives up after 1 + 2 seconds, and the socket can be used again.
func TestSynCount(t *testing.T) {
	clock := faketime.NewManualClock()
	left, right := link.NewPipe(link.PipeConfig{})
	t.Cleanup(right.Close) // nobody is there
	s := must[*stack.Stack](t)(stack.New(stack.Config{Clock: clock, NICs: []stack.NIC{
		{Link: left, Addrs: []netip.Prefix{netip.MustParsePrefix(addrA + "/24")}},
	}}))
	h := must[*sockets.Host](t)(sockets.New(sockets.Config{Stack: s}))
	t.Cleanup(func() {
		h.Close()
		s.Close()
	})
	c := tcpSocket(t, h)
	setInt(t, c, sockets.SOL_TCP, sockets.TCP_SYNCNT, 1)
	for range 2 {
		failed := make(chan error, 1)
		go func() { failed <- c.Connect(sockets.Inet4{Host: addrB, Port: 9}, sockets.Within(patience)) }()
		awaitBlocked(t, "Connect")
		clock.Advance(2900 * time.Millisecond)
		awaitBlocked(t, "Connect")
		clock.Advance(200 * time.Millisecond)
		err := <-failed
		if wantErrno(t, err, sockets.ETIMEDOUT); errors.Is(err, sockets.ErrTimeout) {
			t.Fatal("the connect goes on after the retries")
		}
		wantInt(t, c, sockets.SOL_SOCKET, sockets.SO_ERROR, 0)
	}
	c.SetBlocking(false)
	wantErrno(t, c.Connect(sockets.Inet4{Host: addrB, Port: 9}), sockets.EINPROGRESS)
	clock.Advance(3 * time.Second)
	polled := []sockets.PollDesc{{Sock: c, In: sockets.POLLOUT}}
	must[int](t)(h.Poll(polled, patience))
	if polled[0].Out&sockets.POLLERR == 0 {
		t.Errorf("poll says %v, want POLLERR", polled[0].Out)
	}
	wantInt(t, c, sockets.SOL_SOCKET, sockets.SO_ERROR, int(sockets.ETIMEDOUT))
}

func TestTCPInfo(t *testing.T) {
	a, b := pair(t)
	fresh := must[[]byte](t)(tcpSocket(t, a).GetSockOpt(sockets.SOL_TCP, sockets.TCP_INFO, 1024))
	if len(fresh) < 232 || fresh[0] != sockets.TCP_CLOSE {
		t.Errorf("%d bytes, state %d", len(fresh), fresh[0])
	}
	l, _ := listener(t, b, addrB)
	if v := must[[]byte](t)(l.GetSockOpt(sockets.SOL_TCP, sockets.TCP_INFO, 1)); len(v) != 1 || v[0] != sockets.TCP_LISTEN {
		t.Errorf("a listener's first byte is % x", v)
	}
	client, server := connected(t, a, b)
	must[int](t)(client.Send(make([]byte, 5000)))
	must[[]byte](t)(server.Recv(5000, sockets.MSG_WAITALL))
	u32 := func(s *sockets.Socket, offset int) uint32 {
		v := must[[]byte](t)(s.GetSockOpt(sockets.SOL_TCP, sockets.TCP_INFO, 1024))
		return binary.LittleEndian.Uint32(v[offset:])
	}
	for _, tc := range []struct {
		name        string
		s           *sockets.Socket
		offset      int
		least, most uint32
	}{
		{"state", client, 0, 0, 0xffffffff},
		{"rto", client, 8, 200_000, 3_000_000},
		{"snd_mss", client, 16, 1448, 1448},
		{"pmtu", client, 60, 1500, 1500},
		{"rtt", client, 68, 1, 1_000_000},
		{"snd_cwnd", client, 80, 2, 1000},
		{"advmss", client, 84, 1460, 1460},
		{"reordering", client, 88, 3, 3},
		{"total_retrans", client, 100, 0, 10},
		{"bytes_received", server, 128, 5000, 5000},
		{"segs_out", client, 136, 4, 100},
		{"segs_in", client, 140, 1, 100},
		{"bytes_sent", client, 200, 5000, 5000},
	} {
		if v := u32(tc.s, tc.offset); v < tc.least || v > tc.most {
			t.Errorf("%s is %d, want %d to %d", tc.name, v, tc.least, tc.most)
		}
	}
	if state := byte(u32(client, 0)); state != sockets.TCP_ESTABLISHED {
		t.Errorf("state %d", state)
	}
}
