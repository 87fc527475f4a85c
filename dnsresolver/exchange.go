package dnsresolver

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
)

// This file is the timeline of one question: whom to ask, when to ask somebody
// else as well, when to stop. What passes between us and one server is an
// attempt (attempt.go).
//
//	send to the best server ── answer ──────────────────────────────► done
//	  │            │
//	  │            └─ it failed: next server at once
//	  └─ silent for its RTO: ask the next one too, and keep listening
//	after all were asked, a new round with the RTO doubled, until the packets
//	or the lookup's time are used up; servers that all failed get as many
//	rounds as there are attempts

const (
	// maxQueries bounds the exchanges of a resolver that run at the same time.
	maxQueries = 512
	// maxPackets bounds the packets of one exchange, a TCP connection counting
	// as one. extraPackets are those beyond one for each server and attempt: for
	// TCP after a truncated reply, for servers that choke on EDNS, for losses.
	maxPackets   = 16
	extraPackets = 2
	// roundDelay is the pause before servers that all failed are asked again.
	roundDelay = 250 * time.Millisecond
)

// question is what an exchange asks.
type question struct {
	name string // absolute
	typ  wire.Type
}

// exchange is one question on its way. All fields but packets and events
// belong to the goroutine of run.
type exchange struct {
	l     *lookup
	q     question
	order []*server

	pos      int // attempts begun; the next one is order[pos%n] in round pos/n
	last     *attempt
	live     map[*server]*attempt // at most one to each server (RFC 5452 section 5)
	plain    map[*server]bool     // these choked on EDNS in this exchange
	failures []attemptFailure
	timer    *time.Timer

	packets atomic.Int32 // that may still be sent
	events  chan event
}

// attemptFailure is why one attempt did not give an answer.
type attemptFailure struct {
	verdict verdict
	server  netip.AddrPort
	err     error
}

// exchange asks q and returns the walked answer of the first server that gave
// one. Otherwise the status says how the question failed.
func (l *lookup) exchange(ctx context.Context, q question) (walked, failure, status) {
	order := l.r.serverOrder(l.set, l.set.groupOf(q.name), time.Now())
	if len(order) == 0 {
		return walked{}, failure{code: EAI_AGAIN, err: ErrNoServers}, statusUnanswered
	}
	l.queued.Add(1)
	select {
	case l.r.slots <- struct{}{}:
		l.queued.Add(-1)
		defer func() { <-l.r.slots }()
	case <-ctx.Done():
		l.queued.Add(-1)
		return stopped(ctx, ErrBusy)
	}
	x := &exchange{
		l: l, q: q, order: order,
		live: make(map[*server]*attempt, len(order)),
	}
	limit := min(l.set.attempts*len(order)+extraPackets, maxPackets)
	x.packets.Store(int32(limit))
	// Every packet makes at most two events, so an attempt never waits to
	// post one, even when nobody reads them any more.
	x.events = make(chan event, 2*limit)
	return x.run(ctx)
}

// run is the timeline.
func (x *exchange) run(ctx context.Context) (walked, failure, status) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the attempts that are still listening
	x.timer = time.NewTimer(x.l.set.timeout)
	defer x.timer.Stop()
	x.sendNext(ctx)
	for {
		select {
		case <-x.timer.C:
			x.sendNext(ctx)
		case ev := <-x.events:
			if x.live[ev.from.server] != ev.from {
				continue // given up on before
			}
			if ev.kind == eventAnswer {
				return x.answered(ev)
			}
			x.handle(ctx, ev)
		case <-ctx.Done():
			w, f, st := stopped(ctx, nil)
			if len(x.order) == 1 {
				f.server = x.order[0].Addr // the only one it can be
			}
			return w, f, st
		}
		if len(x.live) == 0 && !x.more() {
			return x.allFailed()
		}
	}
}

// answered returns the answer of the exchange.
func (x *exchange) answered(ev event) (walked, failure, status) {
	x.punishOverdue(ev.from)
	if ev.answer.status == statusBroken {
		f := loopFailure
		f.server = ev.from.server.Addr
		return walked{}, f, statusBroken
	}
	return ev.answer, failure{}, ev.answer.status
}

// more reports whether the timeline has another query to send. The configured
// attempts are for servers that fail; to silence, which may be a lost packet,
// whatever is left of the packets is sent.
func (x *exchange) more() bool {
	return x.packets.Load() > 0 && (x.pos < x.l.set.attempts*len(x.order) || len(x.live) > 0)
}

// sendNext begins the next attempt and sets the timer for the one after it. A
// server that is still being talked to over TCP is passed over, since TCP sends
// again by itself; when all are, the end of one of them comes next.
func (x *exchange) sendNext(ctx context.Context) {
	n := len(x.order)
	for pos := x.pos; x.more() && pos < x.pos+n; pos++ {
		s := x.order[pos%n]
		if old := x.live[s]; old != nil {
			if old.tcp {
				continue
			}
			// The new query takes its place: two equal questions at the same
			// server would double the chances of a forged answer.
			old.cancel()
		}
		x.pos = pos + 1
		x.packets.Add(-1)
		x.begin(ctx, s)
		x.arm(x.wait(ctx, s, pos/n))
		return
	}
}

// begin starts an attempt at s.
func (x *exchange) begin(ctx context.Context, s *server) {
	ctx, cancel := context.WithCancel(ctx)
	a := &attempt{x: x, server: s, cancel: cancel, begun: time.Now(), tcp: x.l.overTCP(s)}
	payload := uint16(udpPayload)
	if x.l.set.options.NoEDNS0 || x.plain[s] || !s.edns(time.Now()) {
		payload = 0
	}
	x.live[s], x.last = a, a
	x.l.r.running.Go(func() {
		defer cancel()
		a.run(ctx, payload)
	})
}

// wait returns how long s may be silent before the next query is sent: its RTO,
// doubled in each round, and never so long that servers go unasked because the
// deadline is near.
func (x *exchange) wait(ctx context.Context, s *server, round int) time.Duration {
	timeout := x.l.set.timeout
	d := s.rto(timeout)
	if round > 0 {
		d = min(jitter(d<<round), timeout)
	}
	if deadline, ok := ctx.Deadline(); ok {
		unasked := len(x.order) - x.pos%len(x.order)
		share := time.Until(deadline) / time.Duration(unasked+1)
		d = min(d, max(share, minRTO))
	}
	return d
}

// arm sets the timer, or stops it when there is nothing left to send.
func (x *exchange) arm(d time.Duration) {
	if x.more() {
		x.timer.Reset(d)
		return
	}
	x.timer.Stop()
}

// handle reacts to what happened at one server short of an answer.
func (x *exchange) handle(ctx context.Context, ev event) {
	switch ev.kind {
	case eventTCP:
		ev.from.tcp = true
		if ev.from == x.last {
			x.arm(tcpConnectTimeout)
		}
	case eventPlain:
		if x.plain == nil {
			x.plain = make(map[*server]bool)
		}
		x.plain[ev.from.server] = true
		if ev.from == x.last {
			x.arm(ev.from.server.rto(x.l.set.timeout))
		}
	case eventFailed:
		delete(x.live, ev.from.server)
		x.failures = append(x.failures, attemptFailure{ev.verdict, ev.from.server.Addr, ev.err})
		x.afterFailure(ctx, ev.from)
	}
}

// afterFailure goes on to the next server at once, unless one is being waited
// for already. The servers of a round are asked again only after a pause.
func (x *exchange) afterFailure(ctx context.Context, a *attempt) {
	roundOver := x.pos%len(x.order) == 0
	switch {
	case !roundOver && (a == x.last || len(x.live) == 0):
		x.sendNext(ctx)
	case roundOver && len(x.live) == 0:
		x.arm(roundDelay)
	}
}

// punishOverdue moves the servers back that were asked before the one that
// answered and did not.
func (x *exchange) punishOverdue(winner *attempt) {
	now := time.Now()
	for s, a := range x.live {
		if a != winner && a.begun.Before(winner.begun) {
			s.failed(now)
		}
	}
}

// allFailed returns the failure of an exchange in which every server failed in
// every round.
func (x *exchange) allFailed() (walked, failure, status) {
	for _, v := range failureOrder {
		for i := len(x.failures) - 1; i >= 0; i-- {
			if f := x.failures[i]; f.verdict == v.verdict {
				return walked{}, failure{code: v.code, server: f.server, err: f.err}, v.status
			}
		}
	}
	return walked{}, failure{code: EAI_AGAIN, err: errTimeout}, statusUnanswered
}

// failureOrder says which of several failures stands for all, and what it means.
var failureOrder = []struct {
	verdict verdict
	code    EAI
	status  status
}{
	{verdictRefused, EAI_AGAIN, statusTemporary},
	{verdictUnreachable, EAI_AGAIN, statusUnanswered},
	{verdictMalformed, EAI_FAIL, statusBroken},
}

// stopped returns the failure of an exchange whose context ended, because of
// busy if that is not nil.
func stopped(ctx context.Context, busy error) (walked, failure, status) {
	f := contextFailure(ctx)
	if f.code != EAI_AGAIN {
		return walked{}, f, statusStopped
	}
	if busy != nil {
		f.err = fmt.Errorf("%w: %w", busy, f.err)
	}
	return walked{}, f, statusUnanswered
}
