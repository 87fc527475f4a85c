package namespace_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/internal/needs"
	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/namespace"
)

// patience is how long a step may take before a test fails.
const patience = time.Minute

// newNamespace makes a namespace for a test, closes it at the end, and checks
// that nothing is left of it.
func newNamespace(t *testing.T, config namespace.Config) *namespace.Namespace {
	t.Helper()
	if err := namespace.Available(); err != nil {
		needs.Have(t, "netns", err)
	}
	checkLeaks(t)
	ns, err := namespace.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ns.Close(); err != nil {
			t.Error("Close:", err)
		}
	})
	return ns
}

// checkLeaks fails the test if it ends with descriptors or child processes
// that are not there now.
func checkLeaks(t *testing.T) {
	t.Helper()
	r, w, err := os.Pipe() // so that the runtime has made its own descriptors
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	w.Close()
	before, childrenBefore := openFiles(t), children(t)
	t.Cleanup(func() {
		for fd, target := range openFiles(t) {
			if before[fd] != target {
				t.Errorf("descriptor %s (%s) was left open", fd, target)
			}
		}
		for _, pid := range children(t) {
			if !slices.Contains(childrenBefore, pid) {
				t.Errorf("child process %s was left", pid)
			}
		}
	})
}

func openFiles(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]string{}
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name())); err == nil {
			open[e.Name()] = target
		}
	}
	return open
}

// children returns the numbers of this process's children.
func children(t *testing.T) []string {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	var pids []string
	for _, path := range tasks {
		if data, err := os.ReadFile(path); err == nil {
			pids = append(pids, strings.Fields(string(data))...)
		}
	}
	return pids
}

// awaitEnd waits until a process has ended, reaped or not.
func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience/time.Millisecond))
	if n != 1 {
		t.Errorf("process %d still runs (%v)", pid, err)
		unix.Kill(pid, unix.SIGKILL)
	}
}

func TestSysctl(t *testing.T) {
	const name, path = "net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"
	ns := newNamespace(t, namespace.Config{Sysctl: map[string]string{name: "1"}})
	if out, err := ns.Command("cat", path).CombinedOutput(); string(out) != "1\n" {
		t.Errorf("%s: %q, %v", name, out, err)
	}
	other := newNamespace(t, namespace.Config{})
	if out, err := other.Command("cat", path).CombinedOutput(); string(out) != "0\n" {
		t.Errorf("%s in another namespace: %q, %v", name, out, err)
	}
	ns, err := namespace.New(namespace.Config{Sysctl: map[string]string{"net.no.such": "1"}})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "net.no.such") {
		t.Error(ns, err)
	}
	if pe, ok := errors.AsType[*os.PathError](err); !ok || pe.Path != "/proc/sys/net/no/such" {
		t.Errorf("%v is no *os.PathError", err)
	}
}

func TestOpenTUN(t *testing.T) {
	ns := newNamespace(t, namespace.Config{})
	dev, err := ns.OpenTUN(tun.Config{Name: "mine", MTU: 9000, Queues: 3, Addrs: []netip.Prefix{netip.MustParsePrefix("2001:db8::1/64")}})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := dev.(interface {
		Poll(int, [][][]byte, []int) (int, error)
	}); !ok {
		t.Error("the device cannot be polled, which package tun's can")
	}
	if mtu, err := dev.MTU(); dev.Name() != "mine" || dev.Queues() != 3 || mtu != 9000 || err != nil {
		t.Errorf("name %s, %d queues, MTU %d, %v", dev.Name(), dev.Queues(), mtu, err)
	}
	if out, err := ns.Command("ip", "address", "show", "dev", "mine").CombinedOutput(); !strings.Contains(string(out), "2001:db8::1/64") {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := ns.OpenTUN(tun.Config{Name: "mine"}); !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.EBUSY) {
		t.Errorf("a second time: %v", err)
	} else if _, ok := errors.AsType[*os.SyscallError](err); !ok {
		t.Errorf("%v is no *os.SyscallError", err)
	}
	if err := dev.Close(); err != nil {
		t.Error(err)
	}
	if _, err := dev.MTU(); err == nil {
		t.Error("the interface outlived Close")
	}
	if dev, err := ns.OpenTUN(tun.Config{Queues: 254}); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("254 queues: %v, %v", dev, err)
	}
}

func TestClose(t *testing.T) {
	ns := newNamespace(t, namespace.Config{})
	for range 2 {
		if err := ns.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := ns.OpenTUN(tun.Config{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("OpenTUN after Close: %v", err)
	}
	if _, err := ns.Listen("tcp", ":0"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Listen after Close: %v", err)
	}
	if err := ns.Command("true").Run(); err == nil {
		t.Error("a program ran after Close")
	}
}

// TestHelperDies kills the helper from within.
func TestHelperDies(t *testing.T) {
	if err := namespace.Available(); err != nil {
		needs.Have(t, "netns", err)
	}
	checkLeaks(t)
	ns, err := namespace.New(namespace.Config{})
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(children(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := ns.Listen("tcp", ":0"); err == nil || !strings.Contains(err.Error(), "ended") && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("Listen: %v", err)
	}
	if err := ns.Close(); err == nil {
		t.Error("Close did not tell that the helper was killed")
	}
}

// TestParentDies kills a process that has a namespace, and finds that the
// helper and the programs end too.
func TestParentDies(t *testing.T) {
	if os.Getenv("USERSTACK_TEST_PARENT") != "" {
		parentToKill(t)
		return
	}
	if err := namespace.Available(); err != nil {
		needs.Have(t, "netns", err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestParentDies$")
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "USERSTACK_TEST_PARENT=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var helper, program int
	_, err = fmt.Fscan(out, &helper, &program)
	cmd.Process.Kill()
	cmd.Wait()
	if err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, helper)
	awaitEnd(t, program)
}

func parentToKill(t *testing.T) {
	ns, err := namespace.New(namespace.Config{})
	if err != nil {
		t.Fatal(err)
	}
	helper := children(t)[0]
	program := ns.Command("sh", "-c", "echo inside; exec sleep 1000")
	out, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	var word string // before it, the program may still be nsenter and in no namespace
	if _, err := fmt.Fscan(out, &word); err != nil || word != "inside" {
		t.Fatal(word, err)
	}
	fmt.Println(helper, program.Process.Pid)
	program.Wait() // until killed
}
