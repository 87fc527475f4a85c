package seccomp

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// probed skips a test where answering calls is forbidden, and returns what there is.
func probed(t testing.TB) Features {
	t.Helper()
	found, err := Probe()
	if err != nil {
		t.Skip("needs what Probe looks for: ", err)
	}
	return found
}

// TestProbe compares what Probe found with what the kernel's version promises. A vendor's kernel may have more.
func TestProbe(t *testing.T) {
	found := probed(t)
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	var major, minor int
	release := unix.ByteSliceToString(name.Release[:])
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		t.Skipf("needs a kernel with a version that says what it has, not %q", release)
	}
	for _, f := range []struct {
		name         string
		major, minor int
		found        bool
	}{
		{"WaitKillable", 5, 19, found.WaitKillable},
		{"Restart", 5, 19, found.Restart},
		{"SyncWakeUp", 6, 6, found.SyncWakeUp},
		{"ThreadPidfd", 6, 9, found.ThreadPidfd},
	} {
		if !f.found && (major > f.major || major == f.major && minor >= f.minor) {
			t.Errorf("Linux %s has no %s", release, f.name)
		}
	}
}

// sandboxEnv lists calls that the child of TestProbeSays has refused, in the words of sandboxes.
const sandboxEnv = "USERSTACK_SECCOMP_SANDBOX"

// sandboxes refuse calls as those do that people run programs in.
var sandboxes = map[string]map[uint32]verdict{
	"none":               {unix.SYS_GETPGID: noCall}, // a call that nobody makes
	"no seccomp":         {unix.SYS_SECCOMP: noPermission},
	"no seccomp at all":  {unix.SYS_SECCOMP: noCall},
	"no pidfd_getfd":     {sysPidfdGetfd: noPermission},
	"an old pidfd_getfd": {sysPidfdGetfd: noCall},
	"no memory calls":    {unix.SYS_PROCESS_VM_READV: noCall, unix.SYS_PROCESS_VM_WRITEV: noPermission},
}

func init() {
	plain["probe"] = func() {
		runtime.LockOSThread() // Probe asks, and starts its process, on the thread that has the filter
		if calls := sandboxes[os.Getenv(sandboxEnv)]; calls != nil {
			if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
				fmt.Println(err)
				return
			}
			filter := assemble([]abi{{arch: native[own].arch, calls: calls}})
			if _, errno := setFilter(0, filter); errno != 0 {
				fmt.Println(errno)
				return
			}
		}
		found, err := Probe()
		fmt.Println(found.MemoryCalls, err, copies())
	}
	children["probe inside"] = plain["probe"]
}

// from is what copies copies: on a stack it would move.
var from = [4]byte{'f', 'r', 'o', 'm'}

// copies copies memory of this process as if it were another's, and reports whether that works.
func copies() bool {
	to := make([]byte, 4)
	v := Vectors{{Base: uintptr(unsafe.Pointer(&from[0])), Len: 2}, {Base: uintptr(unsafe.Pointer(&from[2])), Len: 2}}
	n, err := v.Gather(unix.Gettid(), to)
	m, werr := v.Scatter(unix.Gettid(), []byte("to"))
	return n == 4 && m == 2 && errors.Join(err, werr) == nil && string(to) == "from" && string(from[:]) == "toom"
}

// TestProbeSays runs Probe in sandboxes that lack something.
func TestProbeSays(t *testing.T) {
	if !probed(t).MemoryCalls {
		t.Skip("needs process_vm_readv(2), which this sandbox or kernel refuses")
	}
	for _, test := range []struct {
		sandbox string
		want    []string
	}{
		{"none", []string{"true <nil> true"}},
		{"no memory calls", []string{"false <nil> true"}}, // there is /proc
		{"no seccomp", []string{"a sandbox forbids seccomp filters", "operation not permitted"}},
		{"no seccomp at all", []string{"CONFIG_SECCOMP_FILTER", "function not implemented"}},
		{"no pidfd_getfd", []string{"may not take descriptors from its own child", "SYS_PTRACE", "operation not permitted"}},
		{"an old pidfd_getfd", []string{"Linux 5.6", "function not implemented"}},
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(childEnviron("probe"), sandboxEnv+"="+test.sandbox)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range test.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: %q does not say %q", test.sandbox, out, want)
			}
		}
	}
}

// TestProbeUnderSupervisor runs Probe in a process that is supervised already.
func TestProbeUnderSupervisor(t *testing.T) {
	f := start(t, "probe inside")
	if out, want := f.finish(t), "Linux allows one"; !strings.Contains(out, want) {
		t.Errorf("%q does not say %q", out, want)
	}
}
