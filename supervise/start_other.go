//go:build !linux || !(amd64 || arm64)

package supervise

import (
	"errors"
	"fmt"
	"runtime"
)

// A supervisor cannot exist on this system.
type supervisor struct{}

func (*supervisor) stats() Stats { return Stats{} }

// Check says that this system has no seccomp user notification.
func Check() error {
	return fmt.Errorf("supervise: %s/%s: only Linux on amd64 and arm64 lets one process answer another's system calls: %w",
		runtime.GOOS, runtime.GOARCH, errors.ErrUnsupported)
}

// Start returns the error of Check.
func (c *Cmd) Start() error { return Check() }

// Isolated returns the error of Check.
func (c *Cmd) Isolated() error { return Check() }

// Wait returns the error of Check.
func (c *Cmd) Wait() error { return Check() }
