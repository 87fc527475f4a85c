package namespace_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/userstack/userstack/internal/needs"
	"github.com/userstack/userstack/tun/namespace"
)

// under runs a test again in a user namespace of its own, through a shell
// script that ends in exec "$@" and may change what the user namespace is
// allowed. It reports whether it is in there.
func under(t *testing.T, script string) bool {
	t.Helper()
	if os.Getenv("USERSTACK_TEST_UNDER") != "" {
		return true
	}
	if err := namespace.Available(); err != nil {
		needs.Have(t, "netns", err)
	}
	cmd := exec.Command("unshare", "-Ur", "-mn", "sh", "-c", script, "sh", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "USERSTACK_TEST_UNDER=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

// wantUnavailable checks that both ways to ask say the same.
func wantUnavailable(t *testing.T, errno syscall.Errno, says string) {
	t.Helper()
	if err := namespace.Available(); !errors.Is(err, errno) || !strings.Contains(err.Error(), says) {
		t.Errorf("Available: %v; want %v and %q", err, errno, says)
	}
}

// Without CAP_SYS_ADMIN, the user namespace's root is like an ordinary user.
const ordinary = `exec setpriv --bounding-set -sys_admin "$@"`

func TestNoUserNamespaces(t *testing.T) {
	if under(t, "echo 0 >/proc/sys/user/max_user_namespaces && "+ordinary) {
		wantUnavailable(t, syscall.ENOSPC, "sysctl -w user.max_user_namespaces")
	}
}

func TestNoNetworkNamespaces(t *testing.T) {
	if under(t, "echo 0 >/proc/sys/user/max_net_namespaces && "+ordinary) {
		wantUnavailable(t, syscall.ENOSPC, "sysctl -w user.max_net_namespaces")
	}
}

func TestNoTUNDriver(t *testing.T) {
	if under(t, `mount -t tmpfs none /dev/net && exec "$@"`) {
		wantUnavailable(t, syscall.ENOENT, "modprobe tun")
	}
}

// TestOrdinaryUser makes a namespace as a user without privileges: this
// process's, or nobody when that is root. Whether the user may have a TUN
// device as well is up to the mode of /dev/net/tun.
func TestOrdinaryUser(t *testing.T) {
	if os.Getenv("USERSTACK_TEST_UNDER") == "" {
		if err := namespace.Available(); err != nil {
			needs.Have(t, "netns", err)
		}
		asNobody(t)
		return
	}
	file, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err == nil {
		file.Close()
		if err := namespace.Available(); err != nil {
			t.Error(err)
		}
	} else {
		wantUnavailable(t, syscall.EACCES, "chmod 0666 /dev/net/tun")
	}
	ns, err := namespace.New(namespace.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if got, err := exchange(t, ns, ns, "tcp4", "127.0.0.1:80"); got != "hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if out, err := ns.Command("id", "-u").CombinedOutput(); string(out) != "0\n" {
		t.Errorf("user inside: %q, %v", out, err)
	}
}

// asNobody runs a test again as user 65534, if this one is root. The test
// program is handed over open, since its directory may be closed to others.
func asNobody(t *testing.T) {
	t.Helper()
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	cmd := exec.Command("/proc/self/fd/3", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir, cmd.ExtraFiles, cmd.Env = "/", []*os.File{exe}, append(os.Environ(), "GORACE=atexit_sleep_ms=0", "USERSTACK_TEST_UNDER=1")
	if os.Geteuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestRootWithoutUserNamespaces falls back to a network namespace alone.
func TestRootWithoutUserNamespaces(t *testing.T) {
	if !under(t, `echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"`) {
		return
	}
	ns := newNamespace(t, namespace.Config{})
	if got, err := exchange(t, ns, ns, "tcp4", "127.0.0.1:80"); got != "hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if out, err := ns.Command("ls", "/proc/sys/net/ipv4/conf").CombinedOutput(); string(out) != "all\ndefault\nlo\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// TestRootInsideUserNamespace maps every id that there is: one, here.
func TestRootInsideUserNamespace(t *testing.T) {
	if !under(t, `exec "$@"`) {
		return
	}
	ns := newNamespace(t, namespace.Config{})
	if out, err := ns.Command("cat", "/proc/self/uid_map").CombinedOutput(); strings.Join(strings.Fields(string(out)), " ") != "0 0 1" {
		t.Errorf("%q, %v", out, err)
	}
}
