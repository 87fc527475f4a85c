//go:build linux && (amd64 || arm64)

package supervise

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/supervise/internal/seccomp"
)

// A message is a datagram on its way from the stack to the program.
type message struct {
	data []byte
	record
}

// A record is what the program's socket cannot hold of a datagram, and between
// which times that was sent to it. The kernel notes the time of each datagram
// (SO_TIMESTAMPNS), so that we find the record of one that we read from there,
// however many the program has read meanwhile without us.
type record struct {
	from          []byte // struct sockaddr_in or another
	control       []sockets.ControlMessage
	flags         sockets.MsgFlags
	before, after int64 // nanoseconds since 1970
}

// mostRecords is how many datagrams the program's socket can hold, at least:
// each is charged with more than 512 bytes. The kernel doubles towardsProgram.
const mostRecords = 2 * towardsProgram / 512

// Sizes in bytes.
const (
	mostDatagram = 65535 + 64 // of the longest packet and the header of its link
	mostControl  = 4096       // of control messages; Linux has no more for a datagram
	stampSize    = 32         // of the kernel's time in a control buffer, which has no room for descriptors
)

// A scratch is memory for one datagram.
type scratch struct {
	data  [mostDatagram]byte
	name  [mostSockaddr]byte
	stamp [stampSize]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// deliverLocked passes on what the stack has received, to calls that wait or to
// the program's socket, until there is no more or no room. It reports whether
// the program still has the socket.
func (d *datagrams) deliverLocked() (alive bool) {
	b := scratches.Get().(*scratch)
	defer scratches.Put(b)
	for d.far >= 0 {
		if d.full && len(d.waiting) == 0 {
			return true
		}
		m, err := d.nextLocked(b)
		switch {
		case err == syscall.EAGAIN:
			return true
		case d.far < 0:
		case err != nil:
			d.failLocked(err)
		case len(d.waiting) > 0:
			d.waiting[0].handLocked(m)
		case !d.pushLocked(m):
			return false
		}
	}
	return true
}

// nextLocked returns the oldest datagram that has not been sent to the program's
// socket, EAGAIN without one. It may be in b.
func (d *datagrams) nextLocked(b *scratch) (message, error) {
	if len(d.back) > 0 {
		m := d.back[0]
		d.back = slices.Delete(d.back, 0, 1)
		return m, nil
	}
	m, err := d.sock.RecvMsg([][]byte{b.data[:]}, mostControl, sockets.MSG_DONTWAIT)
	switch {
	case errnoOf(err) == syscall.EAGAIN:
		return message{}, syscall.EAGAIN
	case err != nil:
		return message{}, err
	}
	d.s.counts.received.Add(uint64(m.N))
	return message{b.data[:m.N], record{from: appendSockaddr(nil, m.Addr), control: m.Control, flags: m.Flags}}, nil
}

// pushLocked sends a datagram to the program's socket, or keeps it if there is no
// room. It reports whether the program still has the socket.
func (d *datagrams) pushLocked(m message) (alive bool) {
	for {
		m.before = time.Now().UnixNano()
		err := unix.Send(d.far, m.data, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch err {
		case nil:
			m.after = time.Now().UnixNano()
			d.recordLocked(m.record)
			return true
		case unix.EAGAIN:
			d.full = true
			d.keepLocked(m)
			d.watchLocked()
			return true
		case unix.EPIPE: // it is shut for reading: only calls that we answer get it
			d.full, d.shut = true, true
			d.keepLocked(m)
			return true
		case unix.ECONNREFUSED:
			d.keepLocked(m)
			return false
		case unix.ECONNRESET, unix.EINTR: // the program has connected its socket anew
		default:
			return true // no memory: the datagram is lost, as it may be
		}
	}
}

// recordLocked remembers what was sent.
func (d *datagrams) recordLocked(r record) {
	if len(d.sent) == mostRecords {
		d.sent = slices.Delete(d.sent, 0, mostRecords/2)
	}
	d.sent = append(d.sent, r)
}

// keepLocked makes a datagram the next one.
func (d *datagrams) keepLocked(m message) {
	m.data = bytes.Clone(m.data)
	d.back = slices.Insert(d.back, 0, m)
}

// pullLocked takes the oldest datagram out of the program's socket, for which fd
// is a descriptor, or looks at it if flags has MSG_PEEK. EAGAIN says that there
// is none.
func (d *datagrams) pullLocked(b *scratch, fd, flags int) (message, error) {
	if len(d.sent) == 0 {
		return message{}, syscall.EAGAIN
	}
	for {
		n, stamp, _, _, err := unix.Recvmsg(fd, b.data[:], b.stamp[:], flags&unix.MSG_PEEK|unix.MSG_DONTWAIT)
		switch err {
		case nil:
			return message{b.data[:n], d.foundLocked(stampOf(b.stamp[:stamp]), flags&unix.MSG_PEEK != 0)}, nil
		case unix.EAGAIN:
			d.sent = d.sent[:0]
			return message{}, err
		case unix.EINTR:
		default:
			return message{}, err
		}
	}
}

// stampOf returns the time in a control buffer, in nanoseconds since 1970.
func stampOf(control []byte) int64 {
	const header = 16 // struct cmsghdr
	if len(control) < header+16 {
		return 0
	}
	t := control[header:]
	return int64(binary.NativeEndian.Uint64(t))*int64(time.Second) + int64(binary.NativeEndian.Uint64(t[8:]))
}

// foundLocked returns the record of the datagram that was sent at that time, and
// forgets those before it, and it as well unless keep is set.
func (d *datagrams) foundLocked(stamp int64, keep bool) record {
	i := max(slices.IndexFunc(d.sent, func(r record) bool { return r.before <= stamp && stamp <= r.after }), 0)
	r := d.sent[i]
	if !keep {
		i++
	}
	d.sent = slices.Delete(d.sent, 0, i)
	return r
}

// recallLocked takes back what the program has not read.
func (d *datagrams) recallLocked(fd int) {
	b := scratches.Get().(*scratch)
	defer scratches.Put(b)
	var all []message
	for {
		m, err := d.pullLocked(b, fd, 0)
		if err == unix.ECONNRESET {
			continue // raised: who connects anew does not want to know
		}
		if err != nil {
			break
		}
		m.data = bytes.Clone(m.data)
		all = append(all, m)
	}
	d.back = append(all, d.back...)
}

// failLocked tells the program of an error that the network reported: the first
// call that waits, or else its socket is made to fail, and the next call that we
// answer says why.
func (d *datagrams) failLocked(err error) {
	if len(d.waiting) > 0 {
		r := d.waiting[0]
		r.finishLocked(r.result(err))
		return
	}
	d.err = err
	if d.raising {
		return
	}
	d.raising, d.raised = true, false
	defer func() { d.raising = false }()
	fd, missing := d.find()
	if missing != nil {
		return
	}
	defer unix.Close(fd)
	d.raised = d.raiseLocked(fd) == nil
}

// raiseLocked gives the program's socket a pending error. The kernel does that
// when the peer of a socket turns away from it with something unread; it makes
// it ECONNRESET, whatever we would like.
func (d *datagrams) raiseLocked(fd int) error {
	if !d.joined {
		d.recallLocked(fd)
		if err := unix.Connect(fd, &unix.SockaddrUnix{Name: d.ours}); err != nil {
			return err
		}
		defer seccomp.Disconnect(fd)
	}
	d.sendQueuedLocked()
	if err := unix.Send(fd, []byte{0}, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL); err != nil {
		return err
	}
	if err := seccomp.Disconnect(d.far); err != nil {
		return err
	}
	return d.reach()
}

// takeErrorLocked returns the error that the program is to be told, if it has not
// seen it on its own. fd is a descriptor of the program's socket.
func (d *datagrams) takeErrorLocked(fd int) error {
	err := d.err
	if err == nil {
		return nil
	}
	d.err = nil
	if n, failed := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); d.raised && failed == nil && n == 0 {
		err = nil
	}
	return err
}
