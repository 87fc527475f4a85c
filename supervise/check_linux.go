//go:build amd64 || arm64

package supervise

import (
	"fmt"

	"github.com/userstack/userstack/supervise/internal/seccomp"
)

// Check returns nil when programs can be run on this machine by this user, and
// otherwise an error that names what is missing and the remedy. It finds out by
// trying, which takes some milliseconds.
func Check() error {
	if _, err := seccomp.Probe(); err != nil {
		return fmt.Errorf("supervise: %w", err)
	}
	return nil
}
