package testnet_test

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/testnet"
)

// faultVariable names the fault that a child of TestFaultsAreSeen commits.
const faultVariable = "TESTNET_FAULT"

// kept is what the faults leave behind, out of the garbage collector's reach.
var kept []any

// faults is what a test can do wrong, and what must be said about it.
var faults = []struct {
	name   string
	commit func(t *testing.T)
	want   []string
	os     string // where it can be seen; empty is everywhere
}{
	{name: "none", commit: func(t *testing.T) { testnet.Pair(t) }, want: []string{"PASS"}},
	{
		name: "goroutine",
		commit: func(t *testing.T) {
			testnet.Pair(t)
			go stayBehind()
		},
		want: []string{"goroutines left behind", "stayBehind", "--- FAIL: TestFault"},
	},
	{
		name:   "goroutine beside the network",
		commit: func(*testing.T) { go stayBehind() },
		want:   []string{"left behind by the tests of this package", "stayBehind"},
	},
	{
		name:   "packet",
		commit: func(*testing.T) { kept = append(kept, gstack.NewPacketBuffer(gstack.PacketBufferOptions{})) },
		want:   []string{"left behind by the tests of this package", "stack.PacketBuffer"},
	},
	{
		name: "descriptor",
		commit: func(t *testing.T) {
			f, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, f)
		},
		want: []string{"left behind by the tests of this package", os.DevNull},
		os:   "linux",
	},
	{
		name: "seed",
		commit: func(t *testing.T) {
			testnet.Pair(t, testnet.WithImpair(link.ImpairConfig{Seed: 42}))
			t.Error("on purpose")
		},
		want: []string{"seed was 42", "USERSTACK_SEED=42 go test -run '^TestFault$' -artifacts github.com/userstack/userstack/testnet"},
	},
}

func stayBehind() { select {} }

// TestFault commits a fault when it runs in a child of TestFaultsAreSeen.
func TestFault(t *testing.T) {
	for _, f := range faults {
		if f.name == os.Getenv(faultVariable) {
			f.commit(t)
		}
	}
}

func TestFaultsAreSeen(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		if f.os != "" && f.os != runtime.GOOS {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFault$", "-test.v")
			cmd.Env = append(os.Environ(), faultVariable+"="+f.name)
			out, err := cmd.CombinedOutput()
			if (err == nil) != (f.name == "none") {
				t.Errorf("the child ended with %v", err)
			}
			for _, want := range f.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("the child did not say %q", want)
				}
			}
			if t.Failed() {
				t.Logf("%s", out)
			}
		})
	}
}
