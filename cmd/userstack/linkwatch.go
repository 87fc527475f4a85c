package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// reportPause is how long a link that fails and recovers all the time is not spoken of after each line about it.
const reportPause = time.Second

// A failingLink is a link that says when its device begins to fail and when it works again.
type failingLink interface {
	Err() error
	ErrChanged() <-chan struct{}
}

// A linkWatch says on standard error, once each time, that the link fails and that it works again.
type linkWatch struct {
	done chan struct{} // closed by Close
	wg   sync.WaitGroup
}

// watchLink begins to watch. A link without a device to fail is nil.
func watchLink(l failingLink, name string, log io.Writer) *linkWatch {
	w := &linkWatch{done: make(chan struct{})}
	if l != nil {
		w.wg.Go(func() { w.watch(l, name, log) })
	}
	return w
}

// watch is the goroutine: ended by Close.
func (w *linkWatch) watch(l failingLink, name string, log io.Writer) {
	failing := false
	for {
		select {
		case <-l.ErrChanged():
		case <-w.done:
			return
		}
		err := l.Err()
		if err != nil == failing {
			continue // it has come and gone
		}
		failing = err != nil
		if failing {
			fmt.Fprintf(log, "userstack: link %s fails: %v\n", name, err)
		} else {
			fmt.Fprintf(log, "userstack: link %s works again\n", name)
		}
		select {
		case <-time.After(reportPause):
		case <-w.done:
			return
		}
	}
}

// Close ends the watch and joins its goroutine.
func (w *linkWatch) Close() {
	close(w.done)
	w.wg.Wait()
}
