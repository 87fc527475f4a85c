//go:build !linux

package bench

import (
	"errors"
	"fmt"
	"os/exec"
)

// startOn is asked for by wires that are on Linux only.
func startOn(int, *exec.Cmd) error {
	return fmt.Errorf("processes are pinned to processors on Linux only: %w", errors.ErrUnsupported)
}
