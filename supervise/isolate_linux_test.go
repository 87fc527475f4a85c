//go:build amd64 || arm64

package supervise_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/internal/needs"
	"github.com/userstack/userstack/internal/userns"
	"github.com/userstack/userstack/supervise"
	"github.com/userstack/userstack/testnet"
)

func init() {
	name, ok := os.LookupEnv("USERSTACK_TEST_PROGRAM")
	if !ok {
		return
	}
	os.Unsetenv("USERSTACK_TEST_PROGRAM")
	if err := isolated[name](); err != nil {
		fmt.Println(err)
		os.Exit(3)
	}
	os.Exit(0)
}

// isolated are what this test binary is when it runs isolated.
var isolated = map[string]func() error{
	"exchange":    exchange,
	"nondumpable": func() error { return errors.Join(unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0), exchange()) },
	"show":        show,
}

// exchange connects to a socket of its own.
func exchange() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	accepted := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			_, err = io.WriteString(conn, "hello\n")
			conn.Close()
		}
		accepted <- err
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return err
	}
	_, err = io.Copy(os.Stdout, conn)
	return errors.Join(err, <-accepted)
}

// show prints who the program is and what of the machine's network it has: by
// the kernel's files, since its sockets are the stack's.
func show() error {
	devices, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		return err
	}
	for _, line := range strings.Split(string(devices), "\n")[2:] {
		if name, _, ok := strings.Cut(line, ":"); ok {
			fmt.Println("device", strings.TrimSpace(name))
		}
	}
	addrs, err := os.ReadFile("/proc/net/if_inet6")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "CapEff") {
			fmt.Print(line)
		}
	}
	fmt.Println("IPv6 addresses", len(addrs), "user", os.Geteuid(), "group", os.Getegid())
	return nil
}

// isolate runs one of the programs with an isolation.
func isolate(t *testing.T, how supervise.Isolation, name string) (string, error) {
	t.Helper()
	cmd := supervise.Command(newHost(t), "/proc/self/exe")
	cmd.Isolation = how
	cmd.Env = append(os.Environ(), "USERSTACK_TEST_PROGRAM="+name, "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// requireUserNamespaces skips a test for want of user and network namespaces,
// or fails it where USERSTACK_REQUIRE says that they must be there.
func requireUserNamespaces(t *testing.T) {
	t.Helper()
	_, err := userns.First(userns.Ways(unix.CLONE_NEWNET|unix.CLONE_NEWNS, userns.Self))
	if err != nil {
		err = userns.Diagnose(err)
	}
	needs.Have(t, "netns", err)
}

func TestIsolate(t *testing.T) {
	requireUserNamespaces(t)
	if testnet.AsNobody(t) {
		out, err := isolate(t, supervise.IsolateRequire, "exchange") // and as root
		if out != "hello\n" || err != nil {
			t.Errorf("%q, %v", out, err)
		}
		return
	}
	for name, want := range map[string]string{
		"exchange": "hello\n",
		"show":     fmt.Sprintf("device lo\nCapEff:\t0000000000000000\nIPv6 addresses 0 user %d group %d\n", os.Geteuid(), os.Getegid()),
		// Only the owner of a user namespace may reach into such a process.
		"nondumpable": "hello\n",
	} {
		if out, err := isolate(t, supervise.IsolateRequire, name); out != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", name, out, err, want)
		}
	}
}

// TestNonDumpable wants a clear word where a process cannot be reached into.
func TestNonDumpable(t *testing.T) {
	if testnet.AsNobody(t) {
		return // root may
	}
	if out, err := isolate(t, supervise.IsolateOff, "nondumpable"); !strings.Contains(out, "permission denied") {
		t.Errorf("%q, %v", out, err)
	}
}

// TestPrivateFiles gives the program another content of a file, isolated or not.
func TestPrivateFiles(t *testing.T) {
	requireUserNamespaces(t)
	if testnet.AsNobody(t) && t.Failed() {
		return
	}
	for _, how := range []supervise.Isolation{supervise.IsolateOff, supervise.IsolateAuto, supervise.IsolateRequire} {
		cmd := supervise.Command(newHost(t), "cat", "/etc/passwd")
		cmd.Isolation, cmd.Files = how, map[string][]byte{"/etc/passwd": []byte("inside\n")}
		if out, err := cmd.Output(); string(out) != "inside\n" || err != nil || cmd.Isolated() != nil {
			t.Errorf("isolation %d: %q, %v, %v", how, out, err, cmd.Isolated())
		}
		// The capability that this took is gone, and root's are its own.
		cmd = supervise.Command(newHost(t), "grep", "CapEff", "/proc/self/status")
		cmd.Isolation, cmd.Files = how, map[string][]byte{"/etc/passwd": nil}
		if out, err := cmd.Output(); os.Geteuid() != 0 && string(out) != "CapEff:\t0000000000000000\n" || err != nil {
			t.Errorf("isolation %d: %q, %v", how, out, err)
		}
		cmd = supervise.Command(newHost(t), "echo", "ran")
		cmd.Isolation, cmd.Files = how, map[string][]byte{"/etc/no-such-file": nil}
		out, err := cmd.Output()
		if how == supervise.IsolateRequire {
			if !errors.Is(err, syscall.ENOENT) {
				t.Errorf("a file that is not there, required: %q, %v", out, err)
			}
		} else if string(out) != "ran\n" || err != nil || !errors.Is(cmd.Isolated(), syscall.ENOENT) {
			t.Errorf("a file that is not there, isolation %d: %q, %v, %v", how, out, err, cmd.Isolated())
		}
	}
}

// TestIsolateRefused runs where the kernel refuses user namespaces.
func TestIsolateRefused(t *testing.T) {
	const marker = "USERSTACK_TEST_UNDER"
	if os.Getenv(marker) == "" {
		requireUserNamespaces(t)
		need(t, "unshare")
		need(t, "setpriv")
		// Without CAP_SYS_ADMIN, the user namespace's root is like an ordinary user.
		const script = `echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set -sys_admin "$@"`
		again(t, marker+"=1", "unshare", "-Ur", "sh", "-c", script, "sh")
		return
	}
	if out, err := isolate(t, supervise.IsolateRequire, "exchange"); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "sysctl -w user.max_user_namespaces") {
		t.Errorf("required: %q, %v", out, err)
	}
	if out, err := isolate(t, supervise.IsolateAuto, "exchange"); out != "hello\n" || err != nil {
		t.Errorf("auto: %q, %v", out, err)
	}
}

// again runs the test again in a command that ends in exec "$@".
func again(t *testing.T, env string, command ...string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(command[0], append(command[1:], self, "-test.run=^"+t.Name()+"$", "-test.v")...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", env)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("%v\n%s", err, out)
	}
}
