//go:build !linux

package agent

import (
	"errors"
	"fmt"
)

// Processors returns the numbers of all.
func Processors() []int { return counted() }

// giveWay has no such policy to choose.
func giveWay(int) error {
	return fmt.Errorf("processors are kept awake on Linux only: %w", errors.ErrUnsupported)
}
