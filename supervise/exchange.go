//go:build linux && (amd64 || arm64)

package supervise

import (
	"context"
	"maps"
	"os"

	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
)

// An exchange notices when there is something to move, for all sockets of a
// program: one goroutine looks at what the stack has received and one at what
// the program has sent. Who sends something through the stack does not wait for
// the first of them, but looks itself (during): on the loopback a datagram has
// arrived before the call that sent it returns.
type exchange struct {
	once   sync.Once
	err    error
	poller *sockets.Poller // of what the stack has received
	epoll  int             // of what the program has sent
	wait   *os.File        // the same: a goroutine that waits for it holds no thread
	stop   int             // an eventfd that ends the second goroutine

	mu   sync.Mutex
	last int32
	byID map[int32]func(events uint32)
	of   map[*sockets.Socket]*datagrams
	turn map[*sockets.Socket]func() // of streams: something has arrived
}

// start prepares the exchange for its first socket.
func (x *exchange) start(s *supervisor) error {
	x.once.Do(func() {
		x.byID, x.of = make(map[int32]func(uint32)), make(map[*sockets.Socket]*datagrams)
		x.turn = make(map[*sockets.Socket]func())
		if x.err = x.open(s.host); x.err != nil {
			return
		}
		s.work.Go(x.inward)
		s.work.Go(x.outward)
	})
	return x.err
}

func (x *exchange) open(host *sockets.Host) (err error) {
	if x.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if x.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		unix.Close(x.epoll)
		return err
	}
	err = unix.EpollCtl(x.epoll, unix.EPOLL_CTL_ADD, x.stop, &unix.EpollEvent{Events: unix.EPOLLIN})
	if err == nil {
		x.poller, err = host.NewPoller()
	}
	if err != nil {
		unix.Close(x.epoll)
		unix.Close(x.stop)
		return err
	}
	unix.SetNonblock(x.epoll, true)
	x.wait = os.NewFile(uintptr(x.epoll), "exchange")
	return nil
}

// close ends the goroutines. No socket may be left.
func (x *exchange) close() {
	x.once.Do(func() { x.err = unix.EBADF })
	if x.err != nil {
		return
	}
	x.poller.Close()
	unix.Write(x.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// add begins to look after a socket.
func (x *exchange) add(d *datagrams) {
	d.id = x.number(d.turn)
	x.mu.Lock()
	x.of[d.sock] = d
	x.mu.Unlock()
	unix.EpollCtl(x.epoll, unix.EPOLL_CTL_ADD, d.far, &unix.EpollEvent{Events: d.watched, Fd: d.id})
	x.poller.Register(d.sock, sockets.POLLIN|sockets.EPOLLET)
}

// follow calls turn whenever something has arrived for a stream, connections
// included: from any goroutine, from several at once, and now if something has.
func (x *exchange) follow(sock *sockets.Socket, turn func()) {
	x.mu.Lock()
	x.turn[sock] = turn
	x.mu.Unlock()
	const events = sockets.POLLIN | sockets.EPOLLET
	if errnoOf(x.poller.Register(sock, events)) == syscall.EEXIST { // it was connected before, in vain
		x.poller.Modify(sock, events)
	}
}

// leave is the opposite of follow. A closed socket the poller forgets by itself.
func (x *exchange) leave(sock *sockets.Socket) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.turn, sock)
}

// forget ends what number has begun.
func (x *exchange) forget(id int32) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.byID, id)
}

// number returns the number under which events are for fn. Numbers of
// descriptors would not do, since they come again.
func (x *exchange) number(fn func(events uint32)) int32 {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.last++
	x.byID[x.last] = fn
	return x.last
}

// await waits for events of a descriptor, or until ctx ends.
func (x *exchange) await(ctx context.Context, s *supervisor, fd int, events uint32) error {
	if err := x.start(s); err != nil {
		return err
	}
	come := make(chan struct{}, 1)
	id := x.number(func(uint32) { notify(come) })
	defer x.forget(id)
	err := unix.EpollCtl(x.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events | unix.EPOLLONESHOT, Fd: id})
	if err != nil {
		return err
	}
	defer unix.EpollCtl(x.epoll, unix.EPOLL_CTL_DEL, fd, nil)
	select {
	case <-come:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// remove is the opposite of add. The socket is still open.
func (x *exchange) remove(d *datagrams) {
	x.poller.Unregister(d.sock)
	unix.EpollCtl(x.epoll, unix.EPOLL_CTL_DEL, d.far, nil)
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.byID, d.id)
	delete(x.of, d.sock)
}

// watchLocked tells the exchange what to wait for on far.
func (d *datagrams) watchLocked() {
	var events uint32
	if d.joined && d.unsent == nil {
		events |= unix.EPOLLIN
	}
	if d.full && !d.shut {
		events |= unix.EPOLLOUT
	}
	if d.far < 0 || events == d.watched {
		return
	}
	d.watched = events
	unix.EpollCtl(d.s.exchange.epoll, unix.EPOLL_CTL_MOD, d.far, &unix.EpollEvent{Events: events, Fd: d.id})
}

// inward passes on what the stack has received.
func (x *exchange) inward() {
	for x.look(sockets.NoTimeout) == nil {
	}
}

// during runs send, which sends something through the stack, and passes on what
// has arrived then. Of streams that is nothing yet, most of the time: it takes a
// goroutine of netstack's, for which to wait here costs more than it saves.
func (x *exchange) during(send func()) {
	x.poller.Hold()
	defer x.poller.Release()
	send()
	x.look(0)
}

// eventsAtOnce is how many sockets are looked at before the next question.
const eventsAtOnce = 32

func (x *exchange) look(timeout time.Duration) error {
	var ready [eventsAtOnce]sockets.PollDesc
	n, err := x.poller.PollInto(ready[:], timeout)
	for _, p := range ready[:n] {
		x.mu.Lock()
		d, turn := x.of[p.Sock], x.turn[p.Sock]
		x.mu.Unlock()
		switch {
		case d != nil:
			d.turn(unix.EPOLLIN)
		case turn != nil:
			turn()
		}
	}
	return err
}

// outward passes on what the program has sent.
func (x *exchange) outward() {
	defer unix.Close(x.stop)
	defer x.wait.Close()
	conn, err := x.wait.SyscallConn()
	if err != nil {
		return
	}
	var ready [eventsAtOnce]unix.EpollEvent
	for more := true; more; {
		n := 0
		err := conn.Read(func(fd uintptr) bool {
			n, _ = unix.EpollWait(int(fd), ready[:], 0)
			return n > 0
		})
		if err != nil {
			return
		}
		x.during(func() { more = x.happened(ready[:n]) })
	}
}

// happened passes events on. It reports whether there may be more.
func (x *exchange) happened(events []unix.EpollEvent) bool {
	for _, e := range events {
		if e.Fd == 0 {
			return false // stop
		}
		x.mu.Lock()
		fn := x.byID[e.Fd]
		x.mu.Unlock()
		if fn != nil {
			fn(e.Events)
		}
	}
	return true
}

// turn moves what there is to move, after events of the program's socket.
func (d *datagrams) turn(events uint32) {
	d.mu.Lock()
	stuck := d.full || len(d.back) > 0
	if events&unix.EPOLLOUT != 0 {
		d.full = d.shut
	}
	d.sendQueuedLocked()
	alive := d.deliverLocked()
	d.watchLocked()
	lost := d.back
	d.mu.Unlock()
	if alive {
		return
	}
	local, err := d.sock.GetSockName()
	d.end()
	if err == nil && len(lost) > 0 && !stuck { // or it may have come while the socket was open
		d.s.exchange.again(lost[0], local)
	}
}

// again lets another socket of the program send once more what it has sent to
// one that was closed already without our noticing, so that it hears that nobody
// is there. Other hosts hear so when they send again.
func (x *exchange) again(m message, to sockets.Sockaddr) {
	from, err := parseSockaddr(m.from)
	if err != nil {
		return
	}
	x.mu.Lock()
	all := slices.Collect(maps.Keys(x.of))
	x.mu.Unlock()
	for _, sock := range all {
		name, err := sock.GetSockName()
		if err != nil || portOf(name) != portOf(from) || portOf(name) == 0 {
			continue
		}
		if _, err := sock.GetPeerName(); err == nil {
			sock.Send(m.data, sockets.MSG_DONTWAIT)
		} else {
			sock.SendTo(m.data, to, sockets.MSG_DONTWAIT)
		}
		return
	}
}
