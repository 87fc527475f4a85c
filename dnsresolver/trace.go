package dnsresolver

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Tracer is told of each step of each lookup. It is called from several
// goroutines at once, in the middle of the work, and must return soon.
type Tracer func(Event)

// EventKind says what an Event tells.
type EventKind int

const (
	EventSend   EventKind = iota // a query was sent
	EventReply                   // a reply was accepted
	EventReject                  // a message was not accepted, and the wait goes on; Err says why
	EventFail                    // a server is given up on for now; Err says why
	EventCache                   // the answer to a question is known; Note says for how much longer
	EventTry                     // a candidate of the search list is about to be asked for
	EventDone                    // the lookup is over: Addrs and, in Note, their source; or Err
	EventConfig                  // about a configuration file: Note or Err
)

var eventNames = [...]string{
	EventSend: "send", EventReply: "reply", EventReject: "reject", EventFail: "fail",
	EventTry: "try", EventCache: "cache", EventDone: "done", EventConfig: "config",
}

// String returns one word.
func (k EventKind) String() string {
	if k < 0 || int(k) >= len(eventNames) {
		return "event"
	}
	return eventNames[k]
}

// Event is one step of a lookup. Fields that do not apply are zero.
type Event struct {
	Kind    EventKind
	Lookup  uint64        // number of the lookup, from 1; 0 for EventConfig
	Time    time.Time     // when it happened
	Elapsed time.Duration // since the lookup began

	Host    string         // the name the caller asked for
	Name    string         // the name in the packet, or the candidate
	Type    string         // "A", "AAAA"
	Network string         // "udp" or "tcp"
	Server  netip.AddrPort // who was asked
	ID      uint16         // of the DNS message
	Bytes   int            // of the DNS message
	RTT     time.Duration  // EventReply: since the query was sent
	RCode   string         // EventReply: "NOERROR", "NXDOMAIN", …
	Records int            // EventReply: records in the answer section
	Addrs   []netip.Addr   // EventDone: the result, not to be changed
	TTL     time.Duration  // EventDone: of the result
	Note    string
	Err     error
}

// String returns the event as a line for people, with the time since the lookup
// began in front.
func (e Event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%9.3f ms  %-6s", float64(e.Elapsed)/float64(time.Millisecond), e.Kind)
	if e.Network != "" {
		fmt.Fprintf(&b, " %s %s", e.Network, e.Server)
	}
	if e.Bytes != 0 {
		fmt.Fprintf(&b, " #%04x", e.ID)
	}
	if e.Type != "" {
		fmt.Fprintf(&b, " %s", e.Type)
	}
	if e.Name != "" {
		fmt.Fprintf(&b, " %s", e.Name)
	}
	if e.Bytes != 0 {
		fmt.Fprintf(&b, ", %d bytes", e.Bytes)
	}
	if e.RCode != "" {
		fmt.Fprintf(&b, ", %s, %d records", e.RCode, e.Records)
	}
	if e.RTT != 0 {
		fmt.Fprintf(&b, ", %.3f ms", float64(e.RTT)/float64(time.Millisecond))
	}
	for i, addr := range e.Addrs {
		fmt.Fprintf(&b, "%s%s", [...]string{" ", ", "}[min(i, 1)], addr)
	}
	if e.TTL != 0 {
		fmt.Fprintf(&b, ", TTL %v", e.TTL)
	}
	if e.Note != "" {
		fmt.Fprintf(&b, " (%s)", e.Note)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// trace completes e and hands it to the tracer. Callers test l.traced first
// where completing e would cost something.
func (l *lookup) trace(e Event) {
	if !l.traced() {
		return
	}
	e.Lookup, e.Host = l.id, l.host
	e.Time = time.Now()
	e.Elapsed = e.Time.Sub(l.start)
	l.r.cfg.Trace(e)
}

// traceCache tells of an answer that need not be asked for.
func (l *lookup) traceCache(key cacheKey, rep reply) {
	if !l.traced() {
		return
	}
	e := Event{Kind: EventCache, Name: key.name, Type: key.typ.String(), Addrs: rep.addrs, TTL: rep.ttl}
	switch {
	case rep.status == statusNXDomain:
		e.Note, e.TTL = "no such name", 0
	case rep.status == statusNoData:
		e.Note, e.TTL = "no such record", 0
	case rep.status != statusData:
		e.Note, e.TTL, e.Err = "failed a moment ago", 0, rep.failure.err
	}
	l.trace(e)
}

// traced reports whether anybody listens. The nil lookup is one that nobody
// listens to.
func (l *lookup) traced() bool { return l != nil && l.r.cfg.Trace != nil }
