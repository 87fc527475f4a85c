//go:build !linux

package agent

import (
	"errors"
	"fmt"
)

// giveWay has no such policy to choose.
func giveWay(int) error {
	return fmt.Errorf("processors are kept awake on Linux only: %w", errors.ErrUnsupported)
}
