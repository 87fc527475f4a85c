package sockets_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/userstack/userstack/stack/sockets"
)

// A batch leaves in as few packets as there are runs of datagrams of one size to
// one address; the link's far end gets each by itself.
func TestBatchIsBundled(t *testing.T) {
	a, b := pair(t)
	from := udpSocket(t, a)
	to, dst := boundUDP(t, b)
	other, elsewhere := boundUDP(t, b)
	msgs := func(dst sockets.Sockaddr, sizes ...int) (ms []*sockets.Msg) {
		for _, n := range sizes {
			ms = append(ms, &sockets.Msg{Buffers: [][]byte{make([]byte, n)}, Addr: dst})
		}
		return ms
	}
	for _, c := range []struct {
		msgs    []*sockets.Msg
		packets uint64
	}{
		{msgs(dst, 100, 100, 100, 100), 1},
		{msgs(dst, 100, 100, 50, 50), 2}, // a shorter one ends a run
		{msgs(dst, 100, 200), 2},
		{msgs(dst, 0, 0), 2},
		{slices.Concat(msgs(dst, 9, 9), msgs(elsewhere, 9, 9), msgs(dst, 9)), 3},
		{msgs(dst, slices.Repeat([]int{3}, 130)...), 2}, // 128 at most
		{msgs(dst, 2000, 2000), 4},                      // larger than the MTU: fragments
	} {
		before := a.Stack().Stats()
		if n, err := from.SendMMsg(c.msgs); n != len(c.msgs) || err != nil {
			t.Fatalf("%d of %d sent: %v", n, len(c.msgs), err)
		}
		after := a.Stack().Stats()
		if got := after.IP.Sent - before.IP.Sent; got != c.packets {
			t.Errorf("%d messages left in %d packets, want %d", len(c.msgs), got, c.packets)
		}
		if got := after.UDP.Sent - before.UDP.Sent; got != uint64(len(c.msgs)) {
			t.Errorf("%d messages are counted as %d", len(c.msgs), got)
		}
		for _, m := range c.msgs {
			s := to
			if m.Addr == elsewhere {
				s = other
			}
			if got := len(must[[]byte](t)(s.Recv(3000, sockets.Within(patience)))); got != m.N || got != len(m.Buffers[0]) {
				t.Errorf("received %d bytes of %d, N is %d", got, len(m.Buffers[0]), m.N)
			}
		}
	}
}

// SendMMsg tells of an error when it comes first, and else leaves it to the next
// call.
func TestBatchErrors(t *testing.T) {
	a, b := pair(t)
	from := udpSocket(t, a)
	_, dst := boundUDP(t, b)
	good := &sockets.Msg{Buffers: [][]byte{{1}}, Addr: dst}
	for name, c := range map[string]struct {
		bad  *sockets.Msg
		want sockets.Errno
	}{
		"nil":            {nil, sockets.EFAULT},
		"no destination": {&sockets.Msg{Buffers: [][]byte{{1}}}, sockets.EDESTADDRREQ},
		"port 0":         {&sockets.Msg{Buffers: [][]byte{{1}}, Addr: sockets.Inet4{Host: addrB}}, sockets.EINVAL},
		"too large":      {&sockets.Msg{Buffers: [][]byte{make([]byte, 66000)}, Addr: dst}, sockets.EMSGSIZE},
		"broadcast":      {&sockets.Msg{Buffers: [][]byte{{1}}, Addr: sockets.Inet4{Host: "<broadcast>", Port: 9}}, sockets.EACCES},
		"a bad control":  {&sockets.Msg{Buffers: [][]byte{{1}}, Addr: dst, Control: []sockets.ControlMessage{sockets.ControlInt(sockets.SOL_UDP, 99, 1)}}, sockets.EINVAL},
	} {
		if n, err := from.SendMMsg([]*sockets.Msg{good, good, c.bad, good}); n != 2 || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		n, err := from.SendMMsg([]*sockets.Msg{c.bad, good})
		if n != 0 {
			t.Errorf("%s: %d", name, n)
		}
		wantErrno(t, err, c.want)
	}
	check(t, from.Close())
	if _, err := from.SendMMsg([]*sockets.Msg{good}); !errors.Is(err, sockets.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// packetPair returns two net.PacketConns on one wire.
func packetPair(t *testing.T) (from, to *sockets.PacketConn) {
	t.Helper()
	a, b := pair(t)
	return listenPacket(t, a, addrA), listenPacket(t, b, addrB)
}

func listenPacket(t *testing.T, h *sockets.Host, addr string) *sockets.PacketConn {
	t.Helper()
	c := must[net.PacketConn](t)(h.ListenPacket("udp", addr+":0"))
	t.Cleanup(func() { c.Close() })
	check(t, c.SetDeadline(time.Now().Add(patience)))
	return c.(*sockets.PacketConn)
}

// ReadMsgUDP and WriteMsgUDP carry control messages both ways.
func TestMessagesOfPacketConn(t *testing.T) {
	from, to := packetPair(t)
	setInts(t, to.Socket(), sockets.SOL_IP, sockets.IP_RECVTOS, sockets.IP_PKTINFO)
	oob := sockets.MarshalControl([]sockets.ControlMessage{sockets.ControlInt(sockets.SOL_IP, sockets.IP_TOS, 3)})
	name := to.LocalAddr().(*net.UDPAddr)
	for _, send := range []func() (int, int, error){
		func() (int, int, error) { return from.WriteMsgUDP([]byte("hello"), oob, name) },
		func() (int, int, error) { return from.WriteMsgUDPAddrPort([]byte("hello"), oob, name.AddrPort()) },
	} {
		if n, oobn, err := send(); n != 5 || oobn != len(oob) || err != nil {
			t.Fatal(n, oobn, err)
		}
		p, control := make([]byte, 100), make([]byte, 100)
		n, oobn, flags, addr, err := to.ReadMsgUDP(p, control)
		if string(p[:n]) != "hello" || flags != 0 || addr.String() != from.LocalAddr().String() || err != nil {
			t.Fatal(n, flags, addr, err)
		}
		ms := must[[]sockets.ControlMessage](t)(sockets.ParseControl(control[:oobn]))
		if len(ms) != 2 || ms[0].Type != sockets.IP_PKTINFO || ms[1].Type != sockets.IP_TOS || ms[1].Data[0] != 3 {
			t.Errorf("control messages %v", ms)
		}
	}
	for i := range 5 {
		if _, _, err := from.WriteMsgUDP([]byte("hello"), nil, name); err != nil {
			t.Fatal(err)
		}
		n, oobn, flags, _, err := to.ReadMsgUDPAddrPort(make([]byte, 4), make([]byte, 17+i))
		if n != 4 || oobn != 17+i || flags != int(sockets.MSG_TRUNC|sockets.MSG_CTRUNC) || err != nil {
			t.Errorf("%d and %d bytes, flags %#x, %v", n, oobn, flags, err)
		}
	}
	for _, bad := range []struct {
		oob  []byte
		addr *net.UDPAddr
		want sockets.Errno
	}{
		{make([]byte, 16), name, sockets.EINVAL},
		{nil, nil, sockets.EDESTADDRREQ},
		{nil, &net.UDPAddr{IP: net.ParseIP("fd77::2"), Port: 9}, sockets.EAFNOSUPPORT},
		{nil, &net.UDPAddr{Port: 9}, sockets.EINVAL},
	} {
		_, _, err := from.WriteMsgUDP([]byte("x"), bad.oob, bad.addr)
		wantErrno(t, err, bad.want)
	}
}

// ReadBatch waits for one message and takes what else there is; deadlines and
// Close end the wait.
func TestReadBatch(t *testing.T) {
	from, to := packetPair(t)
	ms := make([]ipv4.Message, 4)
	for i := range ms {
		ms[i] = ipv4.Message{Buffers: [][]byte{make([]byte, 10)}, OOB: make([]byte, 64)}
	}
	out := slices.Repeat([]ipv4.Message{{Buffers: [][]byte{make([]byte, 10)}, Addr: to.LocalAddr()}}, 3)
	if n, err := from.WriteBatch(out, 0); n != 3 || err != nil || out[2].N != 10 {
		t.Fatal(n, err, out[2])
	}
	for got := 0; got < 3; {
		n, err := to.ReadBatch(ms, 0)
		if err != nil || n == 0 || ms[0].N != 10 || ms[0].NN != 0 || ms[0].Addr.String() != from.LocalAddr().String() {
			t.Fatal(n, err, ms[0])
		}
		got += n
	}
	check(t, to.SetReadDeadline(time.Unix(1, 0)))
	if n, err := to.ReadBatch(ms, 0); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %d, %v", n, err)
	}
	check(t, to.SetReadDeadline(time.Time{}))
	closed := make(chan error)
	go func() {
		_, err := to.ReadBatch(ms, 0)
		closed <- err
	}()
	check(t, to.Close())
	if err := <-closed; !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	check(t, from.Close())
	if _, err := from.WriteBatch(out, 0); !errors.Is(err, net.ErrClosed) {
		t.Errorf("WriteBatch after Close: %v", err)
	}
}

// Into the caller's buffers batches are received without an allocation.
func TestBatchesDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties sync.Pools at random: run it without -race")
	}
	const runs, each = 20, 8
	h, end := loopbackHost() // what is sent has arrived
	defer end()
	from, to := listenPacket(t, h, "127.0.0.1"), listenPacket(t, h, "127.0.0.1")
	check(t, to.Socket().SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 1<<20))
	setInts(t, to.Socket(), sockets.SOL_IP, sockets.IP_RECVTOS)
	ms := make([]ipv4.Message, each)
	for i := range ms {
		ms[i] = ipv4.Message{Buffers: [][]byte{make([]byte, 100)}, OOB: make([]byte, 64)}
	}
	out := slices.Repeat([]ipv4.Message{{Buffers: [][]byte{make([]byte, 100)}, Addr: to.LocalAddr()}}, each)
	for range runs + 1 {
		if n, err := from.WriteBatch(out, 0); n != each || err != nil {
			t.Fatal(n, err)
		}
	}
	got := 0
	allocations := testing.AllocsPerRun(runs, func() {
		n, err := to.ReadBatch(ms, 0)
		if err != nil || n != each {
			t.Fatal(n, err)
		}
		got += n
	})
	if allocations != 0 {
		t.Errorf("%v allocations for %d messages", allocations, each)
	}
	many := msgsOf(each)
	for range runs + 1 {
		if n, err := from.WriteBatch(out, 0); n != each || err != nil {
			t.Fatal(n, err)
		}
	}
	check(t, to.Socket().SetSockOptInt(sockets.SOL_IP, sockets.IP_RECVTOS, 0)) // what a Msg has of it is the caller's to keep
	if n := testing.AllocsPerRun(runs, func() {
		if n, err := to.Socket().RecvMMsg(many, 0, sockets.MSG_WAITFORONE); err != nil || n != each {
			t.Fatal(n, err)
		}
	}); n > 1 { // the call's options
		t.Errorf("%v allocations for RecvMMsg of %d", n, each)
	}
	var p [100]byte
	if n, err := from.WriteBatch(out, 0); n != each || err != nil {
		t.Fatal(n, err)
	}
	if n := testing.AllocsPerRun(1, func() {
		if _, _, _, from, err := to.ReadMsgUDPAddrPort(p[:], nil); err != nil || from == (netip.AddrPort{}) {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for one message", n)
	}
}

func msgsOf(n int) (ms []*sockets.Msg) {
	for range n {
		ms = append(ms, &sockets.Msg{Buffers: [][]byte{make([]byte, 100)}})
	}
	return ms
}
