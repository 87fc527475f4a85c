//go:build linux && (amd64 || arm64)

package supervise

import (
	"strings"
	"syscall"
	"time"

	"github.com/userstack/userstack/supervise/internal/seccomp"
)

// A tracing is what Cmd.Trace will be told of a call. What the program passes in
// is read before the call is served and what it gets back before it is answered:
// afterwards the memory is the program's again.
type tracing struct {
	pid  int
	args []string
}

// describe notes the arguments that a call came with.
func (c *call) describe() {
	c.tracing = &tracing{pid: c.process()}
	for _, a := range argumentsOf(c.h.name) {
		text := ""
		if !a.result {
			text = a.text(c, a.index, 0)
		}
		c.tracing.args = append(c.tracing.args, text)
	}
}

// describeResults notes what the program finds in its memory now. value is what
// the call returns.
func (c *call) describeResults(value int64, err error) {
	if c.tracing == nil || err == errLater || err == errNative {
		return
	}
	for i, a := range argumentsOf(c.h.name) {
		switch {
		case !a.result:
		case err != nil:
			c.tracing.args[i] = pointerText(c, a.index, 0) // nothing was written there
		default:
			c.tracing.args[i] = a.text(c, a.index, value)
		}
	}
}

// report hands a call that was answered to Cmd.Trace.
func (c *call) report(value int64, errno syscall.Errno, took time.Duration) {
	c.s.trace(Event{
		PID: c.tracing.pid, TID: int(c.n.TID),
		Call:   c.h.name + "(" + strings.Join(c.tracing.args, ", ") + ")",
		Result: value, Errno: errno,
		Start: c.start, Took: took,
	})
}

// process returns the process of the thread that calls, or the thread if it is
// gone.
func (c *call) process() int {
	pid, err := seccomp.Process(int(c.n.TID))
	if err != nil {
		return int(c.n.TID)
	}
	return pid
}
