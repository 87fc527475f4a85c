package dnsresolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// The caller's deadline and cancellation end a lookup at once and free its
// sockets.
func TestContextEndsLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", silent)}})

		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := r.LookupNetIP(ctx, "ip", "a4.test")
		wantCode(t, err, EAI_AGAIN)
		if !errors.Is(err, context.DeadlineExceeded) || !err.(*Error).Timeout() {
			t.Errorf("after the caller's deadline: %v", err)
		}
		about(t, "caller's deadline", time.Since(start), 300*time.Millisecond)

		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(200*time.Millisecond, cancel)
		_, err = r.LookupNetIP(ctx, "ip", "a4.test")
		wantCode(t, err, EAI_CANCELED)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("after cancel: %v", err)
		}
		synctest.Wait()
		if c := n.connections(); c != 0 {
			t.Errorf("%d connections left", c)
		}
		_, err = r.LookupNetIP(ctx, "ip", "a4.test")
		wantCode(t, err, EAI_CANCELED)
	})
}

// Close ends the lookups that are running, and later ones fail.
func TestCloseEndsLookups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", silent)}})
		errs := make(chan error, 100)
		for range cap(errs) {
			go func() {
				_, err := r.LookupNetIP(context.Background(), "ip", "a4.test")
				errs <- err
			}()
		}
		synctest.Wait()
		start := time.Now()
		r.Close()
		for range cap(errs) {
			if err := <-errs; !errors.Is(err, net.ErrClosed) {
				t.Fatalf("error %v, want net.ErrClosed", err)
			}
		}
		about(t, "Close", time.Since(start), 0)
		if c := n.connections(); c != 0 {
			t.Errorf("%d connections left", c)
		}
		for _, host := range []string{"a4.test", "192.0.2.1"} {
			if _, err := r.LookupNetIP(context.Background(), "ip", host); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s after Close: %v", host, err)
			}
		}
	})
}

// A lookup of both families over silent servers has at most two goroutines for
// each server and two more.
func TestGoroutineBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		var list []Server
		for i := range maxServers {
			list = append(list, n.add(fmt.Sprintf("192.0.2.%d", i+1), silent))
		}
		r := n.resolver(Config{Servers: list, Attempts: 5})
		before := runtime.NumGoroutine()
		go timed(r, "a4.test", AF_UNSPEC)
		most := 0
		for range 50 {
			pass(500 * time.Millisecond)
			synctest.Wait()
			most = max(most, runtime.NumGoroutine()-before-1) // without the caller
		}
		if most > 2*maxServers+2 || most < maxServers {
			t.Errorf("%d goroutines, want at most %d", most, 2*maxServers+2)
		}
		pass(time.Minute)
	})
}
