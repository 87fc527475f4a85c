package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

// Defaults of ping, as those of iputils' ping(8), and limits.
const (
	pingInterval    = time.Second
	pingWait        = 10 * time.Second
	pingPayload     = 56
	maxPingPayload  = 65507 // what fits a datagram of 65535 bytes beside the headers of IPv4 and ICMP
	leastPingPause  = time.Millisecond
	ipv4HeaderBytes = 20
)

// pingFlags are the flags of ping.
type pingFlags struct {
	count    uint32
	interval time.Duration
	wait     time.Duration
	size     uint32
	version  ipVersion
}

func newPing(s *settings) *cobra.Command {
	p := &pingFlags{interval: pingInterval, wait: pingWait, size: pingPayload}
	cmd := &cobra.Command{
		Use:     "ping [flags] HOST",
		GroupID: groupTools,
		Short:   "see whether a host answers, and how fast",
		Long: `ping sends ICMP echo requests, one a second, and prints the answers, until it
has sent as many as -c says or is interrupted; then it prints a summary. Flags and
output are those of ping(8) of iputils.

After the last request it waits for what is missing: a second or twice the longest
round trip so far, or the time of -W when nothing has answered yet. The exit status
is 1 if nothing answered at all.`,
		Example: `  userstack ping -c 3 www.demo.test
  userstack ping -c 3 -i 0.2 -6 --link netns www.demo.test
  userstack ping -c 5 -i 0.1 --impair loss=20%,delay=10ms,seed=3 10.78.0.1`,
		Args: args(1, 1, "one host"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.use(cmd, func(ctx context.Context, n *network) error {
				return p.ping(ctx, n, args[0], cmd.OutOrStdout())
			})
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.VarP(&countValue{&p.count, 1, math.MaxUint32}, "count", "c", "end after this many requests (default never)")
	f.VarP(&seconds{&p.interval, leastPingPause}, "interval", "i", "time between requests")
	f.VarP(&seconds{&p.wait, 0}, "timeout", "W", "how long to wait at the end when nothing has answered")
	f.VarP(&countValue{&p.size, 0, maxPingPayload}, "size", "s", "bytes of data in a request")
	versionFlags(cmd, &p.version)
	return cmd
}

// ping sends and receives at the same time, and prints.
func (p *pingFlags) ping(ctx context.Context, n *network, host string, out io.Writer) error {
	addrs, err := n.lookup(ctx, host, p.version)
	if err != nil {
		return err
	}
	pinger, err := newPinger(n.host, addrs[0])
	if err != nil {
		return err
	}
	defer pinger.Close()
	headers := echoHeader + ipv4HeaderBytes
	if addrs[0].Is6() {
		fmt.Fprintf(out, "PING %s (%s) %d data bytes\n", host, addrs[0], p.size)
	} else {
		fmt.Fprintf(out, "PING %s (%s) %d(%d) bytes of data.\n", host, addrs[0], p.size, int(p.size)+headers)
	}
	t := &pingTally{sentAt: map[uint16]time.Time{}, seen: map[uint16]bool{}, start: time.Now(), out: out}
	err = p.run(ctx, pinger, t)
	t.summary(host)
	if err != nil {
		return err
	}
	if t.received == 0 {
		return errSilent
	}
	return nil
}

// run sends requests until there are enough, then waits for the last answers. Interruption is an end like any other.
func (p *pingFlags) run(ctx context.Context, pinger *pinger, t *pingTally) error {
	receiving, cancel := context.WithCancel(ctx)
	failed, done := make(chan error, 1), make(chan struct{})
	var receiver sync.WaitGroup // ends with receiving
	receiver.Go(func() { failed <- t.receiveAll(receiving, pinger, p.count, done) })
	defer receiver.Wait()
	defer cancel()
	payload := make([]byte, p.size)
	for i := range payload {
		payload[i] = byte(i)
	}
	ticker := time.NewTicker(p.interval)
	defer ticker.Stop()
	for i := uint32(1); ; i++ {
		if err := t.send(pinger, uint16(i), payload); err != nil {
			return err
		}
		if i == p.count {
			break
		}
		select {
		case <-ticker.C:
		case err := <-failed:
			return err
		case <-ctx.Done():
			return nil
		}
	}
	last := time.NewTimer(t.patience(p.wait))
	defer last.Stop()
	select {
	case <-done:
	case <-last.C:
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	return nil
}

// pingTally counts requests and answers.
type pingTally struct {
	out   io.Writer
	start time.Time

	mu                             sync.Mutex // guards what follows, and out
	sentAt                         map[uint16]time.Time
	seen                           map[uint16]bool
	sent, received, duplicates     uint64
	least, most, total, totalOfSqr float64 // milliseconds, and their squares
}

func (t *pingTally) send(p *pinger, seq uint16, payload []byte) error {
	t.mu.Lock()
	t.sentAt[seq] = time.Now()
	delete(t.seen, seq) // the numbers begin again after 65535
	t.mu.Unlock()
	err := p.send(seq, payload)
	if err == nil {
		t.mu.Lock()
		t.sent++
		t.mu.Unlock()
	}
	return err
}

// receiveAll takes answers until the context ends, and closes done when there are enough.
func (t *pingTally) receiveAll(ctx context.Context, p *pinger, enough uint32, done chan<- struct{}) error {
	for {
		e, err := p.receive(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if t.answer(e) == uint64(enough) && enough > 0 {
			close(done)
			enough = 0
		}
	}
}

// answer prints an answer and returns how many there have been, duplicates apart.
func (t *pingTally) answer(e echo) uint64 {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.sentAt[e.seq]
	if !ok {
		return t.received // nothing that we asked for
	}
	rtt := float64(now.Sub(at)) / float64(time.Millisecond)
	mark := ""
	if t.seen[e.seq] {
		t.duplicates++
		mark = " (DUP!)"
	} else {
		t.received++
		t.least, t.most = min(t.least, rtt), max(t.most, rtt)
		if t.received == 1 {
			t.least = rtt
		}
		t.total += rtt
		t.totalOfSqr += rtt * rtt
	}
	t.seen[e.seq] = true
	fmt.Fprintf(t.out, "%d bytes from %s: icmp_seq=%d ttl=%d time=%s ms%s\n", e.bytes, e.from, e.seq, e.ttl, threeDigits(rtt), mark)
	return t.received
}

// threeDigits prints milliseconds as iputils does.
func threeDigits(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// patience is how long to wait for the last answers: iputils' rule.
func (t *pingTally) patience(none time.Duration) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.received == 0 {
		return none
	}
	const leastPatience = time.Second // the interval of iputils; round trips in memory are shorter than a scheduler's slice
	return max(time.Duration(2*t.most*float64(time.Millisecond)), leastPatience)
}

func (t *pingTally) summary(host string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sent == 0 {
		return // the error says it all
	}
	const percent = 100
	lost := percent * float64(t.sent-min(t.received, t.sent)) / float64(t.sent)
	duplicates := ""
	if t.duplicates > 0 {
		duplicates = fmt.Sprintf("+%d duplicates, ", t.duplicates)
	}
	fmt.Fprintf(t.out, "\n--- %s ping statistics ---\n%d packets transmitted, %d received, %s%.4g%% packet loss, time %dms\n",
		host, t.sent, t.received, duplicates, lost, time.Since(t.start).Milliseconds())
	if t.received > 0 {
		mean := t.total / float64(t.received)
		deviation := math.Sqrt(max(0, t.totalOfSqr/float64(t.received)-mean*mean))
		fmt.Fprintf(t.out, "rtt min/avg/max/mdev = %.3f/%.3f/%.3f/%.3f ms\n", t.least, mean, t.most, deviation)
	}
}
