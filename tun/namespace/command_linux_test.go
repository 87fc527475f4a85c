package namespace_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/userstack/userstack/tun/namespace"
)

func TestCommand(t *testing.T) {
	ns := newNamespace(t, namespace.Config{})
	cmd := ns.Command("sh", "-c", `read line; echo "$line $VAR $(pwd) $(id -u)"; ls /proc/sys/net/ipv4/conf >&2; exit 7`)
	cmd.Dir, cmd.Env = "/", append(os.Environ(), "VAR=value")
	cmd.Stdin = strings.NewReader("input\n")
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 7 {
		t.Errorf("%v, want exit status 7", err)
	}
	if got, want := stdout.String(), "input value / 0\n"; got != want {
		t.Errorf("output %q, want %q", got, want)
	}
	if got, want := stderr.String(), "all\ndefault\nlo\n"; got != want {
		t.Errorf("interfaces %q, want %q", got, want)
	}
}

// TestCommandSignals finds that signals go to the program itself.
func TestCommandSignals(t *testing.T) {
	ns := newNamespace(t, namespace.Config{})
	cmd := ns.Command("sh", "-c", `trap "exit 3" TERM; echo ready; while :; do sleep 0.05; done`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("%v, want exit status 3", err)
	}
}

func TestCommandNotFound(t *testing.T) {
	ns := newNamespace(t, namespace.Config{})
	if err := ns.Command("no-such-program").Run(); !errors.Is(err, exec.ErrNotFound) {
		t.Error(err)
	}
	t.Setenv("PATH", "")
	if err := ns.Command("/bin/true").Run(); !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "util-linux") {
		t.Error(err)
	}
}

// TestCloseEndsPrograms closes a namespace in which a program runs, with a
// child, a daemon and a program that ignores signals.
func TestCloseEndsPrograms(t *testing.T) {
	ns := newNamespace(t, namespace.Config{})
	cmd := ns.Command("sh", "-c", `
		sleep 1000 & echo $!
		setsid sh -c 'trap "" HUP INT TERM; echo $$; sleep 1000; sleep 1000' </dev/null &
		(sh -c 'echo $$; exec sleep 1000' &)
		wait`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pids [3]int
	if _, err := fmt.Fscan(out, &pids[0], &pids[1], &pids[2]); err != nil {
		t.Fatal(err)
	}
	if err := ns.Close(); err != nil {
		t.Error(err)
	}
	for _, pid := range append(pids[:], cmd.Process.Pid) {
		awaitEnd(t, pid)
	}
	cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Errorf("the program ended with %v", cmd.ProcessState)
	}
}

// TestCloseEndsForkingProgram closes a namespace in which a program starts
// others as fast as it can.
func TestCloseEndsForkingProgram(t *testing.T) {
	ns := newNamespace(t, namespace.Config{})
	// It comes after others to be killed, and so has time to start more.
	cmd := ns.Command("sh", "-c", `
		for i in 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9; do sleep 1000 & done
		sh -c 'readlink /proc/self/ns/net; n=0; while [ $n -lt 60 ]; do sleep 1000 & n=$((n+1)); done; wait'`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	netns, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := ns.Close(); err != nil {
		t.Error(err)
	}
	awaitEnd(t, cmd.Process.Pid)
	cmd.Wait()
	links, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if name, err := os.Readlink(link); err == nil && name == strings.TrimSpace(netns) {
			t.Errorf("%s is still in the namespace", link)
			var pid int
			fmt.Sscanf(link, "/proc/%d", &pid)
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// TestServer runs a real server in the namespace and asks it from outside.
func TestServer(t *testing.T) {
	ns := newNamespace(t, namespace.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := ns.Command("iperf3", "--server", "--one-off", "--forceflush")
	if errors.Is(cmd.Err, exec.ErrNotFound) {
		t.Skip(cmd.Err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), "listening") {
	}
	conn, err := ns.Dial(ctx, "tcp4", "127.0.0.1:5201")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
