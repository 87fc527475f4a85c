package sockets

import (
	"context"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/waiter"
)

// A CallOption changes one call: MsgFlags, Within, or WithContext.
type CallOption interface{ apply(call) call }

// Within bounds one call, whatever the socket's timeout; Within(NoTimeout)
// blocks. It is NSPR's timeout argument. When it runs out the error is
// ErrTimeout.
type Within time.Duration

func (d Within) apply(c call) call {
	c.within, c.bounded = time.Duration(d), true
	return c
}

func (f MsgFlags) apply(c call) call {
	c.flags |= f
	return c
}

type contextOption struct{ ctx context.Context }

func (o contextOption) apply(c call) call {
	c.ctx = o.ctx
	return c
}

// WithContext makes one call wait, whatever the socket's timeout, until it is
// done or ctx is. When the deadline of ctx runs out the error is ErrTimeout;
// when ctx is cancelled, it wraps context.Canceled.
func WithContext(ctx context.Context) CallOption { return contextOption{ctx} }

// A call holds the options of one call and, once it has to wait, what it waits
// for. It lives on the caller's stack.
type call struct {
	s       *Socket
	flags   MsgFlags
	ctx     context.Context // nil unless given
	within  time.Duration   // valid if bounded
	bounded bool
	limit   *limit // of a net adapter, nil without one
	whole   bool   // a send that returns early only with an error

	mask     waiter.EventMask
	kernel   time.Duration // SO_RCVTIMEO or SO_SNDTIMEO, 0 = none
	sleeper  *sleeper
	timer    *time.Timer
	giveUp   error // what the timer's end means
	prepared bool
}

// newCall returns a call on s that waits for mask. kernel is the socket's
// SO_RCVTIMEO or SO_SNDTIMEO.
func (s *Socket) newCall(mask waiter.EventMask, kernel time.Duration, opts []CallOption) call {
	c := call{s: s, mask: mask | waiter.EventErr | waiter.EventHUp | closedEvent, kernel: kernel}
	for _, o := range opts {
		if o != nil {
			c = o.apply(c)
		}
	}
	return c
}

// A sleeper is a place in a wait queue.
type sleeper struct {
	entry waiter.Entry
	woken chan struct{}
}

var sleepers = sync.Pool{New: func() any {
	return &sleeper{woken: make(chan struct{}, 1)}
}}

// blocks reports whether the call may wait at all.
func (c *call) blocks() bool {
	if c.flags&MSG_DONTWAIT != 0 {
		return false
	}
	if c.bounded {
		return c.within != 0
	}
	return c.ctx != nil || c.limit != nil || c.s.d.timeout.Load() != 0
}

// again is the one place where sockets wait. A call tries, and while the answer
// is "would block" calls again; nil means to try once more. The first time it
// only joins the wait queue, so that nothing that happens after the next try is
// missed. The caller must call done in the end.
//
// The error is EAGAIN for a call that may not wait, or says which of the wait's
// ends came: ErrClosed, ErrTimeout, the context's error, or EAGAIN when
// SO_RCVTIMEO or SO_SNDTIMEO ran out.
func (c *call) again() error {
	if c.s.dead() {
		return ErrClosed
	}
	if !c.blocks() {
		return EAGAIN
	}
	if c.sleeper == nil {
		c.sleeper = sleepers.Get().(*sleeper)
		c.sleeper.entry.Init(waiter.ChannelNotifier(c.sleeper.woken), c.mask)
		c.s.d.wq.EventRegister(&c.sleeper.entry)
		return nil
	}
	if !c.prepared {
		c.prepare()
	}
	var ctxDone <-chan struct{}
	if c.ctx != nil {
		ctxDone = c.ctx.Done()
	}
	var expired <-chan struct{}
	if c.limit != nil {
		expired = c.limit.wait()
	}
	var timeUp <-chan time.Time
	if c.timer != nil {
		timeUp = c.timer.C
	}
	select {
	case <-c.sleeper.woken:
		return nil
	case <-c.s.host.stack.Closing():
		return ErrClosed
	case <-expired:
		return ErrTimeout
	case <-timeUp:
		return c.giveUp
	case <-ctxDone:
		if c.ctx.Err() == context.DeadlineExceeded {
			return ErrTimeout
		}
		return c.ctx.Err()
	}
}

// prepare starts the clock that bounds the wait: that of the call, else of the
// socket, else of the option.
func (c *call) prepare() {
	c.prepared = true
	limit, giveUp := NoTimeout, ErrTimeout
	switch mode := time.Duration(c.s.d.timeout.Load()); {
	case c.bounded:
		limit = c.within
	case c.ctx != nil || c.limit != nil:
	case mode > 0:
		limit = mode
	case c.kernel != 0:
		limit, giveUp = max(c.kernel, 0), EAGAIN
	}
	if limit >= 0 {
		c.timer, c.giveUp = time.NewTimer(limit), giveUp
	}
}

// done leaves the wait queue. It does nothing for a call that never waited.
func (c *call) done() {
	if c.sleeper == nil {
		return
	}
	c.s.d.wq.EventUnregister(&c.sleeper.entry)
	select {
	case <-c.sleeper.woken: // the next user of the sleeper must not wake for us
	default:
	}
	sleepers.Put(c.sleeper)
	c.sleeper = nil
	if c.timer != nil {
		c.timer.Stop()
	}
}

func wouldBlock(err tcpip.Error) bool {
	_, ok := err.(*tcpip.ErrWouldBlock)
	return ok
}
