//go:build linux && (amd64 || arm64)

package supervise

import (
	"bytes"
	"encoding/binary"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
)

// A receive is a call that receives datagrams.
type receive struct {
	c     *call
	d     *datagrams
	flags int
	to    []*place
	done  int  // how many have a datagram
	many  bool // recvmmsg, which returns that number
	size  int64
	until time.Time // after which recvmmsg wants no more; zero for never
	clock *time.Timer
}

// recvfrom is recvfrom(2) with an address or flags that AF_UNIX does not have.
func (c *call) recvfrom() (int64, error) {
	p, err := c.plain()
	if err != nil {
		return 0, err
	}
	if p.nameLen = c.arg(5); p.name != 0 {
		var b [4]byte
		if err := c.read(p.nameLen, b[:]); err != nil {
			return 0, err
		}
		if p.nameRoom = int(int32(binary.NativeEndian.Uint32(b[:]))); p.nameRoom < 0 {
			return 0, syscall.EINVAL
		}
	}
	return c.receive(int(int32(c.arg(3))), p)
}

// recvmsg is recvmsg(2).
func (c *call) recvmsg() (int64, error) {
	p, err := c.header(c.arg(1))
	if err != nil {
		return 0, err
	}
	flags, err := messageFlags(c.arg(2))
	if err != nil {
		return 0, err
	}
	return c.receive(flags, p)
}

func (c *call) receive(flags int, p *place) (int64, error) {
	d := c.datagrams()
	if d == nil {
		return c.receiveStream(flags, p)
	}
	r := &receive{c: c, d: d, flags: flags, to: []*place{p}}
	return r.run()
}

// recvmmsg is recvmmsg(2). As on Linux, the time is only looked at when a
// datagram has come.
func (c *call) recvmmsg() (int64, error) {
	d := c.datagrams()
	if d == nil {
		return c.receiveStreams()
	}
	flags, err := messageFlags(c.arg(3))
	if err != nil {
		return 0, err
	}
	r := &receive{c: c, d: d, flags: flags, many: true}
	if r.until, err = c.until(c.arg(4)); err != nil {
		return 0, err
	}
	if r.to, err = c.headers(c.arg(1), c.arg(2)); err != nil {
		return 0, err
	}
	if len(r.to) == 0 {
		return 0, nil
	}
	return r.run()
}

// until returns when the time of recvmmsg(2) is over, zero for never.
func (c *call) until(addr uint64) (time.Time, error) {
	if addr == 0 {
		return time.Time{}, nil
	}
	limit, err := c.timespec(addr)
	return time.Now().Add(limit), err
}

// putLeft writes how much of the time of recvmmsg(2) is left, if there is a limit.
func (c *call) putLeft(until time.Time) {
	if until.IsZero() {
		return
	}
	left := max(time.Until(until), 0)
	b := binary.NativeEndian.AppendUint64(nil, uint64(left/time.Second))
	b = binary.NativeEndian.AppendUint64(b, uint64(left%time.Second))
	c.write(c.arg(4), b)
}

// timespec reads struct timespec.
func (c *call) timespec(addr uint64) (time.Duration, error) {
	var b [16]byte
	if err := c.read(addr, b[:]); err != nil {
		return 0, err
	}
	sec, nsec := int64(binary.NativeEndian.Uint64(b[:])), int64(binary.NativeEndian.Uint64(b[8:]))
	if sec < 0 || nsec < 0 || nsec >= int64(time.Second) {
		return 0, syscall.EINVAL
	}
	const longest = 1 << 32 // seconds, more than a century
	return time.Duration(min(sec, longest))*time.Second + time.Duration(nsec), nil
}

// run receives what there is, and waits where the call is to.
func (r *receive) run() (int64, error) {
	d, c := r.d, r.c
	if r.flags&unix.MSG_ERRQUEUE != 0 {
		return r.queuedError()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	err := r.tryLocked()
	if !d.shut && (d.full || len(d.back) > 0) { // there is room, or something was only looked at
		d.full = false
		d.deliverLocked()
		d.watchLocked()
	}
	if err != syscall.EAGAIN || r.flags&unix.MSG_DONTWAIT != 0 || c.nonblocking() {
		return r.result(err)
	}
	if d.shut {
		return r.result(r.takeLocked(message{}))
	}
	d.waiting = append(d.waiting, r)
	if limit := c.limit(unix.SO_RCVTIMEO); limit > 0 {
		r.clock = time.AfterFunc(limit, func() { r.stop(syscall.EAGAIN) })
	}
	c.s.blocked.add(c, r.stop)
	return 0, errLater
}

// tryLocked receives what has come. It is EAGAIN when more is wanted.
func (r *receive) tryLocked() error {
	d := r.d
	if err := d.takeErrorLocked(r.c.dup); err != nil {
		return err
	}
	b := scratches.Get().(*scratch)
	defer scratches.Put(b)
	for !r.satisfied() {
		m, err := d.pullLocked(b, r.c.dup, r.flags)
		if err == syscall.EAGAIN {
			m, err = d.nextLocked(b)
			if err == nil && r.flags&unix.MSG_PEEK != 0 {
				d.keepLocked(m)
			}
		}
		if err != nil {
			return err
		}
		if err := r.takeLocked(m); err != nil {
			return err
		}
	}
	return nil
}

// satisfied reports whether the call wants no more datagrams.
func (r *receive) satisfied() bool {
	return r.done == len(r.to) || r.done > 0 && (!r.until.IsZero() && !time.Now().Before(r.until))
}

// takeLocked gives a datagram to the program.
func (r *receive) takeLocked(m message) error {
	n, err := r.c.put(r.to[r.done], &m, r.flags)
	if err != nil {
		if err == errGone && r.flags&unix.MSG_PEEK == 0 {
			r.d.keepLocked(m) // for whoever calls next
		}
		return err
	}
	r.size = n
	r.done++
	if r.flags&unix.MSG_WAITFORONE != 0 {
		r.flags |= unix.MSG_DONTWAIT
	}
	return nil
}

// handLocked gives a call that waits the datagram that has come.
func (r *receive) handLocked(m message) {
	if r.flags&unix.MSG_PEEK != 0 {
		defer r.d.keepLocked(m)
	}
	err := r.takeLocked(m)
	if err == nil && !r.satisfied() {
		if r.flags&unix.MSG_DONTWAIT == 0 {
			return
		}
		err = r.tryLocked() // there may be more
	}
	r.finishLocked(r.result(err))
}

// result is what the call returns after err. An error that comes after a
// datagram is that of the next call.
func (r *receive) result(err error) (int64, error) {
	switch {
	case !r.many:
		return r.size, err
	case r.done == 0:
		return 0, err
	case err != nil && errnoOf(err) != syscall.EAGAIN && err != errGone && err != errRestart:
		r.d.err = err
	}
	r.c.putLeft(r.until)
	return int64(r.done), nil
}

// stop ends the waiting.
func (r *receive) stop(cause error) {
	r.d.mu.Lock()
	defer r.d.mu.Unlock()
	if cause == errRestart && r.clock != nil {
		cause = syscall.EINTR // signal(7)
	}
	r.finishLocked(r.result(cause))
}

// finishLocked answers a call that waits.
func (r *receive) finishLocked(value int64, err error) {
	i := slices.Index(r.d.waiting, r)
	if i < 0 {
		return // it has been answered
	}
	r.d.waiting = slices.Delete(r.d.waiting, i, i+1)
	if r.clock != nil {
		r.clock.Stop()
	}
	r.c.s.blocked.remove(r.c)
	r.c.finish(value, err)
}

// queuedError is a receive with MSG_ERRQUEUE, which never waits.
func (r *receive) queuedError() (int64, error) {
	b := scratches.Get().(*scratch)
	defer scratches.Put(b)
	m, err := r.c.f.sock.RecvMsg([][]byte{b.data[:]}, mostControl, sockets.MSG_ERRQUEUE)
	if err != nil {
		return 0, err
	}
	if d := r.d; d != nil {
		d.mu.Lock()
		d.takeErrorLocked(r.c.dup) // it was this one
		d.mu.Unlock()
	}
	return r.c.put(r.to[0], &message{
		data:   bytes.Clone(b.data[:m.N]),
		record: record{from: appendSockaddr(nil, m.Addr), control: m.Control, flags: m.Flags},
	}, r.flags)
}
