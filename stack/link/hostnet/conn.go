package hostnet

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// endpoint is netstack's TCP endpoint.
type endpoint = tcpip.Endpoint

// A conn is a connection of the stack and its other half, the machine's. One
// goroutine moves bytes outward, from the stack to the network, and one inward:
//
//	          FIN                 CloseWrite
//	stack ──────────► outward() ─────────────► network
//	        Shutdown                 EOF
//	stack ◄────────── inward()  ◄───────────── network
//
// A reset on one side becomes one on the other. Each waits where its reader
// waits, with at most one buffer of its own, so that a slow reader slows the
// writer on the other side down and nothing grows.
type conn struct {
	c     *connector
	ep    endpoint
	queue *waiter.Queue
	outer *net.TCPConn

	failed atomic.Bool // one side was reset, and so the other
	broken atomic.Bool // the network takes no more bytes; what it sent is still delivered
	ended  atomic.Int32

	inDone, outDone chan struct{} // closed by each direction when it has moved its last byte
}

// fail resets both sides.
func (cn *conn) fail() {
	if cn.failed.Swap(true) {
		return
	}
	cn.c.u.stats.resets.Add(1)
	reset(cn.outer)
	cn.ep.Abort()
}

// leave ends the connection because the uplink ends. What the stack has sent up
// to its FIN is the kernel's, which goes on sending it; otherwise both sides are
// reset.
func (cn *conn) leave() {
	if !isClosed(cn.outDone) {
		cn.fail()
		return
	}
	if cn.failed.Swap(true) {
		return
	}
	cn.outer.Close()
	cn.ep.Abort()
}

// end is called by each direction when it has ended; the second cleans up.
func (cn *conn) end() {
	if cn.ended.Add(1) < 2 {
		return
	}
	cn.outer.Close()
	cn.ep.Close()
	cn.c.remove(cn)
}

func (c *connector) remove(cn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.conns, cn)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// outward is the goroutine that moves bytes from the stack to the network.
func (cn *conn) outward() {
	defer cn.end()
	entry, ready := waiter.NewChannelEntry(waiter.ReadableEvents | waiter.EventHUp | waiter.EventErr)
	cn.queue.EventRegister(&entry)
	defer cn.queue.EventUnregister(&entry)
	ended := waiter.NewFunctionEntry(waiter.EventHUp|waiter.EventErr, cn.innerEnded)
	cn.queue.EventRegister(&ended)
	defer cn.queue.EventUnregister(&ended)
	whole := cn.pumpOut(ready)
	close(cn.outDone)
	if isClosed(cn.inDone) {
		cn.outer.SetReadDeadline(longAgo) // ends watchOuter
	}
	if whole {
		cn.watchInner(ready)
	}
}

// resetGrace is how long the network may take to accept what the stack had sent
// before its reset.
const resetGrace = time.Second

// innerEnded gives outward a deadline when the stack has reset the connection: it
// may be waiting for a peer that does not read. Netstack calls it, with the
// endpoint locked.
func (cn *conn) innerEnded(waiter.EventMask) {
	if tcp.EndpointState(cn.ep.State()) == tcp.StateError {
		cn.outer.SetWriteDeadline(time.Now().Add(resetGrace))
	}
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// pumpOut moves bytes until the stack's FIN, which it passes on, and reports
// whether it came to that.
func (cn *conn) pumpOut(ready <-chan struct{}) bool {
	for {
		switch err := cn.moveOut(); err.(type) {
		case nil: // the network takes no more
			return false
		case *tcpip.ErrWouldBlock:
			select {
			case <-ready:
			case <-cn.c.u.ctx.Done():
				cn.fail()
				return false
			}
		case *tcpip.ErrClosedForReceive:
			return cn.outer.CloseWrite() == nil
		default:
			cn.fail()
			return false
		}
	}
}

// moveOut takes what the stack has sent and writes it to the network, until there
// is no more or, with a nil error, the network takes no more.
func (cn *conn) moveOut() tcpip.Error {
	b := largeBuffers.get()
	defer largeBuffers.put(b)
	for {
		w := tcpip.SliceWriter(*b)
		res, err := cn.ep.Read(&w, tcpip.ReadOptions{})
		if err != nil {
			return err
		}
		cn.c.u.stats.bytesOut.Add(uint64(res.Count))
		if _, err := cn.outer.Write((*b)[:res.Count]); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				cn.fail()
			} else {
				cn.breakOff()
			}
			return nil
		}
	}
}

// breakOff notes that the network takes no more. What it sent before may still
// wait, such as the answer to a request that it did not want to read whole:
// inward delivers that, and then the reset.
func (cn *conn) breakOff() {
	cn.broken.Store(true)
	if isClosed(cn.inDone) { // it has already
		cn.fail()
	}
}

// watchInner waits for the end of a connection whose stack has sent its FIN: a
// reset may still come.
func (cn *conn) watchInner(ready <-chan struct{}) {
	for {
		select {
		case <-ready:
		case <-cn.inDone:
			return
		case <-cn.c.u.ctx.Done():
			cn.leave()
			return
		}
		_, err := cn.ep.Read(io.Discard, tcpip.ReadOptions{})
		if _, ok := err.(*tcpip.ErrClosedForReceive); !ok {
			cn.fail()
			return
		}
	}
}

// inward is the goroutine that moves bytes from the network to the stack.
func (cn *conn) inward() {
	defer cn.end()
	whole := cn.pumpIn()
	close(cn.inDone)
	if whole && !isClosed(cn.outDone) {
		cn.watchOuter()
	}
}

// pumpIn moves bytes until the network's FIN, which it passes on, and reports
// whether it came to that.
func (cn *conn) pumpIn() bool {
	entry, ready := waiter.NewChannelEntry(waiter.WritableEvents | waiter.EventHUp | waiter.EventErr)
	cn.queue.EventRegister(&entry)
	defer cn.queue.EventUnregister(&entry)
	var payload bytes.Reader
	for size := 0; ; {
		pool := sizes[size]
		b := pool.get()
		n, err := cn.outer.Read(*b)
		if n > 0 {
			cn.c.u.stats.bytesIn.Add(uint64(n))
			payload.Reset((*b)[:n])
			if !cn.writeIn(&payload, ready) {
				err = io.ErrClosedPipe
			}
		}
		size = nextSize(size, n, len(*b))
		pool.put(b)
		switch {
		case err == nil:
		case errors.Is(err, io.EOF) && !cn.broken.Load():
			cn.ep.Shutdown(tcpip.ShutdownWrite) // fails only where a reset has come
			return true
		default:
			cn.fail()
			return false
		}
	}
}

// writeIn hands bytes to the stack, waiting while its window is closed. It
// reports false when the stack takes no more.
func (cn *conn) writeIn(payload *bytes.Reader, ready <-chan struct{}) bool {
	for payload.Len() > 0 {
		_, err := cn.ep.Write(payload, tcpip.WriteOptions{})
		switch err.(type) {
		case nil:
		case *tcpip.ErrWouldBlock:
			select {
			case <-ready:
			case <-cn.c.u.ctx.Done():
				return false
			}
		default:
			return false
		}
	}
	return true
}
