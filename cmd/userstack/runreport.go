package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/supervise"
)

// toStderr is what --trace without a file means: a name that no file has.
const toStderr = "-"

// A tracer writes a line for each call of the program.
type tracer struct {
	mu  sync.Mutex
	out io.Writer
	err error // the first that came of writing
	own io.Closer
}

// openTracer opens what --trace names; nil for nothing.
func openTracer(name string, log io.Writer) (*tracer, error) {
	switch name {
	case "":
		return nil, nil
	case toStderr:
		return &tracer{out: log}, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("--trace: %w", err)
	}
	return &tracer{out: file, own: file}, nil
}

// event writes a line. Whoever reads too slowly slows the program down, as with strace.
func (t *tracer) event(e supervise.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := fmt.Fprintln(t.out, e); t.err == nil {
		t.err = err
	}
}

// Close returns what went wrong with the file.
func (t *tracer) Close() error {
	if t == nil || t.own == nil {
		return nil
	}
	err := t.own.Close()
	if t.err != nil {
		err = t.err
	}
	if err != nil {
		return fmt.Errorf("--trace: %w", err)
	}
	return nil
}

// printStats prints the table of --stats.
func printStats(w io.Writer, s supervise.Stats, net stack.Stats) {
	fmt.Fprintf(w, "%10s %8s %8s %8s  %s\n", "calls", "errors", "p50", "p99", "name")
	for _, c := range s.Calls {
		fmt.Fprintf(w, "%10d %8d %8s %8s  %s\n", c.Count, c.Failed, brief(c.P50), brief(c.P99), c.Name)
	}
	fmt.Fprintf(w, "sockets: %d opened, %d at most at a time\n", s.Opened, s.Peak)
	fmt.Fprintf(w, "bytes: %d in, %d out\n", s.Received, s.Sent)
	fmt.Fprintf(w, "TCP: %d connections made, %d accepted; %d segments in, %d out, %d of them again\n",
		net.TCP.ActiveOpens, net.TCP.PassiveOpens, net.TCP.Received, net.TCP.Sent, net.TCP.Retransmits)
	fmt.Fprintf(w, "UDP: %d datagrams in, %d out\n", net.UDP.Received, net.UDP.Sent)
}

// brief prints a time with three digits or fewer.
func brief(d time.Duration) string {
	const digits = 1000
	unit := time.Nanosecond
	for d/unit >= digits {
		unit *= 10
	}
	return d.Round(unit).String()
}
