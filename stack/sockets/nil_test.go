package sockets_test

import (
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

// What is nil where it must not be is refused, with the errno that Linux has for a
// bad pointer or descriptor.
func TestNilArguments(t *testing.T) {
	a, _ := pair(t)
	s := udpSocket(t, a)
	_, err := s.SendMsg(nil)
	wantErrno(t, err, sockets.EFAULT)
	_, err = s.SendMMsg([]*sockets.Msg{nil})
	wantErrno(t, err, sockets.EFAULT)
	_, err = s.RecvMMsg([]*sockets.Msg{nil}, 0, sockets.MSG_DONTWAIT)
	wantErrno(t, err, sockets.EFAULT)
	_, err = s.Recv(1, nil, sockets.MSG_DONTWAIT)
	wantErrno(t, err, sockets.EAGAIN)
	_, err = sockets.GetOption[sockets.Option](s)
	wantErrno(t, err, sockets.EINVAL)
	wantErrno(t, s.SetOption(nil), sockets.EINVAL)
	x, y, err := a.SocketPair(sockets.AF_UNIX, sockets.SOCK_STREAM, 0)
	check(t, err)
	defer x.Close()
	defer y.Close()
	_, err = x.SendMsg(&sockets.Msg{Buffers: [][]byte{{1}}, Control: []sockets.ControlMessage{sockets.Rights(nil)}})
	wantErrno(t, err, sockets.EBADF)
	wantErrno(t, s.Bind(nil), sockets.EAFNOSUPPORT)
	_, err = s.SendTo([]byte("x"), nil)
	wantErrno(t, err, sockets.EDESTADDRREQ)
}
