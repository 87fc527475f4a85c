package dnsresolver

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
	"github.com/userstack/userstack/dnsresolver/netdb"
)

const (
	maxLinks     = 16 // CNAME records followed in one message
	maxFollowUps = 8  // further queries of a question for the target of a CNAME
	// maxLookupFollowUps bounds them over all questions of a lookup, so that
	// aliases of every candidate of the search list do not add up.
	maxLookupFollowUps = 2 * maxFollowUps
	// maxTTL bounds what a server says of how long an answer holds; longer
	// ones, and those with the sign bit set, count as this (RFC 8767 section 4).
	maxTTL = 24 * time.Hour
)

// status is how a question, or a candidate of the search list, ended. The order
// matters: the outcome of two questions about one name (A and AAAA), and of
// several candidates, is the greatest of them.
type status int

const (
	statusNotAsked   status = iota - 1
	statusNXDomain          // the name does not exist
	statusNoData            // the name exists and has no such record
	statusBroken            // the answer makes no sense, and will not later
	statusTemporary         // all servers failed
	statusUnanswered        // no server said anything in time, or could be reached
	statusData              // there are addresses
	statusStopped           // the caller gave up, or the resolver was closed
)

// failed reports whether st means that the question was not answered.
func (st status) failed() bool {
	return st == statusBroken || st == statusTemporary || st == statusUnanswered || st == statusStopped
}

// walked is what one message says of one name, after following its aliases.
type walked struct {
	status   status
	names    []string // the targets of the aliases in order; the last is where the chain ends
	addrs    []netip.Addr
	ptrs     []string      // targets of PTR records
	data     []*wire.Data  // of records of other types
	ttl      time.Duration // the shortest of the chain
	filtered bool          // something was taken out
	soa      bool          // the message has a usable SOA record
	absent   time.Duration // how long it holds that there is nothing, with soa
	ad       bool
}

// found reports whether the message has what was asked for.
func (w *walked) found() bool { return len(w.addrs)+len(w.ptrs)+len(w.data) > 0 }

// walk follows the aliases in msg from the name asked for and collects the
// addresses, or the targets of PTR records, at their end. Only records whose
// owner is the current name are looked at, in whatever order they stand, so
// nothing that a server adds about other names is used. It fails when the message
// contradicts itself. Aliases that lead in a circle, or on and on, give
// statusBroken.
func walk(msg *wire.Message, q question) (walked, error) {
	w := walked{ttl: maxTTL, ad: msg.AuthenticData}
	name := q.name
	for {
		target, err := w.collect(msg.Answer, name, q.typ)
		if err != nil {
			return walked{}, err
		}
		if target == "" || w.found() {
			break
		}
		if !w.link(q.name, target) {
			return walked{status: statusBroken}, nil
		}
		name = target
	}
	w.findSOA(msg.Authority, name)
	switch {
	case msg.RCode == wire.NXDomain:
		w.status, w.addrs, w.ptrs, w.data = statusNXDomain, nil, nil, nil
	case w.found():
		w.status = statusData
	default:
		w.status = statusNoData
	}
	return w, nil
}

// findSOA looks for the SOA record of a zone that name is in. It says how long
// the absence of a record holds (RFC 2308 section 5).
func (w *walked) findSOA(authority []wire.Record, name string) {
	for _, rr := range authority {
		if rr.Type == wire.TypeSOA && rr.Class == wire.ClassIN && wire.InDomain(name, rr.Name) {
			w.soa, w.absent = true, min(recordTTL(rr.TTL), recordTTL(rr.Minimum))
			return
		}
	}
}

// collect takes the records of name into w and returns the target of its
// alias, if it has one.
func (w *walked) collect(records []wire.Record, name string, t wire.Type) (target string, err error) {
	for i := range records {
		rr := &records[i]
		if rr.Class != wire.ClassIN || rr.Type != t && rr.Type != wire.TypeCNAME || !wire.EqualNames(rr.Name, name) {
			continue
		}
		w.ttl = min(w.ttl, recordTTL(rr.TTL))
		switch {
		case rr.Type != wire.TypeCNAME || t == wire.TypeCNAME:
			w.take(rr)
		case target == "":
			target = rr.Target
		case !wire.EqualNames(target, rr.Target):
			return "", fmt.Errorf("%w: two aliases of %s", wire.ErrMalformed, name)
		}
	}
	return target, nil
}

// take adds what a record says, up to a limit.
func (w *walked) take(rr *wire.Record) {
	switch {
	case len(w.addrs)+len(w.ptrs)+len(w.data) == maxAddrs:
	case rr.Type == wire.TypePTR || rr.Type == wire.TypeCNAME:
		w.ptrs = append(w.ptrs, rr.Target)
	case rr.Data != nil:
		w.data = append(w.data, rr.Data)
	default:
		w.addrs = append(w.addrs, rr.Addr)
	}
}

// link adds an alias to the chain and reports whether it leads on.
func (w *walked) link(start, target string) bool {
	if len(w.names) == maxLinks || wire.EqualNames(start, target) || containsName(w.names, target) {
		return false
	}
	w.names = append(w.names, target)
	return true
}

func containsName(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return wire.EqualNames(n, name) })
}

func recordTTL(seconds uint32) time.Duration {
	if seconds > 1<<31-1 {
		return maxTTL
	}
	return min(time.Duration(seconds)*time.Second, maxTTL)
}

// reply is the answer to one question about one name, whatever the number of
// messages it took.
type reply struct {
	status   status
	addrs    []netip.Addr
	ptrs     []string
	data     []*wire.Data
	names    []string // every alias and where they lead, without the name itself
	ttl      time.Duration
	absent   time.Duration // how long it holds that there is nothing; 0: not to be kept
	ad       bool
	rotate   int     // the address to begin with
	filtered bool    // something was taken out: not to be kept
	failure  failure // of a status that failed
}

// query returns the records of one type of a name: those that are remembered, or
// those that somebody else is asking for already, or it asks. The reply is
// shared, and is not changed.
func (l *lookup) query(ctx context.Context, name string, t wire.Type) reply {
	q := l.ask(name, t)
	select {
	case <-q.done():
		return q.reply()
	case <-ctx.Done():
		return q.leave(ctx)
	}
}

// resolve asks for the records of one type of a name. Where a server only says
// that the name is an alias, or that it is one of a name of another group, the
// target is asked for as well.
func (l *lookup) resolve(ctx context.Context, name string, t wire.Type) reply {
	if l.set.isMDNS(name) {
		return l.mdns(ctx, name, t)
	}
	rep := reply{ttl: maxTTL, ad: true}
	current := name
	for range 1 + maxFollowUps {
		w, f, st := l.exchange(ctx, question{name: current, typ: t})
		if st.failed() {
			return reply{status: st, failure: f}
		}
		if i := l.set.stray(current, w.names); i >= 0 {
			w.cutOff(i)
		}
		l.dropPrivate(name, &w)
		for _, n := range w.names {
			if wire.EqualNames(n, name) || containsName(rep.names, n) {
				return reply{status: statusBroken, failure: loopFailure}
			}
			rep.names = append(rep.names, n)
		}
		rep.ttl, rep.ad = min(rep.ttl, w.ttl), rep.ad && w.ad
		if w.status != statusNoData || len(w.names) == 0 || w.soa {
			rep.status, rep.absent, rep.filtered = w.status, w.absent, w.filtered
			rep.addrs, rep.ptrs, rep.data = w.addrs, w.ptrs, w.data
			return rep
		}
		if l.followUps.Add(1) > maxLookupFollowUps {
			break
		}
		current = w.names[len(w.names)-1]
	}
	return reply{status: statusBroken, failure: loopFailure}
}

var loopFailure = failure{code: EAI_FAIL, err: ErrCNAMELoop}

// canonical returns the name at the end of the chain as it may be shown to the
// caller: asked itself where there is no chain or its end is no host name.
func (rep *reply) canonical(asked string) string {
	if len(rep.names) == 0 {
		return asked
	}
	name := strings.TrimSuffix(rep.names[len(rep.names)-1], ".")
	if !netdb.IsHostname(name) {
		return asked
	}
	return name
}
