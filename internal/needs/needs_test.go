package needs_test

import (
	"errors"
	"testing"

	"github.com/userstack/userstack/internal/needs"
)

// recorder is a test that notes how it ends.
type recorder struct {
	testing.TB
	end string
}

func (r *recorder) Helper()               {}
func (r *recorder) Fatalf(string, ...any) { r.end = "failed" }
func (r *recorder) Skip(...any)           { r.end = "skipped" }

func TestHave(t *testing.T) {
	lack := errors.New("no such device")
	for _, tc := range []struct {
		require string
		err     error
		want    string
	}{
		{"", nil, ""}, {"netns", nil, ""}, {"", lack, "skipped"}, {"coredns", lack, "skipped"}, {"netnsx", lack, "skipped"},
		{"netns", lack, "failed"}, {"coredns,netns", lack, "failed"},
	} {
		t.Setenv("USERSTACK_REQUIRE", tc.require)
		r := &recorder{TB: t}
		if needs.Have(r, "netns", tc.err); r.end != tc.want {
			t.Errorf("with %q and %v the test %q, want %q", tc.require, tc.err, r.end, tc.want)
		}
	}
}
