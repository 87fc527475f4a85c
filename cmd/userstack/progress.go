package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// Progress is shown once a transfer has taken this long, and so often.
const (
	progressAfter = time.Second
	progressEvery = 200 * time.Millisecond
)

// A progress is told of a transfer as an io.Writer and shows how far it is on a terminal.
type progress struct {
	log   io.Writer // nil: nobody wants to see it
	total int64     // bytes; -1 when unknown
	n     int64
	start time.Time
	next  time.Time // of the next line
	shown bool
}

// newProgress shows the progress of writing to out on log, if log is a terminal and out is not.
func newProgress(out, log io.Writer, total int64) *progress {
	p := &progress{total: total, start: time.Now()}
	if isTerminal(log) && !isTerminal(out) {
		p.log = log
	}
	p.next = p.start.Add(progressAfter)
	return p
}

// Write implements io.Writer; it never fails.
func (p *progress) Write(b []byte) (int, error) {
	p.n += int64(len(b))
	if p.log == nil {
		return len(b), nil
	}
	if now := time.Now(); now.After(p.next) {
		p.next = now.Add(progressEvery)
		p.show(now)
	}
	return len(b), nil
}

func (p *progress) show(now time.Time) {
	p.shown = true
	of := ""
	if p.total > 0 {
		const percent = 100
		of = fmt.Sprintf(" of %s, %d %%", size(uint64(p.total)), p.n*percent/p.total)
	}
	rate := float64(p.n) / now.Sub(p.start).Seconds()
	fmt.Fprintf(p.log, "\r\x1b[K%s%s, %s/s", size(uint64(p.n)), of, size(uint64(rate)))
}

// done ends the line.
func (p *progress) done() {
	if p.shown {
		p.show(time.Now())
		fmt.Fprintln(p.log)
	}
}

// isTerminal reports whether w is a terminal, or another device of characters, which is near enough for a progress line.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
