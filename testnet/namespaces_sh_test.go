//go:build linux

package testnet_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/testnet"
	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/tuntest"
)

// script runs testnet/namespaces.sh with a state directory of its own.
type script struct {
	t      *testing.T
	path   string
	dir    string // XDG_RUNTIME_DIR
	nobody bool   // run as user 65534
	before []string
}

// nobody is a user without privileges or files.
const nobody = 65534

func newScript(t *testing.T) *script {
	t.Helper()
	testnet.RequireNamespaces(t)
	path, err := filepath.Abs("namespaces.sh")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{t: t, path: path, dir: t.TempDir()}
	t.Cleanup(func() {
		s.run("down")
		if left, err := filepath.Glob(s.dir + "/userstack-*"); len(left) > 0 || err != nil {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	return s
}

// run returns what the script prints and its exit status.
func (s *script) run(args ...string) (string, int) {
	s.t.Helper()
	argv := append(append(s.before[:len(s.before):len(s.before)], "sh", s.path), args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+s.dir)
	if s.nobody {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		cmd.Dir = "/"
	}
	out, err := cmd.CombinedOutput()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		s.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// want runs the script and checks its exit status and what it prints.
func (s *script) want(status int, says string, args ...string) string {
	s.t.Helper()
	out, got := s.run(args...)
	if got != status || !strings.Contains(out, says) {
		s.t.Errorf("namespaces.sh %v: exit status %d, want %d, and %q in:\n%s", args, got, status, says, out)
	}
	return out
}

func TestScriptUsage(t *testing.T) {
	s := &script{t: t, path: "namespaces.sh", dir: t.TempDir()}
	help := s.want(0, "usage:", "--help")
	for _, word := range []string{"up ", "exec ", "shell ", "status ", "down ", "-n NAME", "192.0.2.1/24", "2001:db8::1/64", "XDG_RUNTIME_DIR"} {
		if !strings.Contains(help, word) {
			t.Errorf("the help lacks %q", word)
		}
	}
	for _, args := range [][]string{{}, {"sideways"}, {"--sideways"}, {"-n"}, {"-n", "a/b", "up"}, {"-n", "", "up"}, {"exec"}, {"up", "down"}} {
		s.want(2, "--help", args...)
	}
}

func TestScriptLifecycle(t *testing.T) {
	s := newScript(t)
	s.want(3, "is not up", "status")
	s.want(1, "run \"", "exec", "true")
	s.want(0, "is up: tun0", "up")
	s.want(0, "is up already", "up")
	s.want(0, "2001:db8::1/64", "status")
	s.want(0, "192.0.2.1/24", "exec", "ip", "address", "show", "dev", "tun0")
	s.want(7, "", "exec", "sh", "-c", "exit 7")
	s.want(0, "in userstack", "exec", "sh", "-c", `echo in $USERSTACK_NAMESPACE`)
	t.Setenv("SHELL", "/bin/pwd")
	s.want(0, "/", "shell")

	s.want(0, "is up: tun0", "-n", "other", "up")
	s.want(0, "is down", "-n", "other", "down")
	s.want(0, "0 other processes", "status")

	// A daemon in the namespace ends with it.
	out := s.want(0, "", "exec", "sh", "-c", `setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $!`)
	pid, err := strconv.Atoi(strings.TrimSpace(out))
	if err != nil {
		t.Fatal(err)
	}
	s.want(0, "1 other processes", "status")
	s.want(0, "is down", "down")
	if _, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/net"); err == nil {
		t.Error("a program outlived the namespace")
	}
	s.want(0, "is not up", "down")
}

// TestScriptDevice opens the device twice from programs in the namespace, as
// "namespaces.sh exec userstack" does.
func TestScriptDevice(t *testing.T) {
	if os.Getenv("SCRIPT_TEST_INSIDE") != "" {
		useDevice(t)
		return
	}
	s := newScript(t)
	s.want(0, "is up", "up")
	t.Setenv("SCRIPT_TEST_INSIDE", "1")
	for range 2 {
		s.want(0, "--- PASS: TestScriptDevice", "exec", os.Args[0], "-test.run=^TestScriptDevice$", "-test.v")
	}
	s.want(0, "tun0", "status")
}

// useDevice sends a datagram to the kernel through the device.
func useDevice(t *testing.T) {
	dev, err := tun.Open(tun.Config{Name: "tun0", Addrs: []netip.Prefix{
		netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(tuntest.Far))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := dev.Write(0, [][][]byte{{tuntest.Datagram(tuntest.Near, tuntest.Far, []byte("hello"))}}); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 10)
	if n, _, err := conn.ReadFrom(buf); string(buf[:n]) != "hello" {
		t.Errorf("%q, %v", buf[:n], err)
	}
}

// TestScriptStale kills the process that holds the namespace, and gives its
// number to another.
func TestScriptStale(t *testing.T) {
	s := newScript(t)
	s.want(0, "is up", "up")
	kill(t, s.holder())
	s.want(3, "is not up", "status")
	s.want(0, "is up: tun0", "up")

	held := s.holder()
	if err := os.WriteFile(s.pidFile(), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		t.Fatal(err)
	}
	s.want(3, "is not up", "status")
	s.want(0, "is not up", "down") // and this process lives
	kill(t, held)
}

// holder returns the number of the process that holds the namespace.
func (s *script) holder() int {
	s.t.Helper()
	data, err := os.ReadFile(s.pidFile())
	if err != nil {
		s.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		s.t.Fatal(err)
	}
	return pid
}

func (s *script) pidFile() string {
	return filepath.Join(s.dir, "userstack-"+strconv.Itoa(os.Getuid()), "userstack", "pid")
}

// kill ends a process and waits until it is in no namespace any more.
func kill(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		t.Fatal(err)
	}
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 5000); n != 1 {
		t.Fatalf("process %d does not end: %v", pid, err)
	}
}

// TestScriptFails checks what is said when something is missing, and that
// nothing is left then.
func TestScriptFails(t *testing.T) {
	for name, c := range map[string]struct {
		before []string
		says   string
	}{
		"no driver": {
			[]string{"unshare", "-Ur", "-mn", "sh", "-c", `mount -t tmpfs none /dev/net && exec "$@"`, "sh"},
			"modprobe tun",
		},
		"no namespaces": {
			[]string{"unshare", "-Ur", "-mn", "sh", "-c", `echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set -sys_admin "$@"`, "sh"},
			"sysctl -w user.max_user_namespaces",
		},
		"no device": { // the namespace comes about, the device does not
			[]string{"unshare", "-Ur", "-mn", "sh", "-c", `mount -t tmpfs none /dev/net && : >/dev/net/tun && exec "$@"`, "sh"},
			"cannot make the device",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.before = c.before
			s.want(1, c.says, "up")
			if left, err := filepath.Glob(s.dir + "/userstack-*/*"); len(left) > 0 || err != nil {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
	t.Run("no ip", func(t *testing.T) {
		s := newScript(t)
		path := t.TempDir()
		for _, tool := range []string{"sh", "id"} {
			file, err := exec.LookPath(tool)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(file, filepath.Join(path, tool)); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("PATH", path)
		s.want(1, "install the package iproute2", "up")
	})
	t.Run("foreign directory", func(t *testing.T) {
		s := newScript(t)
		link := filepath.Join(s.dir, "userstack-"+strconv.Itoa(os.Getuid()))
		if err := os.Symlink(t.TempDir(), link); err != nil {
			t.Fatal(err)
		}
		s.want(1, "not a directory of yours", "up")
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	})
}

// TestScriptOrdinaryUser runs the script without privileges, as nobody if this
// process is root. Whether that user can have a device is up to the mode of
// /dev/net/tun.
func TestScriptOrdinaryUser(t *testing.T) {
	testnet.RequireNamespaces(t)
	// nobody may not be able to see the tree or the test's directory.
	dir, err := os.MkdirTemp("", "namespaces-sh-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	text, err := os.ReadFile("namespaces.sh")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{t: t, path: filepath.Join(dir, "namespaces.sh"), dir: dir}
	if err := os.WriteFile(s.path, text, 0o755); err != nil {
		t.Fatal(err)
	}
	if s.nobody = os.Getuid() == 0; s.nobody {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat("/dev/net/tun")
	if err != nil {
		t.Fatal(err)
	}
	if s.nobody && info.Mode().Perm()&0o006 != 0o006 {
		s.want(1, "chmod 0666", "up")
		return
	}
	defer s.want(0, "is down", "down")
	s.want(0, "is up: tun0", "up")
	s.want(0, "0\n", "exec", "id", "-u")
	s.want(0, "2001:db8::1/64", "status")
}

func TestScriptLint(t *testing.T) {
	out, err := exec.Command("shellcheck", "namespaces.sh").CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip(err)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
