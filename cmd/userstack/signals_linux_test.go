package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// children returns the processes whose parent is pid.
func children(t *testing.T, pid int) (found []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ") // after the name, in proc_pid_stat(5)
		fields := strings.Fields(rest)
		if parent, _ := strconv.Atoi(fields[1]); parent == pid {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			found = append(found, child)
		}
	}
	return found
}

// TestSignals: a signal ends a command wherever it is, and nothing is left of it.
func TestSignals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args  string
		await string // on standard error
	}{
		{"fetch -v http://www.demo.test/wait", "first byte"},
		{"fetch -v http://silent.demo.test/", "resolve: .* done"},
		{"nc -v -l 80", "listening"},
		{"nc -v -l -u 80", "listening"},
		{"nc -v www.demo.test 7", "connected"},
		{"nc -v silent.demo.test 7", "resolve: .* done"},
		{"resolve -v --dns 10.78.0.99 www.demo.test", "resolve: .* send"},
	} {
		for _, link := range []string{"demo", "netns"} {
			for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
				t.Run(link+" "+sig.String()+" "+c.args, func(t *testing.T) {
					t.Parallel()
					if link == "netns" {
						needNamespace(t)
					}
					stdin, typed, err := os.Pipe() // nobody types
					if err != nil {
						t.Fatal(err)
					}
					defer stdin.Close()
					defer typed.Close()
					r := start(t, userstack(t, append(strings.Fields(c.args), "--link", link)...), stdin)
					r.await(t, c.await)
					helpers := children(t, r.cmd.Process.Pid)
					if (link == "netns") != (len(helpers) == 1) {
						t.Errorf("helper processes: %v", helpers)
					}
					r.cmd.Process.Signal(sig)
					got := r.end(t)
					if got.code != exitSignal+int(sig) || strings.Contains(got.stderr, "userstack:") {
						t.Errorf("exit status %d\n%s", got.code, got.stderr)
					}
					for _, pid := range helpers {
						if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
							t.Errorf("helper process %d is still there: %v", pid, err)
						}
					}
				})
			}
		}
	}
}

// TestPingInterrupted: an interrupted ping has a summary, and failed only if nothing answered.
func TestPingInterrupted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		host   string
		code   int
		stdout string
	}{
		{"10.78.0.1", exitOK, `statistics ---\n.* [1-9]\d* received, (?s:.*)rtt min`}, // the last one may be on its way
		{"10.78.0.99", exitFailure, `statistics ---\n.* 0 received, 100% packet loss`},
	} {
		t.Run(c.host, func(t *testing.T) {
			t.Parallel()
			r := start(t, userstack(t, "ping", "-vv", "-i", "0.01", c.host), nil)
			for range 3 {
				r.await(t, "-> IP .* ICMP type 8")
			}
			if c.code == exitOK {
				r.await(t, "<- IP .* ICMP type 0")
			}
			r.cmd.Process.Signal(syscall.SIGINT)
			r.end(t).expect(t, c.code, c.stdout, "ICMP")
		})
	}
}
