// Package needs decides whether a test that lacks something of the machine is
// skipped or fails: on a developer's machine it says what is missing, and in CI,
// where everything has to be there, it must not pass for want of it.
package needs

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Have goes on if err, which says what is missing, is nil. Otherwise it skips the
// test; but if USERSTACK_REQUIRE, a list separated by commas, has name in it,
// then the test fails: the machine is one on which nothing may be left out.
func Have(t testing.TB, name string, err error) {
	t.Helper()
	switch {
	case err == nil:
	case slices.Contains(strings.Split(os.Getenv("USERSTACK_REQUIRE"), ","), name):
		t.Fatalf("USERSTACK_REQUIRE has %s, and this machine lacks it: %v", name, err)
	default:
		t.Skip(err)
	}
}
