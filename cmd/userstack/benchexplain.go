package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// benchExplain is "bench --explain": transfers over the network that the flags describe, and what held them back.
type benchExplain struct {
	to   string        // a server that reads or writes; "" for one of our own at the far end
	time time.Duration // of a transfer
}

const benchExplainManual = `
--explain compares nothing: it moves data over the network that --link, --mtu and
--impair describe, for --time in each direction, and says what held it back: the
application, a receive window, the congestion window, retransmissions (and how many
were needless), a processor's time, missing offload, the MTU. On the links "demo"
and "netns" the far end is the demo's; elsewhere --to HOST:PORT names a server, to
which data is sent while all that it sends is read.`

// run makes the transfers and prints what came of them.
func (b *benchExplain) run(ctx context.Context, n *network, out io.Writer) error {
	if b.to != "" {
		c, err := n.host.DialContext(ctx, "tcp", b.to)
		if err != nil {
			return err
		}
		return b.transfer(ctx, out, "sending and receiving", &transfer{near: c, out: true, in: true})
	}
	if n.servers == nil {
		return usagef("there is no server at the far end of this link: name one with --to HOST:PORT")
	}
	for _, d := range []struct {
		name    string
		out, in bool
	}{{"sending", true, false}, {"receiving", false, true}} {
		near, far, err := n.connectFar(ctx)
		if err != nil {
			return err
		}
		if err := b.transfer(ctx, out, d.name, &transfer{near: near, far: far, out: d.out, in: d.in}); err != nil {
			return err
		}
	}
	return nil
}

// connectFar returns both ends of a connection to the demo's network.
func (n *network) connectFar(ctx context.Context) (near, far net.Conn, err error) {
	ln, err := n.servers.place.listen("tcp", netip.AddrPortFrom(farAddrs[0].Addr(), 0).String())
	if err != nil {
		return nil, nil, err
	}
	defer ln.Close()
	accepted := make(chan net.Conn, 1)
	go func() { // ends with ln at the latest
		defer close(accepted)
		if c, err := ln.Accept(); err == nil {
			accepted <- c
		}
	}()
	if near, err = n.host.DialContext(ctx, "tcp", ln.Addr().String()); err != nil {
		return nil, nil, err
	}
	select {
	case far = <-accepted:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if far == nil {
		return nil, nil, errors.Join(errors.New("the far end does not accept"), err, near.Close())
	}
	return near, far, nil
}

// transfer is a connection and who writes and reads at its ends.
type transfer struct {
	near, far net.Conn // far is nil for a server that is not ours
	out, in   bool
}

// transfer moves data for a while and prints what held it back. It closes the ends.
func (b *benchExplain) transfer(ctx context.Context, out io.Writer, name string, t *transfer) error {
	var moving sync.WaitGroup
	defer moving.Wait()
	defer t.close()
	w, err := t.near.(*sockets.Conn).Watch()
	if err != nil {
		return err
	}
	defer w.Close()
	ended := t.start(&moving)
	enough := time.NewTimer(b.time)
	defer enough.Stop()
	select {
	case <-enough.C:
	case <-ended: // the server has had enough
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err = fmt.Fprintf(out, "%s, %s to %s:\n%v\n", name, t.near.LocalAddr(), t.near.RemoteAddr(), w.Explain())
	return err
}

func (t *transfer) close() {
	t.near.Close()
	if t.far != nil {
		t.far.Close()
	}
}

// start has data move until the connection is closed. The channel is closed when the near end cannot go on.
func (t *transfer) start(moving *sync.WaitGroup) (ended chan struct{}) {
	ended = make(chan struct{})
	end := sync.OnceFunc(func() { close(ended) })
	run := func(f func(net.Conn), c net.Conn) {
		if c != nil {
			moving.Go(func() { f(c) })
		}
	}
	if t.out {
		run(func(c net.Conn) { writeOn(c); end() }, t.near)
		run(readOn, t.far)
	}
	if t.in {
		run(func(c net.Conn) { readOn(c); end() }, t.near)
		run(writeOn, t.far)
	}
	return ended
}

// explainChunk is how much is written and read at once, in bytes.
const explainChunk = 128 << 10

// writeOn writes until the connection ends, and readOn reads.
func writeOn(c net.Conn) {
	buf := make([]byte, explainChunk)
	for {
		if _, err := c.Write(buf); err != nil {
			return
		}
	}
}

func readOn(c net.Conn) {
	buf := make([]byte, explainChunk)
	for {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}
