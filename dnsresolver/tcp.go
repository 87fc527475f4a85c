package dnsresolver

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
)

// tcpConnectTimeout bounds the handshake with a server. The whole conversation
// is bounded by the resolver's timeout, so a server that accepts and says
// nothing, or says it a byte at a time, costs no more than a silent one.
const tcpConnectTimeout = 3 * time.Second

// askTCP sends q over a connection to the server, one that is open if there is
// (RFC 7766). A connection that was open before may have been ended by the server
// meanwhile; then a new one gets the query, and nobody is told.
func (a *attempt) askTCP(ctx context.Context, q wire.Query) (*wire.Message, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, a.x.l.set.timeout, errTimeout)
	defer cancel()
	begun := time.Now()
	for {
		st, fresh, err := a.stream(ctx)
		if err != nil {
			return nil, err
		}
		msg, err := a.askStream(ctx, st, q, begun)
		if fresh || !errors.Is(err, errStreamGone) {
			return msg, err
		}
	}
}

// stream returns a connection to the server, and whether this query made it. One
// that somebody else is making is waited for: queries that come together share a
// connection, as a server may talk to one at a time.
func (a *attempt) stream(ctx context.Context) (st *stream, fresh bool, err error) {
	for {
		st, o, first := a.server.streams.pick()
		switch {
		case st != nil:
			return st, false, nil
		case first:
			st, err := a.openStream(ctx)
			o.abandoned = ctx.Err() != nil
			a.server.streams.opened(o, st, err)
			return st, true, err
		}
		select {
		case <-o.done:
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
		if o.err != nil && !o.abandoned {
			return nil, false, o.err
		}
	}
}

// errStreamGone marks the end of a connection before it replied to a query.
var errStreamGone = errors.New("connection closed without a reply")

// openStream makes a new connection to the server.
func (a *attempt) openStream(ctx context.Context) (*stream, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, tcpConnectTimeout, errTimeout)
	defer cancel()
	r := a.x.l.r
	conn, err := r.cfg.Transport.DialContext(ctx, "tcp", a.server.Addr.String())
	if err != nil {
		return nil, err
	}
	if a.server.Proto == ProtoTLS {
		if conn, err = a.handshake(ctx, conn); err != nil {
			return nil, streamError(ctx, err)
		}
	}
	st := newStream(conn)
	stop := context.AfterFunc(r.closing, func() { st.end(net.ErrClosed) })
	r.running.Go(func() {
		defer stop()
		st.read()
	})
	return st, nil
}

// askStream sends q over st and waits for the reply. Messages that are not the
// reply are skipped.
func (a *attempt) askStream(ctx context.Context, st *stream, q wire.Query, begun time.Time) (*wire.Message, error) {
	id, replies := st.join()
	if replies == nil {
		return nil, errStreamGone
	}
	defer st.leave(id)
	q.ID = id
	packet, err := q.Pack()
	if err != nil {
		return nil, err
	}
	// Length and message in one write: some servers want them in one segment.
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(packet)), uint16(len(packet)))
	if err := st.write(ctx, append(framed, packet...)); err != nil {
		return nil, streamError(ctx, err)
	}
	network := a.streamNetwork()
	a.traceSend(network, q, len(packet))
	for range maxRejects {
		var b []byte
		select {
		case b = <-replies:
		case <-st.gone:
			return nil, streamError(ctx, st.ended)
		case <-ctx.Done():
			if err := context.Cause(ctx); err == errTimeout {
				st.end(err) // mute, or too slow for anybody else
			}
			return nil, context.Cause(ctx)
		}
		msg, err := acceptTCP(q, b)
		if errors.Is(err, errReject) {
			a.traceReject(network, q, len(b), err)
			continue
		}
		if a.x.l.overTCP(a.server) {
			a.server.sample(time.Since(begun))
		}
		a.traceReply(network, q, msg, len(b), time.Since(begun), err)
		return msg, err
	}
	return nil, errForged
}

// streamNetwork is what a query over a stream is said to go over.
func (a *attempt) streamNetwork() string {
	if a.server.Proto == ProtoTLS {
		return ProtoTLS.String()
	}
	return ProtoTCP.String()
}

// acceptTCP is accept for a message from a stream, which is never cut off.
func acceptTCP(q wire.Query, b []byte) (*wire.Message, error) {
	h, err := acceptHead(q, b)
	if err != nil {
		return nil, err
	}
	if h.Truncated {
		return nil, errTruncated
	}
	return h.Parse(b)
}

// readFrame reads one message into buf. Memory grows with the bytes that come,
// not with the length that was promised. An empty message is nonsense.
func readFrame(r io.Reader, buf *bytes.Buffer) error {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return err
	}
	want := int64(binary.BigEndian.Uint16(length[:]))
	if want == 0 {
		return fmt.Errorf("%w: empty", wire.ErrMalformed)
	}
	buf.Reset()
	n, err := buf.ReadFrom(io.LimitReader(r, want))
	if err == nil && n < want {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// streamError says that time ran out where the connection was closed for that.
func streamError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, wire.ErrMalformed), errors.Is(err, errForged), errors.Is(err, net.ErrClosed):
		return err
	}
	return fmt.Errorf("%w: %w", errStreamGone, err)
}
