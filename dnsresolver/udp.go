package dnsresolver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
)

const (
	// udpPayload is the reply size advertised with EDNS, in bytes: what fits an
	// Ethernet packet of IPv6 unfragmented (DNS flag day 2020).
	udpPayload = 1232
	// udpBuffer is the largest UDP reply that is read, in bytes. Servers that
	// exceed what was advertised are believed up to here; beyond it the reply
	// counts as truncated.
	udpBuffer = 4096
	// maxRejects is the number of messages that are not the reply, on one
	// query, after which somebody must be forging and TCP is used instead.
	maxRejects = 100
)

// Why a message is not the reply to a query. It is dropped and the wait goes
// on: whoever can make us stop waiting can keep the reply from us.
var (
	errReject   = errors.New("not the reply")
	errNotReply = fmt.Errorf("%w: a query", errReject)
	errOpcode   = fmt.Errorf("%w: wrong opcode", errReject)
	errID       = fmt.Errorf("%w: wrong ID", errReject)
	errCase     = fmt.Errorf("%w: the name in another case", errReject)
	errQuestion = fmt.Errorf("%w: another question", errReject)
)

// udpBuffers holds read buffers, one byte longer than what is read so that a
// longer datagram shows.
var udpBuffers = sync.Pool{New: func() any { return new([udpBuffer + 1]byte) }}

// askUDP sends q from a socket of its own and waits for the reply. It returns
// errTruncated when the reply says that it is, or is longer than we read, and
// errForged after too many messages that are no reply.
func (a *attempt) askUDP(ctx context.Context, q wire.Query) (*wire.Message, error) {
	packet, err := q.Pack()
	if err != nil {
		return nil, err
	}
	conn, err := a.x.l.r.cfg.Transport.DialContext(ctx, "udp", a.server.Addr.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	sent := time.Now()
	if _, err := conn.Write(packet); err != nil {
		return nil, err
	}
	a.traceSend("udp", q, len(packet))

	buf := udpBuffers.Get().(*[udpBuffer + 1]byte)
	defer udpBuffers.Put(buf)
	for range maxRejects {
		n, err := conn.Read(buf[:])
		if err != nil {
			return nil, err
		}
		msg, err := acceptUDP(q, buf[:n])
		if err == nil {
			err = a.server.checkCookie(q.Cookie, msg)
		}
		if errors.Is(err, errCase) || errors.Is(err, errCookie) || err == nil && msg.RCode == wire.BadCookie {
			a.traceReject("udp", q, n, err)
			return nil, errForged // over TCP it cannot be forged, and needs neither
		}
		if err != nil && !errors.Is(err, errTruncated) {
			a.traceReject("udp", q, n, err)
			continue
		}
		a.server.sample(time.Since(sent))
		a.traceReply("udp", q, msg, n, time.Since(sent), err)
		return msg, err
	}
	return nil, errForged
}

// acceptUDP is accept for a datagram, which may be cut off.
func acceptUDP(q wire.Query, b []byte) (*wire.Message, error) {
	h, err := acceptHead(q, b)
	if err != nil {
		return nil, err
	}
	// The records of a truncated reply are never used, so they are not read.
	if h.Truncated || len(b) > udpBuffer {
		return nil, errTruncated
	}
	return h.Parse(b)
}

// acceptHead reads the head of b and checks that it is that of the reply to q
// (RFC 5452 section 9.1).
func acceptHead(q wire.Query, b []byte) (wire.Head, error) {
	h, err := wire.ParseHead(b)
	switch {
	case err != nil:
		return h, err
	case h.ID != q.ID:
		return h, errID
	case !h.Response:
		return h, errNotReply
	case h.Opcode != 0:
		return h, errOpcode
	case h.Questions == 0 && headOnly(h, b):
		return h, nil
	case h.Questions != 1:
		return h, fmt.Errorf("%w: %d of them", errQuestion, h.Questions)
	case h.Question.Type != q.Type, h.Question.Class != wire.ClassIN,
		!wire.EqualNames(h.Question.Name, q.Name):
		return h, fmt.Errorf("%w: %s %s", errQuestion, h.Question.Type, h.Question.Name)
	case q.Exact && h.Question.Name != q.Name:
		return h, errCase
	}
	return h, nil
}

// headOnly reports whether b is a bare header that says no. Servers that refuse
// before they read the question send these.
func headOnly(h wire.Head, b []byte) bool {
	if len(b) != wire.HeaderLen {
		return false
	}
	return h.RCode == wire.ServFail || h.RCode == wire.NotImp || h.RCode == wire.Refused
}

func (a *attempt) traceSend(network string, q wire.Query, size int) {
	l := a.x.l
	if !l.traced() {
		return
	}
	e := Event{
		Kind: EventSend, Network: network, Server: a.server.Addr,
		Name: q.Name, Type: q.Type.String(), ID: q.ID, Bytes: size,
	}
	if q.UDPSize == 0 {
		e.Note = "no EDNS"
	}
	l.trace(e)
}

func (a *attempt) traceReply(network string, q wire.Query, msg *wire.Message, size int, rtt time.Duration, err error) {
	l := a.x.l
	if !l.traced() {
		return
	}
	e := Event{
		Kind: EventReply, Network: network, Server: a.server.Addr,
		Name: q.Name, Type: q.Type.String(), ID: q.ID, Bytes: size, RTT: rtt, Err: err,
	}
	if msg != nil {
		e.RCode, e.Records = msg.RCode.String(), len(msg.Answer)
	}
	l.trace(e)
}

func (a *attempt) traceReject(network string, q wire.Query, size int, err error) {
	a.x.l.trace(Event{
		Kind: EventReject, Network: network, Server: a.server.Addr,
		Name: q.Name, Type: q.Type.String(), ID: q.ID, Bytes: size, Err: err,
	})
}
