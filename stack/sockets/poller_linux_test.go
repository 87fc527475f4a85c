package sockets_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
)

// TestPollerAgainstEpoll does the same random things to sockets of ours and of
// the kernel's, and compares poll of every state on the way and what the Poller
// and epoll_wait(2) report.
func TestPollerAgainstEpoll(t *testing.T) {
	const seeds, steps = 150, 40
	h, end := loopbackHost()
	defer end()
	for _, typ := range []sockets.Type{sockets.SOCK_STREAM, sockets.SOCK_DGRAM} {
		for seed := range uint64(rounds(seeds)) {
			c := newEpollComparison(t, h, typ, rand.New(rand.NewPCG(seed, uint64(typ))))
			for range steps {
				c.step()
			}
			c.end()
			if t.Failed() {
				t.Fatalf("type %d, seed %d: %s", typ, seed, strings.Join(c.log, "; "))
			}
		}
	}
}

// An epollComparison is a pair of sockets here and one in the kernel. The first
// of each is registered; the other is its peer.
type epollComparison struct {
	t   *testing.T
	rnd *rand.Rand
	log []string

	ours   [2]*sockets.Socket
	poller *sockets.Poller
	fds    [2]int
	epoll  int
	gone   bool // the peer was closed

	stream bool
	edge   bool               // the registration is edge-triggered
	state  sockets.PollEvents // of the first of ours, at the last comparison
	waits  int                // its FIONREAD then
}

func newEpollComparison(t *testing.T, h *sockets.Host, typ sockets.Type, rnd *rand.Rand) *epollComparison {
	c := &epollComparison{t: t, rnd: rnd, poller: newPoller(t, h), stream: typ == sockets.SOCK_STREAM}
	if c.stream {
		c.connectStreams(h)
	} else {
		c.connectDatagrams(h)
	}
	for i := range c.ours {
		c.ours[i].SetBlocking(false)
		if c.stream {
			check(t, c.ours[i].SetSockOptInt(sockets.SOL_TCP, sockets.TCP_NODELAY, 1))
			check(t, syscall.SetsockoptInt(c.fds[i], syscall.SOL_TCP, syscall.TCP_NODELAY, 1))
		}
		check(t, syscall.SetNonblock(c.fds[i], true))
	}
	c.epoll = must[int](t)(syscall.EpollCreate1(syscall.EPOLL_CLOEXEC))
	check(t, c.poller.Register(c.ours[0], in))
	check(t, syscall.EpollCtl(c.epoll, syscall.EPOLL_CTL_ADD, c.fds[0], &syscall.EpollEvent{Events: uint32(in)}))
	return c
}

func (c *epollComparison) end() {
	for i := range c.ours {
		c.ours[i].Close()
		syscall.Close(c.fds[i])
	}
	syscall.Close(c.epoll)
	c.poller.Close()
}

// kernelSocket makes a socket of the kernel's that is bound to its loopback.
func (c *epollComparison) kernelSocket(typ sockets.Type) (fd int, addr syscall.Sockaddr) {
	fd = must[int](c.t)(syscall.Socket(syscall.AF_INET, int(typ)|syscall.SOCK_CLOEXEC, 0))
	check(c.t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	return fd, must[syscall.Sockaddr](c.t)(syscall.Getsockname(fd))
}

func (c *epollComparison) connectStreams(h *sockets.Host) {
	l, addr := listener(c.t, h, "127.0.0.1")
	c.ours[0] = tcpSocket(c.t, h)
	check(c.t, c.ours[0].Connect(addr))
	peer, _, err := l.Accept()
	check(c.t, err)
	c.ours[1] = peer
	check(c.t, l.Close())

	fd, to := c.kernelSocket(sockets.SOCK_STREAM)
	check(c.t, syscall.Listen(fd, 1))
	c.fds[0], _ = c.kernelSocket(sockets.SOCK_STREAM)
	check(c.t, syscall.Connect(c.fds[0], to))
	c.fds[1], _, err = syscall.Accept(fd)
	check(c.t, err)
	check(c.t, syscall.Close(fd))
}

func (c *epollComparison) connectDatagrams(h *sockets.Host) {
	var addrs [2]sockets.Sockaddr
	var to [2]syscall.Sockaddr
	for i := range 2 {
		c.ours[i], addrs[i] = loopbackUDP(c.t, h)
		c.fds[i], to[i] = c.kernelSocket(sockets.SOCK_DGRAM)
	}
	for i := range 2 {
		check(c.t, c.ours[i].Connect(addrs[1-i]))
		check(c.t, syscall.Connect(c.fds[i], to[1-i]))
	}
}

// registrations are what Modify sets. Room to send is not asked for with
// EPOLLET: the kernel tells of it each time that a packet has left.
var registrations = []sockets.PollEvents{
	in, out, rdhup, in | out, in | rdhup, 0,
	in | edge, rdhup | edge, in | rdhup | edge,
	in | oneShot, out | oneShot, in | rdhup | oneShot, in | rdhup | edge | oneShot,
}

// step does one thing to both, waits until both are in the same state, and
// compares what is reported.
func (c *epollComparison) step() {
	buf := make([]byte, 1+c.rnd.IntN(2))
	var what string
	var got, want int
	var err, kernelErr error
	end := c.rnd.IntN(2)
	if c.gone {
		end = 0
	}
	switch c.rnd.IntN(12) {
	default:
		what = fmt.Sprintf("send %d from %d", len(buf), end)
		got, err = c.ours[end].Send(buf)
		want, kernelErr = syscall.SendmsgN(c.fds[end], buf, nil, nil, syscall.MSG_NOSIGNAL)
	case 0, 1, 2:
		what = fmt.Sprintf("receive %d at %d", len(buf), end)
		got, err = c.ours[end].RecvInto(buf)
		want, _, kernelErr = syscall.Recvfrom(c.fds[end], buf, 0)
	case 3:
		how := c.rnd.IntN(3)
		what = fmt.Sprintf("shutdown %d of %d", how, end)
		err = c.ours[end].Shutdown(sockets.How(how))
		kernelErr = syscall.Shutdown(c.fds[end], how)
	case 4:
		what = fmt.Sprintf("SO_ERROR of %d", end)
		got, err = c.ours[end].GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_ERROR)
		want, kernelErr = syscall.GetsockoptInt(c.fds[end], syscall.SOL_SOCKET, syscall.SO_ERROR)
	case 5, 6, 7, 8:
		reg := registrations[c.rnd.IntN(len(registrations))]
		what, c.edge = "modify "+reg.String(), reg&edge != 0
		err = c.poller.Modify(c.ours[0], reg)
		kernelErr = syscall.EpollCtl(c.epoll, syscall.EPOLL_CTL_MOD, c.fds[0], &syscall.EpollEvent{Events: uint32(reg)})
	case 9:
		if c.rnd.IntN(5) > 0 || c.gone {
			return
		}
		what, c.gone = "close the peer", true
		err = c.ours[1].Close()
		kernelErr = syscall.Close(c.fds[1])
		c.fds[1] = -1
	}
	c.log = append(c.log, what)
	errno, _ := kernelErr.(syscall.Errno)
	if got, want := fmt.Sprint(max(got, 0), errnoOf(err)), fmt.Sprint(max(want, 0), sockets.Errno(errno)); got != want {
		c.t.Errorf("%s gives %s, and %s in the kernel", what, got, want)
	}
	c.compare()
}

// compare waits until poll says the same of both, and then compares what is
// reported.
func (c *epollComparison) compare() {
	for i := range c.ours {
		if c.gone && i == 1 {
			continue
		}
		got, want := c.states(i)
		for end := time.Now().Add(patience); got != want && time.Now().Before(end); got, want = c.states(i) {
			runtime.Gosched()
		}
		if got != want {
			c.t.Errorf("poll, FIONREAD, getpeername and TCP_INFO of %d say %s, and %s in the kernel", i, got, want)
		}
	}
	want := epollWait(c.t, c.epoll)
	got := c.reported(0)
	if got == 0 && want != 0 {
		got = c.reported(time.Second) // the notification may still be on its way
	}
	c.log = append(c.log, "-> "+want.String())
	state, waits := polled(c.t, c.ours[0], everything), must[any](c.t)(c.ours[0].Ioctl(sockets.FIONREAD, nil)).(int)
	same := state == c.state && waits <= c.waits
	c.state, c.waits = state, waits
	if got == 0 && c.stream && c.edge && same {
		return // the kernel reports what was so already: a FIN after SHUT_RD, the ACK of its own FIN
	}
	if got == 0 && want != 0 {
		got = c.reported(patience)
	}
	if got != want {
		c.t.Errorf("the Poller says %v, and epoll_wait %v", got, want)
	}
}

// reported waits for what our Poller says.
func (c *epollComparison) reported(timeout time.Duration) (got sockets.PollEvents) {
	for _, d := range must[[]sockets.PollDesc](c.t)(c.poller.Poll(timeout)) {
		got = d.Out
	}
	return got
}

// states returns what can be seen of socket i without changing it.
func (c *epollComparison) states(i int) (ours, kernel string) {
	_, err := c.ours[i].GetPeerName()
	_, kernelErr := unix.Getpeername(c.fds[i])
	ours = fmt.Sprint(polled(c.t, c.ours[i], everything), must[any](c.t)(c.ours[i].Ioctl(sockets.FIONREAD, nil)), err == nil)
	kernel = fmt.Sprint(kernelPoll(c.t, c.fds[i]), must[int](c.t)(unix.IoctlGetInt(c.fds[i], unix.TIOCINQ)), kernelErr == nil)
	if c.stream { // TCP_INFO begins with the state: a FIN may be seen nowhere else
		ours += fmt.Sprint(must[[]byte](c.t)(c.ours[i].GetSockOpt(sockets.SOL_TCP, sockets.TCP_INFO, 1)))
		kernel += fmt.Sprint([]byte{must[*unix.TCPInfo](c.t)(unix.GetsockoptTCPInfo(c.fds[i], unix.SOL_TCP, unix.TCP_INFO)).State})
	}
	return ours, kernel
}

// kernelPoll is poll(2) of a descriptor, by way of an epoll instance.
func kernelPoll(t *testing.T, fd int) sockets.PollEvents {
	t.Helper()
	ep := must[int](t)(syscall.EpollCreate1(syscall.EPOLL_CLOEXEC))
	defer syscall.Close(ep)
	check(t, syscall.EpollCtl(ep, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: uint32(everything)}))
	return epollWait(t, ep)
}

func epollWait(t *testing.T, ep int) sockets.PollEvents {
	t.Helper()
	var events [1]syscall.EpollEvent
	if n := must[int](t)(syscall.EpollWait(ep, events[:], 0)); n == 0 {
		return 0
	}
	return sockets.PollEvents(events[0].Events)
}
