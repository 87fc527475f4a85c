package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// lingerPatience is how long nc waits at the end until the peer has everything, in seconds: struct linger (socket(7)).
const lingerPatience = 10

// Sizes of reads in bytes. A read of standard input becomes one datagram; 16 KiB at most, as with OpenBSD's nc.
const (
	streamSize   = 64 << 10
	datagramSize = 16 << 10
)

// errIdle is the cause of an end for want of activity, which is no failure.
var errIdle = errors.New("nothing happened for the time of -w")

// talk copies between the connection, which it closes, and standard input and output.
func (n *netcat) talk(ctx context.Context, c net.Conn) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	active := n.watchIdle(cancel)
	unblock := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) }) // long past: ends reads and writes
	defer unblock()

	var pumps sync.WaitGroup // both end with ctx at the latest
	sent, got := make(chan error, 1), make(chan error, 1)
	pumps.Go(func() { sent <- n.send(ctx, c, active) })
	pumps.Go(func() { got <- n.receive(c, active) })
	err := n.wait(ctx, sent, got)
	var closeErr error
	if err == nil {
		closeErr = closeGently(c)
	}
	cause := context.Cause(ctx)
	cancel(nil)
	pumps.Wait()
	if err == nil {
		return closeErr
	}
	c.Close()
	switch {
	case cause == errIdle:
		return nil
	case cause != nil:
		return cause
	}
	return err
}

// wait returns when the conversation is over: both directions have ended, one has failed, or nobody is left to listen.
func (n *netcat) wait(ctx context.Context, sent, got <-chan error) error {
	for sent != nil || got != nil {
		select {
		case err := <-sent:
			if err != nil {
				return err
			}
			sent = nil
		case err := <-got:
			if err != nil || n.keep || isTerminal(n.in) {
				return err
			}
			got = nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// send sends standard input.
func (n *netcat) send(ctx context.Context, c net.Conn, active func()) error {
	for {
		select {
		case chunk, ok := <-n.input():
			if !ok {
				return n.endOfInput(c)
			}
			active()
			if _, err := c.Write(chunk); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// endOfInput tells the peer, if -N asks for that.
func (n *netcat) endOfInput(c net.Conn) error {
	if n.inputErr != nil {
		return n.inputErr
	}
	w, ok := c.(interface{ CloseWrite() error })
	if !n.shutdown || n.udp || !ok {
		return nil
	}
	return w.CloseWrite()
}

// receive writes what the peer sends to standard output.
func (n *netcat) receive(c net.Conn, active func()) error {
	buf := make([]byte, streamSize)
	for {
		k, err := c.Read(buf)
		if k > 0 {
			active()
			if _, err := n.out.Write(buf[:k]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// input returns the pieces of standard input; a piece holds until the next is taken. At the end the channel is closed
// and inputErr says why. A read of standard input cannot be interrupted, so one goroutine serves all peers of -k and ends
// with the input, or with the process.
func (n *netcat) input() <-chan []byte {
	n.readInput.Do(func() {
		size := streamSize
		if n.udp {
			size = datagramSize
		}
		n.chunks = make(chan []byte)
		go n.readAll(make([]byte, size), make([]byte, size))
	})
	return n.chunks
}

// readAll reads standard input into two buffers in turn: one is being sent while the other is filled.
func (n *netcat) readAll(buf, other []byte) {
	defer close(n.chunks)
	for {
		k, err := n.in.Read(buf)
		if k > 0 {
			n.chunks <- buf[:k]
			buf, other = other, buf
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				n.inputErr = err
			}
			return
		}
	}
}

// watchIdle cancels when the returned function has not been called for the time of -w.
func (n *netcat) watchIdle(cancel context.CancelCauseFunc) (active func()) {
	if n.patience == 0 {
		return func() {}
	}
	timer := time.AfterFunc(n.patience, func() { cancel(errIdle) })
	return func() { timer.Reset(n.patience) }
}

// closeGently closes a connection when the peer has acknowledged everything.
func closeGently(c net.Conn) error {
	if s, ok := c.(*sockets.Conn); ok && s.Socket().Type() == sockets.SOCK_STREAM {
		linger := []byte{1, 0, 0, 0, lingerPatience, 0, 0, 0}
		if err := s.Socket().SetSockOpt(sockets.SOL_SOCKET, sockets.SO_LINGER, linger); err != nil {
			return errors.Join(err, c.Close())
		}
	}
	return c.Close()
}
