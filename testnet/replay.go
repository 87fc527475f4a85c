package testnet

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
)

// seedVariable is the environment variable that replaces the seed of every impairment.
const seedVariable = "USERSTACK_SEED"

// seed applies seedVariable.
func (o *options) seed(t testing.TB) {
	t.Helper()
	s := os.Getenv(seedVariable)
	if s == "" || o.impair == nil {
		return
	}
	seed, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		t.Fatalf("testnet: %s: %v", seedVariable, err)
	}
	o.impair.Seed = seed
}

// explain logs, once the test has failed, how to run it again under the same impairment and keep the packets.
func explain(t testing.TB, o *options) {
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		env := ""
		if o.impair != nil {
			env = fmt.Sprintf("%s=%d ", seedVariable, o.impair.Seed)
		}
		t.Logf("testnet: to run this again and keep the packets: %s%s", env, again(t.Name()))
	})
}

// again returns the command that runs one test and keeps its artifacts.
func again(test string) string {
	pkg := "."
	if info, ok := debug.ReadBuildInfo(); ok && info.Path != "" {
		pkg = strings.TrimSuffix(info.Path, ".test")
	}
	var parts []string
	for part := range strings.SplitSeq(test, "/") {
		parts = append(parts, "^"+part+"$")
	}
	return fmt.Sprintf("go test -run '%s' -artifacts %s", strings.Join(parts, "/"), pkg)
}
