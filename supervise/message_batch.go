//go:build linux && (amd64 || arm64)

package supervise

import (
	"context"
	"encoding/binary"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
)

// A batch does a transfer for each of the messages of recvmmsg(2) or sendmmsg(2).
// That is so rare on TCP that it need not be quick.
type batch struct {
	c       *call
	st      *stream
	flags   int
	events  uint32 // to wait for
	option  int    // that limits the waiting
	until   time.Time
	patient bool
	do      func(*transfer) error
}

// receiveStreams is recvmmsg(2) on TCP.
func (c *call) receiveStreams() (int64, error) {
	until, err := c.until(c.arg(4))
	if err != nil {
		return 0, err
	}
	b := &batch{c: c, events: unix.EPOLLIN | unix.EPOLLRDHUP, option: unix.SO_RCVTIMEO, until: until, do: (*transfer).receive}
	return b.run()
}

// sendStreams is sendmmsg(2) on TCP.
func (c *call) sendStreams() (int64, error) {
	b := &batch{c: c, events: unix.EPOLLOUT, option: unix.SO_SNDTIMEO, do: func(t *transfer) error {
		if err := c.checkParts(t.st, t.p); err != nil {
			return err
		}
		return t.send()
	}}
	return b.run()
}

func (b *batch) run() (_ int64, err error) {
	c := b.c
	if b.st = c.stream(); b.st == nil {
		return 0, errNative
	}
	if b.flags, err = messageFlags(c.arg(3)); err != nil {
		return 0, err
	}
	places, err := c.headers(c.arg(1), c.arg(2))
	if err != nil || len(places) == 0 {
		return 0, err
	}
	if b.st.unconnected() {
		return b.unconnected()
	}
	b.patient = b.flags&unix.MSG_DONTWAIT == 0 && !c.nonblocking()
	return c.wait(func(ctx context.Context) (int64, error) {
		done, err := b.all(ctx, places)
		if done > 0 {
			c.putLeft(b.until)
		}
		return partly(done, err)
	})
}

// all does the transfers and returns how many it has done.
func (b *batch) all(ctx context.Context, places []*place) (done int, err error) {
	bound, cancel, ended := b.c.bounded(ctx, b.option)
	defer cancel()
	for _, p := range places {
		t := &transfer{c: b.c, st: b.st, p: p, flags: b.flags}
		err := b.do(t)
		for err == syscall.EAGAIN && b.patient && t.done == 0 {
			if b.c.s.exchange.await(bound, b.c.s, b.c.dup, b.events) != nil {
				return done, ended()
			}
			err = b.do(t)
		}
		if _, err := t.result(err); err != nil {
			return done, err
		}
		if err := b.c.write(p.transfer, binary.NativeEndian.AppendUint32(nil, uint32(t.done))); err != nil {
			return done, err
		}
		done++
		b.patient = b.patient && b.flags&unix.MSG_WAITFORONE == 0
		if !b.until.IsZero() && time.Now().After(b.until) {
			break
		}
	}
	return done, nil
}

// unconnected is what a batch gives without a connection.
func (b *batch) unconnected() (int64, error) {
	if b.option == unix.SO_SNDTIMEO {
		return 0, b.c.unsendable(b.flags)
	}
	var p [1]byte
	_, err := b.st.sock.RecvInto(p[:], sockets.MSG_DONTWAIT)
	return 0, err
}
