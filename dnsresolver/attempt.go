package dnsresolver

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
)

// verdict is what a server's reply, or the lack of one, means for the exchange.
type verdict int

const (
	verdictAnswer      verdict = iota // NOERROR or NXDOMAIN: final
	verdictRefused                    // SERVFAIL, REFUSED, NOTIMP, lame: ask another
	verdictMalformed                  // FORMERR, BADVERS, nonsense: ask another
	verdictUnreachable                // no connection: ask another
)

// eventKind is what an attempt tells its exchange.
type eventKind int

const (
	eventAnswer eventKind = iota
	eventFailed
	eventTCP   // goes on over TCP
	eventPlain // goes on without EDNS
)

type event struct {
	kind    eventKind
	from    *attempt
	answer  walked  // eventAnswer
	verdict verdict // eventFailed
	err     error   // eventFailed
}

// attempt is one conversation with one server about one question: a UDP query,
// a second one without EDNS where the server chokes on it, TCP where the answer
// does not fit. It runs in a goroutine of its own, begun by exchange.begin,
// which ends with the exchange at the latest.
type attempt struct {
	x      *exchange
	server *server
	cancel context.CancelFunc
	begun  time.Time
	tcp    bool // owned by the exchange
}

var (
	errLame      = errors.New("lame server: no answer and no recursion")
	errTruncated = errors.New("truncated reply")
	errForged    = errors.New("too many messages that are no replies")
	errBudget    = errors.New("too many packets for one question")
)

// rcodeError is a reply with a response code that is no answer.
type rcodeError wire.RCode

func (e rcodeError) Error() string { return "server replied " + wire.RCode(e).String() }

// run holds the conversation and reports how it ended. payload is the reply size
// to advertise with EDNS in bytes; 0 asks without EDNS.
func (a *attempt) run(ctx context.Context, payload uint16) {
	select {
	case a.server.slots <- struct{}{}:
		defer func() { <-a.server.slots }()
	case <-ctx.Done():
		return
	}
	answer, v, err := a.converse(ctx, payload)
	if ctx.Err() != nil {
		return // nobody waits for it
	}
	if v == verdictAnswer {
		a.server.healthy()
		a.x.events <- event{kind: eventAnswer, from: a, answer: answer}
		return
	}
	if v != verdictMalformed {
		a.server.failed(time.Now())
	}
	a.x.l.trace(Event{
		Kind: EventFail, Network: a.network(), Server: a.server.Addr,
		Name: a.x.q.name, Type: a.x.q.typ.String(), Err: err,
	})
	a.x.events <- event{kind: eventFailed, from: a, verdict: v, err: err}
}

// converse asks, once more without EDNS if that was the trouble.
func (a *attempt) converse(ctx context.Context, payload uint16) (walked, verdict, error) {
	answer, v, err := a.askOnce(ctx, payload)
	if !errors.Is(err, errEDNS) {
		return answer, v, err
	}
	if !a.goOn(eventPlain) {
		return walked{}, v, err
	}
	answer, v, err = a.askOnce(ctx, 0)
	if v == verdictAnswer {
		a.server.withoutEDNS(time.Now())
	}
	return answer, v, err
}

// errEDNS marks a failure that may be due to the OPT record.
var errEDNS = errors.New("EDNS may not be understood")

// askOnce sends one query and judges the reply.
func (a *attempt) askOnce(ctx context.Context, payload uint16) (walked, verdict, error) {
	msg, err := a.ask(ctx, payload)
	switch {
	case errors.Is(err, wire.ErrMalformed):
		return walked{}, verdictMalformed, err
	case errors.Is(err, errTruncated): // over TCP, too
		return walked{}, verdictRefused, err
	case err != nil:
		return walked{}, verdictUnreachable, err
	}
	answer, v, err := judge(msg, a.x.q)
	if payload != 0 && suspectEDNS(msg) {
		err = fmt.Errorf("%w (%w)", err, errEDNS)
	}
	return answer, v, err
}

// suspectEDNS reports whether a reply to a query with EDNS looks like that of a
// server which does not know it (RFC 6891 section 7).
func suspectEDNS(msg *wire.Message) bool {
	switch msg.RCode {
	case wire.FormErr, wire.BadVers:
		return true
	case wire.ServFail, wire.NotImp:
		return !msg.EDNS
	}
	return false
}

// ask sends one query over UDP, and over TCP when the reply says that it is
// truncated or when so many forged ones came that UDP cannot be trusted.
func (a *attempt) ask(ctx context.Context, payload uint16) (*wire.Message, error) {
	q := wire.Query{
		ID:      randomID(),
		Name:    a.x.q.name,
		Type:    a.x.q.typ,
		AD:      a.x.l.set.options.TrustAD,
		UDPSize: payload,
	}
	if a.server.Proto.secure() {
		q.Pad = padBlock
	}
	switch {
	case a.server.Proto == ProtoHTTPS:
		return a.askHTTPS(ctx, q)
	case a.x.l.overTCP(a.server):
		return a.askTCP(ctx, q)
	}
	if o := &a.x.l.set.options; o.Cookies && payload != 0 {
		q.Cookie = a.x.l.r.cookieFor(a.server)
	}
	if a.x.l.set.options.Mixed0x20 {
		q.Name, q.Exact = mixCase(q.Name), true
	}
	msg, err := a.askUDP(ctx, q)
	if !errors.Is(err, errTruncated) && !errors.Is(err, errForged) {
		return msg, err
	}
	q.Name, q.Exact, q.Cookie = a.x.q.name, false, nil
	if !a.goOn(eventTCP) {
		return nil, errBudget
	}
	q.ID = randomID()
	return a.askTCP(ctx, q)
}

// goOn takes another packet from the exchange's budget and tells it what for.
func (a *attempt) goOn(why eventKind) bool {
	if a.x.packets.Add(-1) < 0 {
		return false
	}
	a.x.events <- event{kind: why, from: a}
	return true
}

// overTCP reports whether s is only ever asked over TCP.
func (l *lookup) overTCP(s *server) bool { return s.Proto != ProtoUDP || l.set.options.UseVC }

func (a *attempt) network() string {
	if a.server.Proto == ProtoUDP && a.x.l.overTCP(a.server) {
		return "tcp"
	}
	return a.server.Proto.String()
}

// judge says what an accepted reply to q is worth.
func judge(msg *wire.Message, q question) (walked, verdict, error) {
	switch msg.RCode {
	case wire.NoError, wire.NXDomain:
	case wire.FormErr, wire.BadVers:
		return walked{}, verdictMalformed, rcodeError(msg.RCode)
	default:
		return walked{}, verdictRefused, rcodeError(msg.RCode)
	}
	w, err := walk(msg, q)
	switch {
	case err != nil:
		return walked{}, verdictMalformed, err
	case lame(msg, w):
		return walked{}, verdictRefused, errLame
	}
	return w, verdictAnswer, nil
}

// lame reports whether a reply is that of a server which neither knows the
// answer nor would look for it: a referral, or nothing at all.
func lame(msg *wire.Message, w walked) bool {
	return msg.RCode == wire.NoError && len(msg.Answer) == 0 && !w.soa &&
		!msg.Authoritative && !msg.RecursionAvailable
}

// mixCase returns name with the case of each letter at random: what a forger has
// to guess beside the ID and the port (draft-vixie-dnsext-dns0x20).
func mixCase(name string) string {
	b := []byte(name)
	coins := make([]byte, len(b))
	rand.Read(coins) // never fails
	for i, c := range b {
		if letter := c | 0x20; 'a' <= letter && letter <= 'z' && coins[i]&1 != 0 {
			b[i] = c ^ 0x20
		}
	}
	return string(b)
}

// randomID returns an ID that nobody can guess (RFC 5452 section 9.2).
func randomID() uint16 {
	var b [2]byte
	rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint16(b[:])
}
