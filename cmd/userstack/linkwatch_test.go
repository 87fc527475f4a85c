package main

import (
	"io"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// flakyLink is a link whose state the test sets.
type flakyLink struct {
	mu      sync.Mutex
	err     error // guarded by mu
	changed chan struct{}
}

func (l *flakyLink) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *flakyLink) set(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *flakyLink) ErrChanged() <-chan struct{} { return l.changed }

// said is what was written, a write each.
type said chan string

func (s said) Write(b []byte) (int, error) {
	s <- string(b)
	return len(b), nil
}

// TestLinkWatch has a link fail, fail on, recover, and flap.
func TestLinkWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &flakyLink{changed: make(chan struct{}, 1)}
		log := make(said, 10)
		w := watchLink(l, "us0", log)
		set := func(err error) {
			l.set(err)
			select {
			case l.changed <- struct{}{}:
			default:
			}
			synctest.Wait()
		}
		expect := func(want string) {
			t.Helper()
			got := ""
			for len(log) > 0 {
				got += <-log
			}
			if got != want {
				t.Errorf("said %q, want %q", got, want)
			}
		}
		set(syscall.EIO)
		expect("userstack: link us0 fails: input/output error\n")
		for range 1000 { // it flaps, and is spoken of a second later, as it is then
			set(nil)
			set(syscall.EIO)
		}
		set(nil)
		expect("")
		<-time.After(2 * reportPause)
		synctest.Wait()
		expect("userstack: link us0 works again\n")
		w.Close()
		watchLink(nil, "demo", io.Discard).Close()
	})
}
