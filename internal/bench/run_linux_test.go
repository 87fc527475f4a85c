package bench_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/userstack/userstack/internal/bench"
	"github.com/userstack/userstack/internal/needs"
	"github.com/userstack/userstack/testnet"
)

// marked has every process that the test starts, and those that they start, carry a mark in their environment, and fails
// the test when one of them outlives it.
func marked(t *testing.T) {
	t.Helper()
	name := fmt.Sprintf("%s of %d", t.Name(), os.Getpid()) // others may run the test as well
	mark := "USERSTACK_BENCH_TEST=" + name
	t.Setenv("USERSTACK_BENCH_TEST", name)
	t.Cleanup(func() {
		files, err := filepath.Glob("/proc/[0-9]*/environ")
		if err != nil || len(files) == 0 {
			t.Error("no processes to be seen: ", err)
		}
		for _, file := range files {
			text, _ := os.ReadFile(file) // of those of other users nothing can be read
			for _, one := range bytes.Split(text, []byte{0}) {
				if string(one) == mark {
					t.Errorf("%s: a process is left behind", filepath.Dir(file))
				}
			}
		}
	})
}

// TestRunWires measures over a TUN device and over veth, and the peers that are there, and leaves no process behind.
func TestRunWires(t *testing.T) {
	testnet.RequireNamespaces(t)
	marked(t)
	report := measure(t, "netns", bench.Config{Wires: []string{"tun", "tun-naive", "veth"}, Loads: []string{"out-1", "rtt-awake", "rtt-pinned", "udp1400-in"}})
	for _, s := range report.Samples {
		if s.Skipped != "" {
			continue
		}
		if len(s.Seen.Shares) < 2 || s.Seen.Busy+s.Seen.Idle == 0 {
			t.Errorf("%s over %s: nothing of the processors: %+v", s.Load, s.Wire, s.Seen)
		}
	}
}

// TestRunLocal measures the kernel's loopback, with both ends in one process.
func TestRunLocal(t *testing.T) {
	marked(t)
	measure(t, "netns", bench.Config{Wires: []string{"lo"}, Loads: []string{"in-8", "connect"}})
}

// TestRunPeers measures over the peers that are installed or can be built.
func TestRunPeers(t *testing.T) {
	testnet.RequireNamespaces(t)
	ours := []string{"tun", "tun-latency", "tun-gro", "tun-naive", "veth", "pair", "lo"}
	for _, w := range bench.Wires() {
		if slices.Contains(ours, w.Name) {
			continue
		}
		t.Run(w.Name, func(t *testing.T) {
			needs.Have(t, "peers", w.Missing())
			marked(t)
			loads := []string{"in-1"}
			if strings.HasPrefix(w.Name, "lwip") { // whose near end is not of package load
				loads = []string{"out-1", "in-1", "out-8", "in-8", "rtt-idle", "connect", "udp64-out", "udp64-in", "udp1400-out", "udp1400-in"}
			}
			report := measure(t, "peers", bench.Config{Wires: []string{w.Name}, Loads: loads})
			for _, s := range report.Samples {
				// One at a time, they take all the time together, and half of them half of it at most.
				if s.Load == "rtt-idle" && (s.Values["p50"]*s.Values["rate"] > 2.1e6 || s.Values["p50"] < 1 || s.Values["p99"] < s.Values["p50"]) {
					t.Errorf("the latencies are none: %v", s.Values)
				}
			}
			if report.Machine.Versions[w.Name] == "" {
				t.Errorf("the version is not known: %v", report.Machine.Versions)
			}
		})
	}
}
