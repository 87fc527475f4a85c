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
	replies := [2]*reply{&v4, &v6}
	var open [2]asked
	var done [2]<-chan struct{} // nil once the reply is there
	for i, t := range [2]wire.Type{wire.TypeA, wire.TypeAAAA} {
		open[i] = l.ask(name, t)
		done[i] = open[i].done()
	}
	var grace <-chan time.Time
	for done[0] != nil || done[1] != nil {
		i := 0
		select {
		case <-done[0]:
		case <-done[1]:
			i = 1
		case <-grace:
			late := 0
			if done[0] == nil {
				late = 1
			}
			open[late].leave(ctx)
			*replies[late] = unansweredReply
			return v4, v6
		case <-ctx.Done():
			for i := range open {
				if done[i] != nil {
					*replies[i] = open[i].leave(ctx)
				}
			}
			return v4, v6
		}
		*replies[i], done[i] = open[i].reply(), nil
		if replies[i].status == statusData && l.r.familyGrace > 0 && !l.set.options.StrictError {
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
