//go:build linux && (amd64 || arm64)

package supervise

import (
	"context"
	"syscall"
	"time"
)

// pause waits a little after an error that may pass, and reports whether it was
// one.
func pause(ctx context.Context, err error) bool {
	if !scarce(err) && errnoOf(err) != syscall.ECONNABORTED {
		return false
	}
	const moment = 10 * time.Millisecond
	t := time.NewTimer(moment)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
