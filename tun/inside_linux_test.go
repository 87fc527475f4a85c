package tun_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/internal/needs"
	"github.com/userstack/userstack/tun/namespace"
)

// insideEnv is set in a process that inside started.
const insideEnv = "USERSTACK_TEST_INSIDE"

// needNamespaces skips a test where namespaces or devices cannot be had, or
// fails it where USERSTACK_REQUIRE says that they must be.
func needNamespaces(t *testing.T) {
	t.Helper()
	needs.Have(t, "netns", namespace.Available())
}

// inside reports whether the test runs in a network namespace of its own with
// privileges in it. If not, it runs the test there, in another process, started
// through the wrapper command if there is one, and takes over its result:
//
//	if !inside(t) {
//		return
//	}
func inside(t *testing.T, wrapper ...string) bool {
	t.Helper()
	if os.Getenv(insideEnv) != "" {
		return true
	}
	needNamespaces(t)
	ns, err := namespace.New(namespace.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	argv := append(wrapper, exe, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=60s")
	cmd := ns.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", insideEnv+"=1")
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	case bytes.Contains(out, []byte("--- SKIP")):
		t.Skipf("%s", out)
	case !bytes.Contains(out, []byte("--- PASS: "+t.Name())):
		t.Fatalf("the test did not run inside:\n%s", out)
	}
	if testing.Verbose() {
		t.Logf("%s", out)
	}
	return false
}

// descriptors returns this process's open files by descriptor.
func descriptors(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]string{}
	for _, e := range entries {
		// The directory's own descriptor is closed by now.
		if target, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name())); err == nil {
			open[e.Name()] = target
		}
	}
	return open
}

// checkDescriptors fails the test if it ends with more open files than it has now.
func checkDescriptors(t *testing.T) {
	t.Helper()
	r, w, err := os.Pipe() // so that the runtime has made its own descriptors
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	w.Close()
	before := descriptors(t)
	t.Cleanup(func() {
		for fd, target := range descriptors(t) {
			if before[fd] != target {
				t.Errorf("descriptor %s (%s) was left open", fd, target)
			}
		}
	})
}

// persist makes a device that outlives its descriptors, with the IFF flags given.
func persist(t *testing.T, name string, flags uint16) {
	t.Helper()
	fd := rawTUN(t, name, flags)
	defer unix.Close(fd)
	if err := unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1); err != nil {
		t.Fatal(err)
	}
}

// rawTUN opens a device with system calls alone.
func rawTUN(t *testing.T, name string, flags uint16) int {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		ifr.SetUint16(flags)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err != nil {
		unix.Close(fd)
		t.Fatal(err)
	}
	return fd
}

// exists reports whether the interface exists in this process's namespace.
func exists(name string) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/sys/net/ipv4/conf/%s", name))
	return err == nil
}
