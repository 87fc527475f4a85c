package sockets

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gvisor.dev/gvisor/pkg/waiter"
)

// PollEvents is a set of what a socket is ready for: the bits of poll(2) and,
// for a Poller, of epoll_ctl(2). The numbers are Linux's.
type PollEvents uint32

// Events of Poll and Poller. POLLERR, POLLHUP and POLLNVAL are reported whether
// they were asked for or not.
const (
	POLLIN     PollEvents = 0x1    // receiving does not block: data, its end, a connection to accept
	POLLPRI    PollEvents = 0x2    // an exceptional condition, see SO_SELECT_ERR_QUEUE
	POLLOUT    PollEvents = 0x4    // sending does not block
	POLLERR    PollEvents = 0x8    // an error is pending, or the error queue is not empty
	POLLHUP    PollEvents = 0x10   // both directions are shut, or a stream socket has no connection
	POLLNVAL   PollEvents = 0x20   // the Socket is closed
	POLLRDNORM PollEvents = 0x40   // as POLLIN
	POLLRDBAND PollEvents = 0x80   // never set, as on Linux
	POLLWRNORM PollEvents = 0x100  // as POLLOUT
	POLLWRBAND PollEvents = 0x200  // as POLLOUT, for sockets other than TCP
	POLLMSG    PollEvents = 0x400  // never set, as on Linux
	POLLRDHUP  PollEvents = 0x2000 // no more data will come
)

// Modes of a registration with a Poller (epoll_ctl(2)). Poll ignores them.
const (
	EPOLLONESHOT PollEvents = 1 << 30 // one report, then none until Modify
	EPOLLET      PollEvents = 1 << 31 // a report for each change, not for the state
)

const (
	pollReadable = POLLIN | POLLRDNORM
	pollWritable = POLLOUT | POLLWRNORM
	pollAlways   = POLLERR | POLLHUP | POLLNVAL
	pollModes    = EPOLLONESHOT | EPOLLET
)

// pollNames are the constants by bit.
var pollNames = []struct {
	bit  PollEvents
	name string
}{
	{POLLIN, "POLLIN"}, {POLLPRI, "POLLPRI"}, {POLLOUT, "POLLOUT"}, {POLLERR, "POLLERR"},
	{POLLHUP, "POLLHUP"}, {POLLNVAL, "POLLNVAL"}, {POLLRDNORM, "POLLRDNORM"}, {POLLRDBAND, "POLLRDBAND"},
	{POLLWRNORM, "POLLWRNORM"}, {POLLWRBAND, "POLLWRBAND"}, {POLLMSG, "POLLMSG"}, {POLLRDHUP, "POLLRDHUP"},
	{EPOLLONESHOT, "EPOLLONESHOT"}, {EPOLLET, "EPOLLET"},
}

// String returns the names of the set bits, such as "POLLIN|POLLOUT", or "0".
func (e PollEvents) String() string {
	var names []string
	for _, n := range pollNames {
		if e&n.bit != 0 {
			names = append(names, n.name)
			e &^= n.bit
		}
	}
	if e != 0 || names == nil {
		names = append(names, fmt.Sprintf("%#x", uint32(e)))
	}
	return strings.Join(names, "|")
}

// A PollDesc is a Socket with the events that are waited for and those that
// were found: C's struct pollfd.
type PollDesc struct {
	Sock *Socket    // nil is skipped, as poll(2) skips negative descriptors
	In   PollEvents // wanted
	Out  PollEvents // found: of In, and of POLLERR, POLLHUP and POLLNVAL
}

// Poll waits until at least one of the sockets is ready for what its In asks,
// sets each Out, and returns how many are not zero (poll(2), NSPR's PR_Poll). A
// timeout of 0 only looks; NoTimeout, or any negative one, waits for ever. When
// the time is over the result is 0 and every Out is 0.
//
// A Socket that is closed, before the call or during it, is ready with
// POLLNVAL. The error is ErrClosed when the Host is closed and there is no
// socket to say so.
func (h *Host) Poll(d []PollDesc, timeout time.Duration) (ready int, err error) {
	return h.poll(context.Background(), d, timeout)
}

// PollContext is Poll that waits until ctx is done instead of for a time: the
// error is then the cause of ctx ([context.Cause]), and every Out is 0.
func (h *Host) PollContext(ctx context.Context, d []PollDesc) (ready int, err error) {
	return h.poll(ctx, d, NoTimeout)
}

func (h *Host) poll(ctx context.Context, d []PollDesc, timeout time.Duration) (ready int, err error) {
	look := func() int {
		n := 0
		for i := range d {
			d[i].Out = 0
			if s := d[i].Sock; s != nil {
				d[i].Out = s.ready() & (d[i].In&^pollModes | pollAlways)
			}
			if d[i].Out != 0 {
				n++
			}
		}
		return n
	}
	sock := func(i int) *Socket { return d[i].Sock }
	return h.await(ctx, "poll", len(d), sock, timeout, look)
}

// What makes a socket ready for each set of Select (select(2)).
const (
	selectRead   = POLLIN | POLLHUP | POLLERR
	selectWrite  = POLLOUT | POLLERR
	selectExcept = POLLPRI
)

// Select waits until one of the sockets of r can be received from without
// blocking, one of w be sent to, or one of x has an exceptional condition, and
// returns those, in the order given (select(2)). They are nil when the time is
// over. The timeout is as in Poll. The error is EBADF (ErrClosed) when a Socket
// is nil or closed, before the call or during it.
func (h *Host) Select(r, w, x []*Socket, timeout time.Duration) (rr, ww, xx []*Socket, err error) {
	all := make([]*Socket, 0, len(r)+len(w)+len(x))
	all = append(append(append(all, r...), w...), x...)
	for _, s := range all {
		if s == nil {
			return nil, nil, nil, &Error{Op: "select", Num: EBADF, Err: ErrClosed}
		}
	}
	closed := false
	pick := func(from []*Socket, on PollEvents) (ready []*Socket) {
		for _, s := range from {
			ev := s.ready()
			if ev&on != 0 {
				ready = append(ready, s)
			}
			closed = closed || ev&POLLNVAL != 0
		}
		return ready
	}
	look := func() int {
		rr, ww, xx = pick(r, selectRead), pick(w, selectWrite), pick(x, selectExcept)
		if closed {
			return 1
		}
		return len(rr) + len(ww) + len(xx)
	}
	sock := func(i int) *Socket { return all[i] }
	if _, err = h.await(context.Background(), "select", len(all), sock, timeout, look); err == nil && closed {
		err = &Error{Op: "select", Num: EBADF, Err: ErrClosed}
	}
	if err != nil {
		return nil, nil, nil, err
	}
	return rr, ww, xx, nil
}

// lookAgain is the mask of who waits for readiness. It is everything, whatever
// was asked for: netstack announces a FIN as something to read, an ICMP error as
// an error alone, and the end of a handshake as room to write.
const lookAgain = waiter.AllEvents | closedEvent

// closedEvent tells those who poll that a descriptor is closed. Netstack does
// not use the bit.
const closedEvent = waiter.EventInternal

// await waits, in the wait queues of n sockets, until look finds something or
// the time is over. Sockets that are nil are left out.
func (h *Host) await(ctx context.Context, op string, n int, sock func(int) *Socket, timeout time.Duration, look func() int) (int, error) {
	if found := look(); found != 0 || timeout == 0 {
		return found, nil
	}
	woken := make(waiter.ChannelNotifier, 1)
	entries := make([]waiter.Entry, n)
	for i := range entries {
		if s := sock(i); s != nil {
			entries[i].Init(woken, lookAgain)
			s.d.wq.EventRegister(&entries[i])
		}
	}
	defer func() {
		for i := range entries {
			if s := sock(i); s != nil {
				s.d.wq.EventUnregister(&entries[i])
			}
		}
	}()
	var timeUp <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		timeUp = t.C
	}
	for {
		if found := look(); found != 0 {
			return found, nil
		}
		select {
		case <-woken:
		case <-timeUp:
			return look(), nil
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-h.closing:
			return h.closedDuring(op, look)
		case <-h.stack.Closing():
			return h.closedDuring(op, look)
		}
	}
}

// closedDuring is the end of a wait when the Host or the stack is closed: each
// socket says so, if there is one.
func (h *Host) closedDuring(op string, look func() int) (int, error) {
	if found := look(); found != 0 {
		return found, nil
	}
	return 0, &Error{Op: op, Num: EBADF, Err: ErrClosed}
}
