//go:build !linux

package tun

import (
	"errors"
	"fmt"
)

// errUnsupported says what this system cannot do. It wraps errors.ErrUnsupported.
func errUnsupported(what string) error {
	return fmt.Errorf("tun: %s: %w", what, errors.ErrUnsupported)
}
