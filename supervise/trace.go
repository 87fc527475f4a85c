//go:build linux && (amd64 || arm64)

package supervise

import (
	"fmt"
	"strings"
	"syscall"
	"time"
)

// report hands a call that was answered to Cmd.Trace.
func (c *call) report(value int64, errno syscall.Errno) {
	var args []string
	for i := range 6 {
		args = append(args, fmt.Sprintf("%#x", c.arg(i)))
	}
	c.s.trace(Event{
		PID: int(c.n.TID), TID: int(c.n.TID),
		Call:   c.h.name + "(" + strings.Join(args, ", ") + ")",
		Result: value, Errno: errno,
		Start: c.start, Took: time.Since(c.start),
	})
}
