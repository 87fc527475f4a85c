//go:build !linux

package netns

import (
	"errors"
	"fmt"
)

var errLinuxOnly = fmt.Errorf("netns: network namespaces are of Linux: %w", errors.ErrUnsupported)

type state struct{}

// Start closes the uplink and returns an error over errors.ErrUnsupported.
func (c *Cmd) Start() error {
	if c.uplink != nil {
		c.uplink.Close()
		c.uplink.Wait()
	}
	return errLinuxOnly
}

// Wait returns an error.
func (c *Cmd) Wait() error { return errLinuxOnly }

// Check returns an error over errors.ErrUnsupported.
func Check() error { return errLinuxOnly }

func haveIPv6() bool { return true }
