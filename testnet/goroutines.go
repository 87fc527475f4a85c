package testnet

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	label     = "testnet"        // the profiling label that says which network a goroutine belongs to
	grace     = 5 * time.Second  // goroutines that have been told to end may take this long
	pollEvery = time.Millisecond // there is no event for the end of somebody else's goroutine
)

var networks atomic.Int64

// watchGoroutines labels the test's goroutine, and with it all that it starts from here on. When the test has ended and
// what was set up later is torn down, it fails the test if one of them is left.
func watchGoroutines(t testing.TB) {
	id := strconv.FormatInt(networks.Add(1), 10)
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(label, id)))
	t.Cleanup(func() {
		if t.Failed() {
			return // a test that gave up half-way leaves much behind
		}
		for deadline := time.Now().Add(grace); ; <-time.After(pollEvery) {
			left := labelled(id)
			if len(left) == 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Errorf("testnet: goroutines left behind:\n%s", strings.Join(left, "\n"))
				return
			}
		}
	})
}

// runners are the functions at the bottom of goroutines that run tests and benchmarks, which are let be.
var runners = []string{"testing.tRunner", "testing.(*B).run"}

// labelled returns the stacks of the goroutines that carry a label, apart from the runners'.
func labelled(id string) (stacks []string) {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return []string{err.Error()}
	}
	want := fmt.Sprintf("%q:%q", label, id)
	for record := range strings.SplitSeq(profile.String(), "\n\n") {
		runner := slices.ContainsFunc(runners, func(f string) bool { return strings.Contains(record, f) })
		if strings.Contains(record, want) && !runner {
			stacks = append(stacks, record)
		}
	}
	return stacks
}
