//go:build linux && (amd64 || arm64)

package supervise

import (
	"context"
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/supervise/internal/seccomp"
)

// A call is one system call of the program that waits for our answer.
type call struct {
	s     *supervisor
	n     seccomp.Notification
	h     *handler
	f     *file // the socket that the call is on
	dup   int   // a descriptor of ours for the program's end of it, or -1
	deaf  bool  // to signals: see renew
	start time.Time

	tracing *tracing // nil unless Cmd.Trace is to hear of the call
}

func newCall(s *supervisor) *call { return &call{s: s, dup: -1} }

// What a handler returns instead of an errno.
var (
	errNative  = errors.New("the kernel is to run the call itself")
	errLater   = errors.New("another goroutine answers, or has answered")
	errRestart = errors.New("a signal came: the call fails with EINTR or begins anew, as SA_RESTART says")
)

// serve answers the call, now or from a goroutine that it starts.
func (c *call) serve() {
	c.start = time.Now()
	c.h = handlerOf(int(c.n.Nr))
	if c.h == nil {
		c.finish(0, errNative)
		return
	}
	if c.h.on != anything {
		if err := c.find(); err != nil {
			c.finish(0, err)
			return
		}
	}
	// The thread may have been killed before we reached for its descriptors, and
	// its number be another's.
	if c.h.on == changed && !c.s.listener.Alive(c.n.ID) {
		c.finish(0, errGone)
		return
	}
	if c.s.trace != nil {
		c.describe()
	}
	if n := c.netlink(); n != nil {
		c.finish(n.call(c))
		return
	}
	c.finish(c.h.run(c))
}

// find sets the socket that the call is on. The error is errNative if that is none
// of ours, and ENFILE if this process has no descriptor left with which to look: the
// kernel knows nothing good to do with a socket of ours.
func (c *call) find() error {
	dup, err := c.s.tasks.descriptor(c.n.TID, int(int32(c.arg(0))))
	switch {
	case scarce(err):
		return syscall.ENFILE
	case err != nil:
		return errNative // it will say EBADF
	}
	cookie, err := seccomp.Cookie(dup)
	if err == nil {
		c.f = c.s.files.find(cookie)
	}
	if c.f == nil {
		unix.Close(dup)
		return errNative
	}
	c.dup = dup
	c.f.seen(c.n.TID, int(int32(c.arg(0))))
	return nil
}

// scarce reports whether an error may pass once something else has been given back.
func scarce(err error) bool {
	switch errnoOf(err) {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
		return true
	}
	return false
}

// finish gives the answer. Of errLater it knows that there is one already, or
// will be: whoever gives it also calls release.
func (c *call) finish(value int64, err error) {
	if err == errLater {
		return
	}
	c.describeResults(value, err)
	c.letGo()
	l, id := c.s.listener, c.n.ID
	errno := errnoOf(err)
	switch {
	case err == nil:
		l.Return(id, value)
	case err == errNative:
		l.Continue(id)
	case err == errRestart:
		if errors.Is(l.Restart(id), syscall.EINVAL) { // from a kernel that does not let us
			l.Fail(id, syscall.EINTR)
		}
	default:
		l.Fail(id, errno)
	}
	c.release(value, err)
}

// letGo closes our descriptor of the program's socket. That comes before the answer:
// when the program closes the socket next, that has to be its end.
func (c *call) letGo() {
	if c.dup >= 0 {
		unix.Close(c.dup)
		c.dup = -1
	}
}

// release forgets a call that was answered.
func (c *call) release(value int64, err error) {
	if err == errNative {
		c.s.counts.native.Add(1)
		return
	}
	took := time.Since(c.start)
	c.s.counts.answered(int(c.n.Nr), took, err != nil)
	if c.tracing != nil {
		c.report(value, errnoOf(err), took)
	}
}

// install answers the call with a new descriptor of the program for our fd.
func (c *call) install(fd int, flags int) (int64, error) {
	c.describeResults(0, nil)
	c.letGo()
	n, err := c.s.listener.Install(c.n.ID, fd, flags&unix.SOCK_CLOEXEC != 0)
	if err != nil {
		return 0, err
	}
	c.release(int64(n), nil)
	return int64(n), nil
}

// wait runs a part of the handler that may wait on a goroutine, and answers with
// its result. ctx ends when the waiting must: its cause is errRestart for a
// signal, errGone when the task was killed. The handler returns what wait does.
func (c *call) wait(fn func(ctx context.Context) (int64, error)) (int64, error) {
	ctx, cancel := context.WithCancelCause(c.s.ctx)
	c.s.blocked.add(c, cancel)
	c.s.work.Go(func() {
		value, err := fn(ctx)
		c.s.blocked.remove(c)
		cancel(nil)
		c.finish(value, err)
	})
	return 0, errLater
}

// arg returns an argument of the call.
func (c *call) arg(i int) uint64 { return c.n.Args[i] }

// read fills p from the program's memory.
func (c *call) read(addr uint64, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if n, err := seccomp.ReadMemory(int(c.n.TID), addr, p); err != nil || n < len(p) {
		return syscall.EFAULT
	}
	return nil
}

// write copies p into the program's memory, unless the call is over: then that
// memory may serve another purpose by now.
func (c *call) write(addr uint64, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if !c.s.listener.Alive(c.n.ID) {
		return errGone
	}
	if n, err := seccomp.WriteMemory(int(c.n.TID), addr, p); err != nil || n < len(p) {
		return syscall.EFAULT
	}
	return nil
}

// writeAll is write for several places at the cost of one.
func (c *call) writeAll(segments ...seccomp.Segment) error {
	if !c.s.listener.Alive(c.n.ID) {
		return errGone
	}
	size := 0
	for _, s := range segments {
		size += len(s.Data)
	}
	if n, err := seccomp.WriteSegments(int(c.n.TID), segments...); err != nil || n < size {
		return syscall.EFAULT
	}
	return nil
}

// nonblocking reports whether the program's descriptor has O_NONBLOCK, which is
// the kernel's to remember.
func (c *call) nonblocking() bool {
	flags, err := unix.FcntlInt(uintptr(c.dup), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_NONBLOCK != 0
}

// limit returns the SO_RCVTIMEO or SO_SNDTIMEO of the program's socket, which
// the kernel remembers too, 0 for none.
func (c *call) limit(option int) time.Duration {
	tv, err := unix.GetsockoptTimeval(c.dup, unix.SOL_SOCKET, option)
	if err != nil {
		return 0
	}
	return time.Duration(tv.Nano())
}

// bounded returns ctx with the limit of an option, and what the end of either
// means for the program: a signal restarts a call only if it had no limit
// (signal(7)).
func (c *call) bounded(ctx context.Context, option int) (bound context.Context, cancel func(), ended func() error) {
	limit := c.limit(option)
	cancel = func() {}
	if bound = ctx; limit > 0 {
		bound, cancel = context.WithTimeout(ctx, limit)
	}
	ended = func() error {
		switch {
		case ctx.Err() == nil:
			return syscall.EAGAIN
		case limit > 0 && context.Cause(ctx) == errRestart:
			return syscall.EINTR
		}
		return context.Cause(ctx)
	}
	return bound, cancel, ended
}

// errnoOf returns the number that an error is to a program, 0 for nil.
func errnoOf(err error) syscall.Errno {
	switch e := err.(type) {
	case nil:
		return 0
	case syscall.Errno:
		return e
	case sockets.Errno:
		return syscall.Errno(e)
	}
	if e, ok := errors.AsType[*sockets.Error](err); ok {
		switch {
		case errors.Is(e.Err, sockets.ErrTimeout):
			return syscall.EAGAIN
		case errors.Is(e.Err, sockets.ErrClosed):
			return syscall.EBADF
		}
		return syscall.Errno(e.Num)
	}
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return e
	}
	return syscall.EINTR // the call's task or its supervisor is ending
}
