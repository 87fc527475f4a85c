package bench

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/userstack/userstack/internal/bench/agent"
	"github.com/userstack/userstack/internal/needs"
	"github.com/userstack/userstack/testnet"
)

// allowed reads which processors a status file in /proc says that a process may use (proc_pid_status(5)).
func allowed(t *testing.T, status string) string {
	t.Helper()
	for line := range strings.Lines(status) {
		if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
			return strings.TrimSpace(list)
		}
	}
	t.Fatalf("no Cpus_allowed_list in %q", status)
	return ""
}

// TestPlace: what a pinned command starts is pinned as well, and this process is not.
func TestPlace(t *testing.T) {
	t.Parallel()
	before := agent.Processors()
	for _, processor := range before {
		cmd := exec.Command("sh", "-c", "cat /proc/self/status; true") // so that sh does not become cat
		var said strings.Builder
		cmd.Stdout = &said
		if err := (place{true, processor}).start(cmd); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		if got := allowed(t, said.String()); got != fmt.Sprint(processor) {
			t.Errorf("pinned to %d, it may use %s", processor, got)
		}
	}
	if after := agent.Processors(); !slices.Equal(before, after) {
		t.Errorf("this process may use %v, before %v", after, before)
	}
	const none = 1023 // the last that a mask here has
	if err := (place{true, none}).start(exec.Command("true")); err == nil && !slices.Contains(before, none) {
		t.Error("pinned to a processor that there is not")
	}
}

// TestPinnedWires: over every wire with two processes each end has a processor to itself, and what is between runs where
// the near end does.
func TestPinnedWires(t *testing.T) {
	testnet.RequireNamespaces(t)
	if processors := agent.Processors(); len(processors) < 2 {
		needs.Have(t, "processors", fmt.Errorf("two processors are wanted, and there is %v", processors))
	}
	defer removePrograms()
	for _, w := range wires {
		if w.skips(Load{state: pinned}) != "" {
			continue
		}
		t.Run(w.Name, func(t *testing.T) {
			needs.Have(t, "peers", w.ready(t.Context()))
			s := &session{pins: processorEach()}
			defer s.close()
			if err := w.open(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			want := map[int]place{s.near.cmd.Process.Pid: s.pins.near, s.far.cmd.Process.Pid: s.pins.far}
			for _, h := range s.between {
				want[h.pid] = s.pins.near
			}
			for pid, at := range want {
				status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
				if err != nil {
					t.Fatal(err)
				}
				if got := allowed(t, string(status)); got != fmt.Sprint(at.processor) {
					t.Errorf("process %d of %v may use %s, want %d", pid, want, got, at.processor)
				}
			}
		})
	}
}
