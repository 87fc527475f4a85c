package load

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Near is the end that connects.
type Near struct {
	counter
	network Network
	working sync.WaitGroup

	ctx  context.Context // of the job; ends with Close
	stop context.CancelFunc

	mu   sync.Mutex
	open map[io.Closer]struct{}
}

// NewNear returns an end that does nothing yet.
func NewNear(network Network) *Near {
	n := &Near{network: network, open: map[io.Closer]struct{}{}}
	n.ctx, n.stop = context.WithCancel(context.Background())
	return n
}

// Counts returns what came and went so far.
func (n *Near) Counts() Counts { return n.counts() }

// Conns returns the connections that are open.
func (n *Near) Conns() []net.Conn {
	n.mu.Lock()
	defer n.mu.Unlock()
	return conns(n.open)
}

func conns(open map[io.Closer]struct{}) (conns []net.Conn) {
	for c := range open {
		if c, ok := c.(net.Conn); ok {
			conns = append(conns, c)
		}
	}
	return conns
}

// Close ends the job and waits for its goroutines.
func (n *Near) Close() error {
	n.stop()
	n.mu.Lock()
	for c := range n.open {
		c.Close()
	}
	n.mu.Unlock()
	n.working.Wait()
	return nil
}

// Start begins a job and returns when its connections stand. ctx bounds that alone; the job goes on until Close.
func (n *Near) Start(ctx context.Context, job Job) error {
	job.Conns = max(job.Conns, 1)
	start, ok := map[Kind]func(context.Context, Job) error{
		Out:        n.stream(sink, func(c net.Conn) error { return pour(c.Write, make([]byte, chunk), &n.bytesOut) }),
		In:         n.stream(source, func(c net.Conn) error { return pour(c.Read, make([]byte, chunk), &n.bytesIn) }),
		RoundTrip:  n.stream(echo, n.roundTrips),
		Connect:    n.connect,
		Idle:       n.idleConns,
		PacketsOut: n.packetsOutward,
		PacketsIn:  n.packetsInward,
	}[job.Kind]
	if !ok {
		return fmt.Errorf("load: there is no load %q", job.Kind)
	}
	return start(ctx, job)
}

// keep remembers what Close is to close.
func (n *Near) keep(c io.Closer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ctx.Err() != nil {
		c.Close()
		return
	}
	n.open[c] = struct{}{}
}

func (n *Near) drop(c io.Closer) {
	c.Close()
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.open, c)
}

// work runs what goes on until Close, and counts it as a failure when it ends before.
func (n *Near) work(f func() error) {
	n.working.Go(func() {
		if err := f(); err != nil && n.ctx.Err() == nil {
			n.fail(err)
		}
	})
}

// dial makes a connection and tells far what to do with it.
func (n *Near) dial(ctx context.Context, to netip.AddrPort, kind byte) (net.Conn, error) {
	c, err := n.network.DialTCP(ctx, to)
	if err != nil {
		return nil, err
	}
	n.keep(c)
	if _, err := c.Write([]byte{kind}); err != nil {
		n.drop(c)
		return nil, err
	}
	return c, nil
}

// stream returns what does a job whose connections all do the same without end.
func (n *Near) stream(kind byte, use func(net.Conn) error) func(context.Context, Job) error {
	return func(ctx context.Context, job Job) error {
		conns := make([]net.Conn, job.Conns)
		for i := range conns {
			c, err := n.dial(ctx, job.TCP, kind)
			if err != nil {
				return err
			}
			conns[i] = c
		}
		for _, c := range conns {
			n.work(func() error { return use(c) })
		}
		return nil
	}
}

func (n *Near) roundTrips(c net.Conn) error {
	buf := make([]byte, 1)
	for {
		start := time.Now()
		if _, err := c.Write(buf); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, buf); err != nil {
			return err
		}
		n.latency.Add(time.Since(start))
		n.done.Add(1)
	}
}

// pause is between a connection that failed and the next: who refuses is not to be flooded.
const pause = time.Millisecond

func (n *Near) connect(_ context.Context, job Job) error {
	for range job.Conns {
		n.work(func() error {
			buf := make([]byte, exchangeSize)
			for n.ctx.Err() == nil {
				start := time.Now()
				err := n.exchange(job, buf)
				switch {
				case err == nil:
					n.latency.Add(time.Since(start))
					n.done.Add(1)
				case n.ctx.Err() == nil:
					n.fail(err)
					time.Sleep(pause)
				}
			}
			return nil
		})
	}
	return nil
}

// exchange connects, sends a request, reads its answer to the end and closes.
func (n *Near) exchange(job Job, buf []byte) error {
	c, err := n.network.DialTCP(n.ctx, job.TCP)
	if err != nil {
		return err
	}
	n.keep(c)
	defer n.drop(c)
	buf[0] = request
	if _, err := c.Write(buf); err != nil {
		return err
	}
	if _, err := io.ReadFull(c, buf); err != nil {
		return err
	}
	if k, err := c.Read(buf); err != io.EOF {
		return fmt.Errorf("%d bytes and %v after the answer, not the end", k, err)
	}
	return nil
}

// idleConns makes the connections and leaves them alone.
func (n *Near) idleConns(ctx context.Context, job Job) error {
	var dialing sync.WaitGroup
	errs := make([]error, dialers)
	for i := range dialers {
		dialing.Go(func() {
			for k := i; k < job.Conns && errs[i] == nil; k += dialers {
				_, errs[i] = n.dial(ctx, job.target(k), park)
			}
		})
	}
	dialing.Wait()
	for _, err := range errs {
		if err != nil {
			return err // the others say the same
		}
	}
	n.idle.Store(uint64(job.Conns))
	return nil
}

func (n *Near) packets(job Job) (Packets, error) {
	if job.Size < 3 || job.Size > maxDatagram {
		return nil, fmt.Errorf("load: datagrams of %d bytes are not of 3 to %d", job.Size, maxDatagram)
	}
	flow, err := n.network.DialUDP(job.UDP)
	if err == nil {
		n.keep(flow)
	}
	return flow, err
}

func (n *Near) packetsOutward(_ context.Context, job Job) error {
	flow, err := n.packets(job)
	if err != nil {
		return err
	}
	n.work(func() error { return sendAll(flow, job.Size, sink, &n.counter) })
	return nil
}

// askAgain is how long near waits for the first datagram before it asks again: a first one may be lost while addresses are
// resolved.
const askAgain = 100 * time.Millisecond

func (n *Near) packetsInward(_ context.Context, job Job) error {
	flow, err := n.packets(job)
	if err != nil {
		return err
	}
	ask := []byte{source, 0, 0}
	binary.BigEndian.PutUint16(ask[1:], uint16(job.Size))
	n.work(func() error { return receiveAll(flow, &n.counter) })
	n.work(func() error {
		for again := time.NewTicker(askAgain); n.packetsIn.Load() == 0; {
			if _, err := flow.Send([][]byte{ask}); err != nil {
				return err
			}
			select {
			case <-again.C:
			case <-n.ctx.Done():
				return nil
			}
		}
		return nil
	})
	return nil
}
