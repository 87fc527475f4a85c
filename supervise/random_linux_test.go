//go:build amd64 || arm64

package supervise_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/userstack/userstack/supervise"
)

// number returns that of a variable of the environment, or otherwise.
func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// TestRandomCalls has a program make random calls with random arguments. Neither it
// nor the supervisor may fall, and both have to work afterwards. USERSTACK_CALLS is
// how many calls, USERSTACK_SEED the seed.
func TestRandomCalls(t *testing.T) {
	program := compile(t, "testdata/random.c")
	calls := strconv.Itoa(number(t, "USERSTACK_CALLS", 2000))
	seed := strconv.Itoa(number(t, "USERSTACK_SEED", int(rand.Int32())))
	t.Logf("USERSTACK_SEED=%s USERSTACK_CALLS=%s go test -run TestRandomCalls ./supervise", seed, calls)
	native, err := exec.Command(program, seed, calls, "native").Output()
	if err != nil {
		t.Fatalf("on the kernel: %v", err)
	}
	for name, trace := range map[string]func(supervise.Event){"plain": nil, "traced": func(supervise.Event) {}} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			runtime.GC()
			before := openFiles(t)
			cmd := supervise.Command(h, program, seed, calls)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr, cmd.Trace = &out, &out, trace
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			guard := time.AfterFunc(hangGuard, func() { cmd.Process.Kill() })
			err := cmd.Wait()
			guard.Stop()
			if err != nil || out.String() != string(native) {
				t.Errorf("%v\n%s", err, out.Bytes())
			}
			if after := openFiles(t); after > before+8 { // what Go's runtime and finalizers may hold
				t.Errorf("%d descriptors are open, %d before", after, before)
			}
			checkNoSockets(t, h)
		})
	}
}
