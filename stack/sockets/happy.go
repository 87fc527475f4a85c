package sockets

import (
	"context"
	"time"
)

// Connecting to a name that has several addresses (RFC 8305, "Happy Eyeballs"):
// the addresses are tried in an order in which the families take turns, each
// attempt beginning when the one before has failed or has had its head start. The
// first connection wins, and the others are given up.
const (
	// attemptDelay is the head start of an attempt (RFC 8305 section 5).
	attemptDelay = 250 * time.Millisecond
	// maxAttempts bounds the attempts at the same time; the oldest one, which has
	// had more than a second, makes room.
	maxAttempts = 6
)

// alternate puts a list in the order of RFC 8305 section 4: the first one's family
// and the other take turns, each in its own order.
func alternate[A any](list []A, family func(A) Family) []A {
	var first, second []A
	for _, a := range list {
		if family(a) == family(list[0]) {
			first = append(first, a)
		} else {
			second = append(second, a)
		}
	}
	mixed := make([]A, 0, len(list))
	for i := range max(len(first), len(second)) {
		if i < len(first) {
			mixed = append(mixed, first[i])
		}
		if i < len(second) {
			mixed = append(mixed, second[i])
		}
	}
	return mixed
}

// raceEnd is how an attempt ended.
type raceEnd[C any] struct {
	conn C
	err  error
	at   int // in the list
}

// race connects to one of a list with dial, which must end with its context, and
// closes what comes too late with discard. When nothing can be reached it returns
// the errors in the order of the list. A list of one is dialled by the caller's own
// goroutine: what waits beside it would be for nothing.
func race[A, C any](ctx context.Context, list []A, dial func(context.Context, A) (C, error), discard func(C)) (conn C, errs []error) {
	if len(list) == 1 {
		conn, err := dial(ctx, list[0])
		if err != nil {
			return conn, []error{err}
		}
		return conn, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	ends := make(chan raceEnd[C])
	running := make(map[int]context.CancelFunc) // by place in the list
	defer func() {
		cancel()
		for range running {
			if end := <-ends; end.err == nil {
				discard(end.conn)
			}
		}
	}()
	errs = make([]error, len(list))
	start := func(at int) {
		attempt, giveUp := context.WithCancel(ctx)
		running[at] = giveUp
		go func() {
			c, err := dial(attempt, list[at])
			ends <- raceEnd[C]{c, err, at}
		}()
	}
	timer := time.NewTimer(attemptDelay)
	defer timer.Stop()
	next := 0
	for next < len(list) || len(running) > 0 {
		if next < len(list) && len(running) < maxAttempts {
			start(next)
			next++
			timer.Reset(attemptDelay)
		}
		select {
		case end := <-ends:
			running[end.at]()
			delete(running, end.at)
			if end.err == nil {
				return end.conn, nil
			}
			errs[end.at] = end.err
			if ctx.Err() != nil {
				next = len(list)
			}
		case <-timer.C:
			if len(running) == maxAttempts && next < len(list) {
				running[oldest(running)]()
			}
		}
	}
	return conn, errs
}

func oldest(running map[int]context.CancelFunc) int {
	first := -1
	for at := range running {
		if first < 0 || at < first {
			first = at
		}
	}
	return first
}
