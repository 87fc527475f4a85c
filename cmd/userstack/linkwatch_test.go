package main

import (
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// flakyLink is a link whose state the test sets.
type flakyLink struct {
	err     error
	changed chan struct{}
}

func (l *flakyLink) Err() error                  { return l.err }
func (l *flakyLink) ErrChanged() <-chan struct{} { return l.changed }

// TestLinkWatch has a link fail, fail on, recover, and flap.
func TestLinkWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &flakyLink{changed: make(chan struct{}, 1)}
		var log strings.Builder
		w := watchLink(l, "us0", &log)
		set := func(err error) {
			l.err = err
			select {
			case l.changed <- struct{}{}:
			default:
			}
			synctest.Wait()
		}
		expect := func(want string) {
			t.Helper()
			if got := log.String(); got != want {
				t.Errorf("said %q, want %q", got, want)
			}
			log.Reset()
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
