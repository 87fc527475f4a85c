//go:build linux && (amd64 || arm64)

package supervise

import (
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/supervise/internal/rtnetlink"
	"github.com/userstack/userstack/supervise/internal/seccomp"
)

// A netlink is what the program has as an AF_NETLINK socket of NETLINK_ROUTE: one
// end of a pair of AF_UNIX sequenced-packet sockets. What it sends to the kernel
// comes here, and the answers about the stack's interfaces and routes go back.
// Nobody but the kernel sends anything, and it sends nothing unasked: groups are
// joined, and silent, as the stack's interfaces do not change.
type netlink struct {
	*file
	typ sockets.Type // SOCK_RAW or SOCK_DGRAM, which are the same

	mu      sync.Mutex
	far     *os.File // nil after the end
	bound   bool     // client has a port
	client  rtnetlink.Client
	groups  uint64         // joined: bit 0 is group 1
	options map[int]uint32 // those that only have to be remembered
	queue   [][]byte       // replies for which the program's socket has no room
	arrived chan struct{}  // closed, and replaced, when replies have come
}

// newNetlink is socket(2) for AF_NETLINK.
func (c *call) newNetlink(typ sockets.Type, flags int) (int64, error) {
	if typ != sockets.SOCK_RAW && typ != sockets.SOCK_DGRAM {
		return 0, syscall.ESOCKTNOSUPPORT
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(pair[0])
	nonblocking := pair[1:] // a file that does not block can wait with the others
	if flags&unix.SOCK_NONBLOCK != 0 {
		nonblocking = pair[:]
	}
	for _, fd := range nonblocking {
		if err := unix.SetNonblock(fd, true); err != nil {
			unix.Close(pair[1])
			return 0, err
		}
	}
	f := &file{s: c.s}
	n := &netlink{file: f, typ: typ, far: os.NewFile(uintptr(pair[1]), "netlink"), arrived: make(chan struct{}), options: map[int]uint32{}}
	f.kind = n
	f.seen(c.n.TID, -1)
	if f.cookie, err = seccomp.Cookie(pair[0]); err != nil {
		n.end()
		return 0, err
	}
	value, err := c.introduce(f, pair[0], flags)
	if err != nil {
		n.end()
		return 0, err
	}
	c.s.work.Go(n.serve)
	return value, errLater
}

// netlink returns the socket that the call is on, nil if it is on something else.
func (c *call) netlink() *netlink {
	if c.f == nil {
		return nil
	}
	n, _ := c.f.kind.(*netlink)
	return n
}

// serve answers what the program sends without us, and ends the socket when the
// program has closed it.
func (n *netlink) serve() {
	n.mu.Lock()
	far := n.far
	n.mu.Unlock()
	if far == nil {
		return
	}
	raw, err := far.SyscallConn()
	if err == nil {
		raw.Read(func(fd uintptr) (done bool) {
			n.mu.Lock()
			defer n.mu.Unlock()
			return n.drainLocked(int(fd))
		})
	}
	n.end()
}

// drainLocked answers what has come by fd, and sends what there was no room for. It
// reports whether the program has closed its socket.
func (n *netlink) drainLocked(fd int) (closed bool) {
	b := scratches.Get().(*scratch)
	defer scratches.Put(b)
	for {
		size, err := unix.Read(fd, b.data[:])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return false
		case err != nil || size == 0 && hungUp(fd):
			return true
		default:
			n.answerLocked(b.data[:size])
		}
	}
}

// mostReplies is how many may wait for the program to read before requests go
// unanswered.
const mostReplies = 256

// answerLocked sends the replies to a request.
func (n *netlink) answerLocked(request []byte) {
	n.autobindLocked()
	if len(n.queue) > mostReplies {
		return // lost, as to the kernel whose socket's buffer is full
	}
	replies := rtnetlink.Answer(n.s.host.Stack(), n.client, request)
	waiting := len(n.queue) > 0
	n.queue = append(n.queue, replies...)
	if !waiting {
		n.sendLocked()
	}
}

// sendLocked sends what is queued. What does not fit is sent by a goroutine that
// waits for room.
func (n *netlink) sendLocked() {
	if n.far == nil || len(n.queue) == 0 {
		return
	}
	raw, err := n.far.SyscallConn()
	if err != nil {
		n.queue = nil
		return
	}
	raw.Control(func(fd uintptr) { n.flushLocked(int(fd)) })
	if len(n.queue) > 0 {
		n.s.work.Go(func() {
			raw.Write(func(fd uintptr) (done bool) {
				n.mu.Lock()
				defer n.mu.Unlock()
				n.flushLocked(int(fd))
				return len(n.queue) == 0
			})
		})
	}
}

// flushLocked sends what there is room for.
func (n *netlink) flushLocked(fd int) {
	sent := 0
	for len(n.queue) > 0 {
		err := unix.Send(fd, n.queue[0], unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		if err == unix.EAGAIN {
			break
		}
		if err != nil { // nobody is there to read it
			n.queue = nil
			break
		}
		n.queue = n.queue[1:]
		sent++
	}
	if sent > 0 {
		close(n.arrived)
		n.arrived = make(chan struct{})
	}
}

// stale implements kind: a pair notices the end by itself, but not at once.
func (n *netlink) stale(*roll) bool {
	n.mu.Lock()
	far := n.far
	n.mu.Unlock()
	if far == nil {
		return false
	}
	closed := false
	if raw, err := far.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { closed = hungUp(int(fd)) })
	}
	if closed {
		n.end()
	}
	return closed
}

// flushed implements kind: there is nothing to wait for.
func (n *netlink) flushed() <-chan struct{} { return nil }

// end implements kind.
func (n *netlink) end() {
	n.mu.Lock()
	far := n.far
	n.far, n.queue = nil, nil
	n.s.ports.release(n)
	n.mu.Unlock()
	if far != nil {
		n.forget()
		far.Close()
	}
}
