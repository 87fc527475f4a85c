package dnsresolver

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
)

// tcpConnectTimeout bounds the handshake with a server. The whole conversation
// is bounded by the resolver's timeout, so a server that accepts and says
// nothing, or says it a byte at a time, costs no more than a silent one.
const tcpConnectTimeout = 3 * time.Second

// askTCP sends q over a connection of its own and waits for the reply (RFC 1035
// section 4.2.2, RFC 7766). Messages that are not the reply are skipped.
func (a *attempt) askTCP(ctx context.Context, q wire.Query) (*wire.Message, error) {
	packet, err := q.Pack()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, a.x.l.set.timeout, errTimeout)
	defer cancel()
	dialCtx, cancelDial := context.WithTimeoutCause(ctx, tcpConnectTimeout, errTimeout)
	defer cancelDial()
	begun := time.Now()
	conn, err := a.x.l.r.cfg.Transport.DialContext(dialCtx, "tcp", a.server.Addr.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	// Length and message in one write: some servers want them in one segment.
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(packet)), uint16(len(packet)))
	if _, err := conn.Write(append(framed, packet...)); err != nil {
		return nil, tcpError(ctx, err)
	}
	a.traceSend("tcp", q, len(packet))

	var buf bytes.Buffer
	for range maxRejects {
		if err := readFrame(conn, &buf); err != nil {
			return nil, tcpError(ctx, err)
		}
		msg, err := acceptTCP(q, buf.Bytes())
		if errors.Is(err, errReject) {
			a.traceReject("tcp", q, buf.Len(), err)
			continue
		}
		if a.x.l.overTCP(a.server) {
			a.server.sample(time.Since(begun))
		}
		a.traceReply("tcp", q, msg, buf.Len(), time.Since(begun), err)
		return msg, err
	}
	return nil, errForged
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

// tcpError says that time ran out where the connection was closed for that.
func tcpError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("connection closed without a reply: %w", io.ErrUnexpectedEOF)
	}
	return err
}
