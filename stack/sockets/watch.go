package sockets

import (
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/userstack/userstack/stack/internal/flow"
)

// A Watch observes a TCP connection, to say what holds it back: see Explain.
// Its methods may be called from any goroutine.
type Watch struct {
	s    *Socket
	ep   tcpip.Endpoint
	flow *flow.Flow
	nic  int // that packets leave through

	quit  chan struct{}
	ended chan struct{} // closed when the sampling goroutine is gone
	close sync.Once

	mu     sync.Mutex
	before baseline // at the beginning of the interval
}

// samplePeriod is how often a watched connection is asked what the packets do not
// tell: the congestion window and how much waits to be read.
const samplePeriod = time.Millisecond

// pathPeriod is how many samples pass between two questions for the path's MTU.
const pathPeriod = 100

// Watch begins to observe the connection, until the Watch or the Socket is
// closed.
//
// A connection that nobody watches costs nothing for it. Watched, each segment
// costs a lock and a reading of its header, each call that sends the lock, and a
// goroutine asks for the congestion window and the receive queue once in a
// millisecond.
//
// Errors: EOPNOTSUPP when the socket is not TCP, or both ends are addresses of
// this stack, where no packet passes a link; ENOTCONN; EBUSY when the connection
// is being watched.
func (s *Socket) Watch() (*Watch, error) {
	if s.dead() {
		return nil, s.error("watch", ErrClosed)
	}
	if !s.d.isTCP() {
		return nil, &Error{Op: "watch", Num: EOPNOTSUPP, Msg: "only TCP connections can be watched"}
	}
	ep := s.d.ep.Load().Endpoint
	peer, errno := s.remoteAddr()
	if errno != 0 || !tcpConnected(ep) {
		return nil, s.error("watch", ENOTCONN)
	}
	local := s.localAddr()
	path, ok := s.host.stack.PathTo(0, local.Addr(), peer.Addr())
	if !ok || path.Local {
		return nil, &Error{Op: "watch", Num: EOPNOTSUPP, Msg: "a connection inside the stack passes no link"}
	}
	f, stop, ok := s.host.stack.Watch(local, peer)
	if !ok {
		return nil, s.error("watch", EBUSY)
	}
	t := s.d.count()
	t.watch.Store(f)
	f.Wrote(t.sent.Load())
	w := &Watch{s: s, ep: ep, flow: f, nic: path.Interface, quit: make(chan struct{}), ended: make(chan struct{})}
	w.before = w.baseline()
	w.sample(w.mss())
	go w.run(func() {
		t.watch.CompareAndSwap(f, nil)
		stop()
	})
	return w, nil
}

// Watch is Socket.Watch.
func (c *Conn) Watch() (*Watch, error) {
	w, err := c.s.Watch()
	return w, c.opError("watch", err)
}

// Close ends the watch. Explain goes on to tell what was seen until then.
func (w *Watch) Close() error {
	w.close.Do(func() { close(w.quit) })
	<-w.ended
	return nil
}

// run samples until the Watch, the Socket or the stack is closed.
func (w *Watch) run(stop func()) {
	defer close(w.ended)
	defer stop()
	tick := time.NewTicker(samplePeriod)
	defer tick.Stop()
	mss := w.mss()
	for n := 1; ; n++ {
		select {
		case <-w.quit:
			return
		case <-w.s.host.stack.Closing():
			return
		case <-tick.C:
			if w.s.closed() {
				return
			}
		}
		if n%pathPeriod == 0 {
			mss = w.mss()
		}
		w.sample(mss)
	}
}

// mss is how many bytes of data a packet of the connection can carry.
func (w *Watch) mss() int {
	return w.s.d.sendMSS(w.ep, intValue(w.s.d.recorded(optionKey{SOL_TCP, TCP_MAXSEG})))
}

func (w *Watch) sample(mss int) {
	d := w.s.d
	var info tcpip.TCPInfoOption
	if terr := w.ep.GetSockOpt(&info); terr != nil {
		return
	}
	unread, terr := w.ep.GetSockOptInt(tcpip.ReceiveQueueSizeOption)
	if terr != nil {
		unread = 0
	}
	waits := d.wq.Events()
	w.flow.Sample(flow.Sample{
		Cwnd: int(info.SndCwnd), MSS: mss,
		Nagle:   w.ep.SocketOptions().GetDelayOption(),
		Waits:   waits&waiter.EventOut != 0,
		Unread:  unread + d.ahead(),
		Wanting: waits&waiter.EventIn != 0,
	})
}

// watcher returns who is told of the application's calls, or nil.
func (d *description) watcher() *flow.Flow {
	if t := d.traffic.Load(); t != nil {
		return t.watch.Load()
	}
	return nil
}

// againWatched is again for a call that sends.
func (c *call) againWatched(f *flow.Flow) error {
	if f == nil {
		return c.again()
	}
	f.WriteWaits()
	defer f.WriteGoesOn()
	return c.again()
}

// baseline is what counters said when an interval began.
type baseline struct {
	at                   time.Time
	timeouts, fast, sent uint64
	work                 work
}

func (w *Watch) baseline() baseline {
	b := baseline{at: time.Now(), work: readWork()}
	if stats, ok := w.ep.Stats().(*tcp.Stats); ok {
		b.timeouts = stats.SendErrors.Timeouts.Value()
		b.fast = stats.SendErrors.FastRetransmit.Value()
		b.sent = stats.SegmentsSent.Value()
	}
	return b
}
