package sockets_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

// hostCloses are calls that wait for another socket of their own Host. The other
// is what make returns first; closing it alone ends the call with what alone says.
var hostCloses = []struct {
	name, op string // op is the method that waits
	make     func(t *testing.T, h *sockets.Host) (other, waits *sockets.Socket)
	call     func(waits *sockets.Socket) error
	alone    error
}{
	{"recv on a Unix stream", "sockets.(*Socket).recvUnixStream", unreadPair(sockets.AF_UNIX, sockets.SOCK_STREAM), recvOne, sockets.ECONNRESET},
	{"recv at the end of a Unix stream", "sockets.(*Socket).recvUnixStream", plainPair(sockets.AF_UNIX, sockets.SOCK_STREAM), readOne, io.EOF},
	{"recv of a Unix record", "sockets.(*Socket).recvUnixRecord", unreadPair(sockets.AF_UNIX, sockets.SOCK_SEQPACKET), recvOne, sockets.ECONNRESET},
	{"line of a Unix stream", "sockets.(*Socket).collect", unreadPair(sockets.AF_UNIX, sockets.SOCK_STREAM), readLine, sockets.ECONNRESET},
	{"send on a Unix stream", "sockets.(*Socket).sendUnix", fullPair(sockets.AF_UNIX, sockets.SOCK_STREAM), sendOne, sockets.EPIPE},
	{"send of a Unix datagram", "sockets.(*Socket).sendUnix", fullPair(sockets.AF_UNIX, sockets.SOCK_DGRAM), sendOne, sockets.ECONNREFUSED},
	{"recv on TCP", "sockets.(*Socket).recvStream", unreadPair(sockets.AF_INET, sockets.SOCK_STREAM), recvOne, sockets.ECONNRESET},
	{"line on TCP", "sockets.(*Socket).collect", unreadPair(sockets.AF_INET, sockets.SOCK_STREAM), readLine, sockets.ECONNRESET},
	{"send on TCP", "sockets.(*Socket).write", unreadPair(sockets.AF_INET, sockets.SOCK_STREAM), sendMuch, sockets.ECONNRESET},
	{"poll", "sockets.(*Host).await", unreadPair(sockets.AF_INET, sockets.SOCK_STREAM), pollOne, errReset},
}

var errReset = errors.New("POLLHUP")

func plainPair(f sockets.Family, typ sockets.Type) func(*testing.T, *sockets.Host) (other, waits *sockets.Socket) {
	return func(t *testing.T, h *sockets.Host) (other, waits *sockets.Socket) {
		return socketPair(t, h, f, typ)
	}
}

// unreadPair is a pair whose other end has data that it never reads, so that
// closing it resets the connection.
func unreadPair(f sockets.Family, typ sockets.Type) func(*testing.T, *sockets.Host) (other, waits *sockets.Socket) {
	return func(t *testing.T, h *sockets.Host) (other, waits *sockets.Socket) {
		other, waits = socketPair(t, h, f, typ)
		check(t, must2(waits.Send([]byte("x"))))
		check(t, must2(other.Recv(1, sockets.MSG_PEEK)))
		return other, waits
	}
}

func fullPair(f sockets.Family, typ sockets.Type) func(*testing.T, *sockets.Host) (other, waits *sockets.Socket) {
	return func(t *testing.T, h *sockets.Host) (other, waits *sockets.Socket) {
		other, waits = socketPair(t, h, f, typ)
		check(t, waits.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, 8<<10))
		fill(t, waits, 1<<10)
		return other, waits
	}
}

func recvOne(s *sockets.Socket) error  { return must2(s.Recv(1)) }
func readOne(s *sockets.Socket) error  { return must2(s.Read(make([]byte, 1))) }
func readLine(s *sockets.Socket) error { return must2(s.ReadLine(0)) }
func sendOne(s *sockets.Socket) error  { return must2(s.SendAll(make([]byte, 1<<10))) }
func sendMuch(s *sockets.Socket) error { return must2(s.SendAll(muchData)) }

var muchData = make([]byte, 32<<20) // more than two sockets hold

func pollOne(s *sockets.Socket) error {
	d := []sockets.PollDesc{{Sock: s}}
	_, err := s.Host().Poll(d, sockets.NoTimeout)
	switch {
	case err != nil:
		return err
	case d[0].Out == sockets.POLLNVAL:
		return sockets.ErrClosed
	}
	return errReset
}

// TestHostCloseEndsCalls closes a Host under calls that wait for another of its
// sockets, which is closed first: each must end with ErrClosed, and not with what
// the other's end looks like.
func TestHostCloseEndsCalls(t *testing.T) {
	const calls = 20
	for _, tc := range hostCloses {
		t.Run(tc.name, func(t *testing.T) {
			h, _ := pair(t)
			var first, last []*sockets.Socket
			for range calls {
				other, waits := tc.make(t, h)
				first, last = append(first, other), append(last, waits)
			}
			for i, s := range last { // Close takes the sockets by number: those that wait get the highest
				last[i] = must[*sockets.Socket](t)(s.Dup())
				t.Cleanup(func() { last[i].Close() })
			}
			got := make(chan error, calls)
			for _, s := range last {
				go func() { got <- tc.call(s) }()
			}
			awaitStacks(t, calls, func(g string) bool {
				return strings.Contains(g, " [select") && strings.Contains(g, tc.op+"(")
			})
			check(t, first[0].Close())
			if err := <-got; !errors.Is(err, tc.alone) || errors.Is(err, sockets.ErrClosed) {
				t.Errorf("after the other socket's Close: %v, want %v", err, tc.alone)
			}
			check(t, h.Close())
			for range calls - 1 {
				if err := <-got; !errors.Is(err, sockets.ErrClosed) {
					t.Errorf("after Host.Close: %v, want ErrClosed", err)
				}
			}
		})
	}
}
