//go:build linux && (amd64 || arm64)

package supervise

import (
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/supervise/internal/seccomp"
)

// A datagrams is what the program has as a UDP, ping, raw or packet socket. It may
// have all of them, whoever it runs as: the stack is its own.
//
// The program's socket is an AF_UNIX datagram socket with a name, and ours, far,
// is connected to it: what arrives in the stack is sent there, and is what the
// program reads and polls for. When the program connects its socket, the kernel
// connects it to far, so that it can write without us; as long as it has not,
// the kernel refuses to send.
//
// A socket that the program has closed is found by its name being free (stale),
// or by the next datagram for it.
type datagrams struct {
	*file
	name, ours string // of the program's socket and of far
	id         int32  // in the exchange

	mu      sync.Mutex
	far     int        // -1 after the end
	joined  bool       // the program's socket is connected to far
	full    bool       // the program's socket takes no more
	shut    bool       // the program has shut it for reading
	watched uint32     // what the exchange waits for on far
	sent    []record   // of datagrams that were sent to the program, which may have read them
	back    []message  // to be sent before any that the stack has
	unsent  []byte     // from the program, when the stack had no room; nil without one
	waiting []*receive // calls, in the order in which they came
	err     error      // what the program has not been told
	raised  bool       // the kernel knows that there is an error
	raising bool       // and is about to
}

// Buffers of the two sockets in bytes, of which the kernel makes twice as much.
const (
	// towardsProgram bounds what the program has not read. More stays in the
	// stack's receive buffer.
	towardsProgram = 128 << 10
	// towardsStack makes the kernel refuse with EMSGSIZE what is longer than a
	// datagram can be: 65,507 bytes and the 32 that the kernel wants besides,
	// halved and rounded up.
	towardsStack = 32770
)

// newDatagrams returns the program's socket for f.
func newDatagrams(f *file, flags int) (fd int, err error) {
	if err := f.s.exchange.start(f.s); err != nil {
		return -1, err
	}
	d := &datagrams{file: f, far: -1}
	if fd, d.name, err = f.s.names.socket(unix.SOCK_DGRAM | flags); err != nil {
		return -1, err
	}
	if err := d.open(fd); err != nil {
		unix.Close(fd)
		if d.far >= 0 {
			unix.Close(d.far)
		}
		return -1, err
	}
	f.kind = d
	f.s.exchange.add(d)
	return fd, nil
}

// open makes our socket. fd is the program's.
func (d *datagrams) open(fd int) (err error) {
	d.far, d.ours, err = d.s.names.socket(unix.SOCK_DGRAM | unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC)
	if err != nil {
		return err
	}
	unix.SetsockoptInt(d.far, unix.SOL_SOCKET, unix.SO_SNDBUF, towardsProgram)
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, towardsStack)
	// The time at which it was sent tells us which datagram it is that we read
	// from the program's socket: see record.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return err
	}
	if err := d.reach(); err != nil || d.sock.Family() != sockets.AF_PACKET {
		return err
	}
	return d.joinLocked(fd) // a packet says itself where it goes
}

// reach connects far to the program's socket.
func (d *datagrams) reach() error { return unix.Connect(d.far, &unix.SockaddrUnix{Name: d.name}) }

// datagrams returns the socket that the call is on, nil if it is on a stream.
func (c *call) datagrams() *datagrams {
	d, _ := c.f.kind.(*datagrams)
	return d
}

// connectDatagram is connect(2), nil for AF_UNSPEC. Datagrams that wait to be
// read stay, as on Linux.
func (c *call) connectDatagram(a sockets.Sockaddr) (int64, error) {
	d := c.datagrams()
	if d == nil {
		return 0, errNative
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sendQueuedLocked() // to the peer that there was
	if err := d.sock.Connect(a, sockets.MSG_DONTWAIT); err != nil {
		return 0, err
	}
	if a == nil {
		return 0, d.leaveLocked(c.dup)
	}
	return 0, d.joinLocked(c.dup)
}

// joinLocked lets the program send with no address. fd is a descriptor of its
// socket.
func (d *datagrams) joinLocked(fd int) error {
	if d.joined {
		return nil
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: d.ours}); err != nil {
		return err
	}
	d.joined = true
	d.watchLocked()
	return nil
}

// leaveLocked is the opposite of joinLocked. The kernel throws away what the
// program has not read, so that it has to be taken back.
func (d *datagrams) leaveLocked(fd int) error {
	if !d.joined {
		return nil
	}
	d.recallLocked(fd)
	if err := seccomp.Disconnect(fd); err != nil {
		return err
	}
	d.joined, d.full = false, d.shut
	d.deliverLocked()
	return nil
}

// shutdownDatagram is shutdown(2). Linux shuts a socket without a peer all the
// same when it says ENOTCONN.
func (c *call) shutdownDatagram(how int) (int64, error) {
	d := c.datagrams()
	if d == nil {
		return 0, errNative
	}
	if how < unix.SHUT_RD || how > unix.SHUT_RDWR {
		return 0, syscall.EINVAL
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sendQueuedLocked()
	err := d.sock.Shutdown(sockets.How(how))
	if err != nil && errnoOf(err) != syscall.ENOTCONN {
		return 0, err
	}
	if how != unix.SHUT_WR {
		d.shut, d.full = true, true
		for len(d.waiting) > 0 {
			r := d.waiting[0]
			r.finishLocked(r.result(r.takeLocked(message{})))
		}
	}
	d.watchLocked()
	if native := unix.Shutdown(c.dup, how); native != nil && native != unix.ENOTCONN {
		return 0, native
	}
	return 0, err
}

// stale implements kind.
func (d *datagrams) stale(*roll) bool {
	if d.s.names.held(unix.SOCK_DGRAM, d.name) {
		return false
	}
	d.end()
	return true
}

// flushed implements kind.
func (d *datagrams) flushed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sendQueuedLocked()
	return nil
}

// end implements kind. What the program sent before it closed the socket leaves.
func (d *datagrams) end() {
	d.mu.Lock()
	if d.far < 0 {
		d.mu.Unlock()
		return
	}
	d.sendQueuedLocked()
	d.s.exchange.remove(d)
	unix.Close(d.far)
	d.far = -1
	for len(d.waiting) > 0 {
		r := d.waiting[0]
		r.finishLocked(r.result(errGone))
	}
	d.back, d.sent, d.unsent = nil, nil, nil
	d.mu.Unlock()
	d.forget()
}
