package sockets_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
)

// A messageWorld is three datagram sockets, on our stack or on the kernel under
// the test, bound on the loopback; place 3 is a port that nobody has.
type messageWorld interface {
	set(i, level, name, v int) error
	connect(i, to int) error
	send(i, to int, data []byte, control []sockets.ControlMessage, flags sockets.MsgFlags) (int, error)
	receive(i, size, room int, flags sockets.MsgFlags) (data []byte, n int, control []sockets.ControlMessage, out sockets.MsgFlags, from int, err error)
	get(i, level, name int) (int, error)
	waiting(i int) (int, error)
	poll(i int) int
}

// corks is the socket that gathers datagrams. It is never connected: Linux keeps
// the route of the peer and that of the datagram in one place, and sends to the
// wrong one of the two.
const corks = 1

const (
	messagePlaces = 4
	nowhere       = -1
	pollShown     = unix.POLLIN | unix.POLLOUT | unix.POLLERR | unix.POLLPRI
)

// ourMessages is the world of our stack.
type ourMessages struct {
	s  [3]*sockets.Socket
	at [messagePlaces]int // ports
}

func newOurMessages(t *testing.T, h *sockets.Host) *ourMessages {
	w := &ourMessages{at: [messagePlaces]int{3: 9}}
	for i := range w.s {
		var name sockets.Sockaddr = sockets.Inet4{Host: "127.0.0.1"}
		if i == 2 {
			name = sockets.Inet6{}
		}
		w.s[i] = must[*sockets.Socket](t)(h.Socket(name.Family(), sockets.SOCK_DGRAM|sockets.SOCK_NONBLOCK, 0))
		check(t, w.s[i].Bind(name))
		w.at[i] = portOf(must[sockets.Sockaddr](t)(w.s[i].GetSockName()))
	}
	return w
}

func portOf(a sockets.Sockaddr) int {
	switch a := a.(type) {
	case sockets.Inet4:
		return a.Port
	case sockets.Inet6:
		return a.Port
	}
	return 0
}

func (w *ourMessages) close() {
	for _, s := range w.s {
		s.Close()
	}
}

func (w *ourMessages) addr(i, to int) sockets.Sockaddr {
	switch {
	case to == nowhere:
		return nil
	case i == 2:
		return sockets.Inet6{Host: "::ffff:127.0.0.1", Port: w.at[to]}
	}
	return sockets.Inet4{Host: "127.0.0.1", Port: w.at[to]}
}

func (w *ourMessages) set(i, level, name, v int) error { return w.s[i].SetSockOptInt(level, name, v) }

func (w *ourMessages) get(i, level, name int) (int, error) { return w.s[i].GetSockOptInt(level, name) }

func (w *ourMessages) connect(i, to int) error { return w.s[i].Connect(w.addr(i, to)) }

func (w *ourMessages) send(i, to int, data []byte, control []sockets.ControlMessage, flags sockets.MsgFlags) (int, error) {
	return w.s[i].SendMsg(&sockets.Msg{Buffers: [][]byte{data}, Control: control, Addr: w.addr(i, to)}, flags)
}

func (w *ourMessages) receive(i, size, room int, flags sockets.MsgFlags) ([]byte, int, []sockets.ControlMessage, sockets.MsgFlags, int, error) {
	p := make([]byte, size)
	m, err := w.s[i].RecvMsg([][]byte{p}, room, flags)
	if err != nil {
		return nil, 0, nil, 0, 0, err
	}
	return p[:min(m.N, size)], m.N, m.Control, m.Flags, portOf(m.Addr), nil
}

func (w *ourMessages) waiting(i int) (int, error) {
	v, err := w.s[i].Ioctl(sockets.FIONREAD, nil)
	n, _ := v.(int)
	return n, err
}

func (w *ourMessages) poll(i int) int {
	d := []sockets.PollDesc{{Sock: w.s[i], In: pollShown}}
	w.s[i].Host().Poll(d, 0)
	return int(d[0].Out) & pollShown
}

// kernelMessages is the world of the kernel.
type kernelMessages struct {
	fd [3]int
	at [messagePlaces]int
}

func newKernelMessages(t *testing.T) *kernelMessages {
	w := &kernelMessages{}
	open := func(family int, name unix.Sockaddr) (fd, port int) {
		fd = must[int](t)(unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0))
		check(t, unix.Bind(fd, name))
		return fd, kernelPort(must[unix.Sockaddr](t)(unix.Getsockname(fd)))
	}
	loopback := [4]byte{127, 0, 0, 1}
	for i := range w.fd {
		if i == 2 {
			w.fd[i], w.at[i] = open(unix.AF_INET6, &unix.SockaddrInet6{})
		} else {
			w.fd[i], w.at[i] = open(unix.AF_INET, &unix.SockaddrInet4{Addr: loopback})
		}
	}
	var fd int
	fd, w.at[3] = open(unix.AF_INET, &unix.SockaddrInet4{Addr: loopback})
	unix.Close(fd)
	return w
}

func kernelPort(sa unix.Sockaddr) int {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return sa.Port
	case *unix.SockaddrInet6:
		return sa.Port
	}
	return 0
}

func (w *kernelMessages) close() {
	for _, fd := range w.fd {
		unix.Close(fd)
	}
}

func (w *kernelMessages) addr(i, to int) unix.Sockaddr {
	switch {
	case to == nowhere:
		return nil
	case i == 2:
		return &unix.SockaddrInet6{Port: w.at[to], Addr: [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}}
	}
	return &unix.SockaddrInet4{Port: w.at[to], Addr: [4]byte{127, 0, 0, 1}}
}

func (w *kernelMessages) set(i, level, name, v int) error {
	return unix.SetsockoptInt(w.fd[i], level, name, v)
}

func (w *kernelMessages) get(i, level, name int) (int, error) {
	return unix.GetsockoptInt(w.fd[i], level, name)
}

func (w *kernelMessages) connect(i, to int) error {
	if to == nowhere {
		return nil // x/sys has no AF_UNSPEC
	}
	return unix.Connect(w.fd[i], w.addr(i, to))
}

func (w *kernelMessages) send(i, to int, data []byte, control []sockets.ControlMessage, flags sockets.MsgFlags) (int, error) {
	return unix.SendmsgBuffers(w.fd[i], [][]byte{data}, sockets.MarshalControl(control), w.addr(i, to), int(flags))
}

func (w *kernelMessages) receive(i, size, room int, flags sockets.MsgFlags) ([]byte, int, []sockets.ControlMessage, sockets.MsgFlags, int, error) {
	p, oob := make([]byte, size), make([]byte, room)
	n, oobn, out, from, err := unix.RecvmsgBuffers(w.fd[i], [][]byte{p}, oob, int(flags))
	if err != nil {
		return nil, 0, nil, 0, 0, err
	}
	control, err := sockets.ParseControl(oob[:oobn])
	return p[:min(n, size)], n, control, sockets.MsgFlags(out), kernelPort(from), err
}

func (w *kernelMessages) waiting(i int) (int, error) { return unix.IoctlGetInt(w.fd[i], unix.TIOCINQ) }

func (w *kernelMessages) poll(i int) int {
	d := []unix.PollFd{{Fd: int32(w.fd[i]), Events: pollShown}}
	unix.Poll(d, 0)
	return int(d[0].Revents) & pollShown
}

// A messageStep is a random call, the same in both worlds.
type messageStep func(w messageWorld, place func(port int) int) string

func told(err error) string {
	var ours sockets.SocketError
	var kernel unix.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &ours):
		return ours.Errno().Name()
	case errors.As(err, &kernel):
		return sockets.Errno(kernel).Name()
	}
	return err.Error()
}

var messageSwitches = [][2]int{
	{unix.SOL_IP, unix.IP_RECVTTL}, {unix.SOL_IP, unix.IP_RECVTOS}, {unix.SOL_IP, unix.IP_RECVERR},
	{unix.SOL_IP, unix.IP_RECVERR}, {unix.SOL_IPV6, unix.IPV6_RECVHOPLIMIT},
	{unix.SOL_UDP, unix.UDP_CORK}, {unix.SOL_SOCKET, unix.SO_SELECT_ERR_QUEUE},
}

// randomStep picks a call. Data and control messages are made before, so that
// both worlds get the same.
func randomStep(r *rand.Rand) (string, messageStep) {
	i, to := r.IntN(3), r.IntN(messagePlaces+1)-1
	switch r.IntN(10) {
	case 0, 1:
		o, v := messageSwitches[r.IntN(len(messageSwitches))], r.IntN(2)
		if o[1] == unix.UDP_CORK && o[0] == unix.SOL_UDP {
			i = corks
		}
		return fmt.Sprintf("set(%d, %d/%d, %d)", i, o[0], o[1], v), func(w messageWorld, _ func(int) int) string {
			return told(w.set(i, o[0], o[1], v))
		}
	case 2:
		n := []int{-1, 0, 3, 10}[r.IntN(4)]
		return fmt.Sprintf("peekoff(%d, %d)", i, n), func(w messageWorld, _ func(int) int) string {
			err := w.set(i, unix.SOL_SOCKET, unix.SO_PEEK_OFF, n)
			v, _ := w.get(i, unix.SOL_SOCKET, unix.SO_PEEK_OFF)
			return fmt.Sprint(told(err), v)
		}
	case 3:
		if to == nowhere {
			to = 3
		}
		i &^= 1 // not the one that corks
		return fmt.Sprintf("connect(%d, %d)", i, to), func(w messageWorld, _ func(int) int) string { return told(w.connect(i, to)) }
	case 4, 5, 6:
		return randomSend(r, i, to)
	case 7:
		return fmt.Sprintf("error(%d)", i), func(w messageWorld, _ func(int) int) string {
			v, err := w.get(i, unix.SOL_SOCKET, unix.SO_ERROR)
			return fmt.Sprint(v, told(err))
		}
	}
	size, room := []int{0, 1, 4, 100}[r.IntN(4)], []int{0, 20, 60, 500}[r.IntN(4)]
	flags := []sockets.MsgFlags{0, 0, sockets.MSG_PEEK, sockets.MSG_TRUNC, sockets.MSG_ERRQUEUE, sockets.MSG_PEEK | sockets.MSG_TRUNC, sockets.MSG_OOB}[r.IntN(7)]
	return fmt.Sprintf("receive(%d, %d, %d, %#x)", i, size, room, int(flags)), func(w messageWorld, place func(int) int) string {
		p, n, control, out, from, err := w.receive(i, size, room, flags)
		if err != nil {
			return told(err)
		}
		if out&sockets.MSG_ERRQUEUE != 0 { // Linux sends ICMP errors with a TOS of its own
			control = slices.DeleteFunc(control, func(m sockets.ControlMessage) bool { return m.Level == unix.SOL_IP && m.Type == unix.IP_TOS })
		}
		return fmt.Sprintf("%q %d of %d flags %#x %v", p, n, place(from), int(out), control)
	}
}

func randomSend(r *rand.Rand, i, to int) (string, messageStep) {
	data := []byte("abcdefghijklmnopqrstuvwxyz")[:r.IntN(27)]
	flags := []sockets.MsgFlags{0, 0, 0, sockets.MSG_CONFIRM, sockets.MSG_DONTROUTE, sockets.MSG_OOB, sockets.MSG_CONFIRM}[r.IntN(7)]
	if i == corks && r.IntN(3) == 0 {
		flags = sockets.MSG_MORE
	}
	var control []sockets.ControlMessage
	for range r.IntN(3) {
		v := []int{0, 1, 3, 64, 255, 256, -1}[r.IntN(7)]
		m := sockets.ControlInt([]int{0, 0, 0, 1, 41, 17, 99}[r.IntN(7)], []int{1, 2, 8, 52, 67, 99, 103}[r.IntN(7)], v)
		m.Data = m.Data[:[]int{4, 4, 4, 2, 1, 0}[r.IntN(6)]]
		if r.IntN(4) == 0 {
			last := byte(r.IntN(9))
			if i == 2 {
				last = 1 // once connected Linux's socket has one address, netstack's any
			}
			info := append(make([]byte, 4), 127, 0, 0, last, 0, 0, 0, 0)
			m = sockets.ControlMessage{Level: 0, Type: 8, Data: info[:[]int{12, 12, 11}[r.IntN(3)]]}
		}
		control = append(control, m)
	}
	return fmt.Sprintf("send(%d, %d, %q, %v, %#x)", i, to, data, control, int(flags)), func(w messageWorld, _ func(int) int) string {
		n, err := w.send(i, to, data, control, flags)
		if err != nil {
			n = 0
		}
		return fmt.Sprint(n, told(err))
	}
}

// look is what a program can see without changing anything.
func look(w messageWorld) string {
	var b strings.Builder
	for i := range 3 {
		n, err := w.waiting(i)
		fmt.Fprintf(&b, " %d:%s:%#x", n, told(err), w.poll(i))
	}
	return b.String()
}

// settle looks at the kernel's sockets, for a while if need be: a busy machine may
// deliver later what was sent on its loopback.
func settle(w messageWorld, want string) string {
	const tries, pause = 50, 10 // milliseconds
	got := look(w)
	for i := 0; got != want && i < tries; i++ {
		unix.Poll(nil, pause)
		got = look(w)
	}
	return got
}

// TestMessagesAgainstKernel makes the same random calls on our sockets and on the
// kernel's, on the loopback of each, and compares everything that they say. A
// failure prints the calls that led to it; the seed is fixed.
func TestMessagesAgainstKernel(t *testing.T) {
	const sequences, length = 600, 50
	for seed := range uint64(sequences) {
		h, end := loopbackHost() // a new one: netstack sends 50 ICMP messages at a time, and no more
		ours, kernel := newOurMessages(t, h), newKernelMessages(t)
		r := rand.New(rand.NewPCG(seed, 35))
		// Turned on later, Linux has no interface to tell for what came before.
		for i := range 3 {
			on := r.IntN(2)
			for _, w := range []messageWorld{ours, kernel} {
				w.set(i, unix.SOL_IP, unix.IP_PKTINFO, on)
				w.set(i, unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1)
			}
		}
		var calls []string
		for range length {
			name, step := randomStep(r)
			a := step(ours, func(port int) int { return placeOf(ours.at, port) }) + look(ours)
			b := step(kernel, func(port int) int { return placeOf(kernel.at, port) }) + settle(kernel, look(ours))
			calls = append(calls, name+" = "+b)
			if a != b {
				t.Errorf("seed %d: after\n\t%s\nours say\n\t%s", seed, strings.Join(calls, "\n\t"), a)
				break
			}
		}
		ours.close()
		kernel.close()
		end()
		if t.Failed() {
			return
		}
	}
}

func placeOf(at [messagePlaces]int, port int) int {
	for i, p := range at {
		if p == port {
			return i
		}
	}
	return nowhere
}
