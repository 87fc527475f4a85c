package dnsresolver

import (
	"context"
	"time"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
)

// families is the answer to a candidate: the replies of the families that were
// asked for, and what they come to together.
type families struct {
	status status
	v4, v6 reply
}

// failure returns why there are no addresses.
func (f *families) failure() failure {
	for _, rep := range []*reply{&f.v4, &f.v6} {
		if rep.status == f.status {
			return rep.failure
		}
	}
	return failure{}
}

// notAsked is the reply of a family that was not asked for.
var notAsked = reply{status: statusNotAsked}

// lookupName asks for a candidate's addresses of a family. For both families
// the questions go out side by side, each from its own socket, unless the
// options say one after the other.
func (l *lookup) lookupName(ctx context.Context, name string, family Family) families {
	name += "."
	o := l.set.options
	f := families{v4: notAsked, v6: notAsked}
	switch {
	case family == AF_INET || family == AF_UNSPEC && o.NoAAAA:
		f.v4 = l.query(ctx, name, wire.TypeA)
	case family == AF_INET6 && o.NoAAAA:
		f.v6 = reply{status: statusNoData}
	case family == AF_INET6:
		f.v6 = l.query(ctx, name, wire.TypeAAAA)
	case o.SingleRequest:
		f.v4 = l.query(ctx, name, wire.TypeA)
		f.v6 = l.query(ctx, name, wire.TypeAAAA)
	default:
		f.v4, f.v6 = l.lookupBoth(ctx, name)
	}
	f.status = o.combine(f.v4.status, f.v6.status)
	return f
}

// lookupBoth asks for both families at once. When one has addresses the other
// gets FamilyGrace more: a server that drops AAAA queries must not hold up
// every connection.
func (l *lookup) lookupBoth(ctx context.Context, name string) (v4, v6 reply) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var replies [2]chan reply
	for i, t := range [2]wire.Type{wire.TypeA, wire.TypeAAAA} {
		c := make(chan reply, 1) // the goroutine ends even when nobody waits
		replies[i] = c
		l.r.running.Go(func() { c <- l.query(ctx, name, t) })
	}
	v4, v6 = unansweredReply, unansweredReply
	var grace <-chan time.Time
	for replies[0] != nil || replies[1] != nil {
		var rep reply
		select {
		case rep = <-replies[0]:
			v4, replies[0] = rep, nil
		case rep = <-replies[1]:
			v6, replies[1] = rep, nil
		case <-grace:
			return v4, v6
		}
		if rep.status == statusData && l.r.familyGrace > 0 && !l.set.options.StrictError {
			timer := time.NewTimer(l.r.familyGrace)
			defer timer.Stop()
			grace = timer.C
		}
	}
	return v4, v6
}

// unansweredReply is the reply of a family that was not waited for.
var unansweredReply = reply{status: statusUnanswered, failure: failure{code: EAI_AGAIN, err: errTimeout}}

// combine says what the replies of two families come to: the greater, so that
// addresses of either are enough, unless strict-error wants both answered.
func (o Options) combine(v4, v6 status) status {
	lesser, greater := min(v4, v6), max(v4, v6)
	if o.StrictError && greater == statusData && lesser.failed() {
		return lesser
	}
	return greater
}
