package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http/httptrace"
	"sync"

	"github.com/userstack/userstack/stack/sockets"
)

// requestWatch watches the connection of a request, the last one if there are several.
type requestWatch struct {
	mu    sync.Mutex
	watch *sockets.Watch // nil until there is a connection
}

// trace has the connections of requests with the context watched.
func (r *requestWatch) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		c := info.Conn
		if secure, ok := c.(*tls.Conn); ok {
			c = secure.NetConn()
		}
		ours, ok := c.(*sockets.Conn)
		if !ok {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if w, err := ours.Watch(); err == nil { // not if it is the same connection again
			r.closeLocked()
			r.watch = w
		}
	}})
}

func (r *requestWatch) closeLocked() {
	if r.watch != nil {
		r.watch.Close()
	}
}

// print says what held the request back, and ends the watch.
func (r *requestWatch) print(out io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watch != nil {
		fmt.Fprint(out, r.watch.Explain())
		r.closeLocked()
	}
}
