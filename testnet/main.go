package testnet

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/goleak"
	"gvisor.dev/gvisor/pkg/refs"
)

// Main runs the tests of a package and exits, with failure also when they all passed but left something behind: a
// goroutine, a descriptor (Linux), or a reference to a packet of gVisor's. It is the body of TestMain.
func Main(m *testing.M) {
	os.Exit(run(m.Run))
}

func run(tests func() int) int {
	if !benchmarks() {
		refs.SetLeakMode(refs.LeaksPanic)
	}
	startPoller()
	goroutines, files := goleak.IgnoreCurrent(), descriptors()
	code := tests()
	if code != 0 {
		return code // tests that gave up half-way leave much behind
	}
	for _, err := range []error{goleak.Find(goroutines), leakedPackets(), leakedDescriptors(files)} {
		if err != nil {
			fmt.Fprintln(os.Stderr, "testnet: left behind by the tests of this package:", err)
			code = 1
		}
	}
	return code
}

// benchmarks reports whether benchmarks are asked for. Following every packet, in one map behind one lock, would be a part
// of what they measure.
func benchmarks() bool {
	flag.Parse()
	f := flag.Lookup("test.bench")
	return f != nil && f.Value.String() != ""
}

func leakedPackets() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	refs.DoRepeatedLeakCheck()
	return nil
}

// startPoller makes the runtime open the descriptors of its network poller, which it keeps.
func startPoller() {
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
}

const descriptorDir = "/proc/self/fd" // proc_pid_fd(5); absent on other systems, where nothing is checked

// descriptors maps the process's open descriptors to what they are.
func descriptors() map[string]string {
	entries, _ := os.ReadDir(descriptorDir)
	open := map[string]string{}
	for _, e := range entries {
		// The descriptor of the listing itself is gone by now.
		if target, err := os.Readlink(filepath.Join(descriptorDir, e.Name())); err == nil {
			open[e.Name()] = target
		}
	}
	return open
}

func leakedDescriptors(before map[string]string) error {
	left := descriptors()
	maps.DeleteFunc(left, func(fd, target string) bool { return before[fd] == target })
	if len(left) == 0 {
		return nil
	}
	var list []string
	for fd, target := range left {
		list = append(list, fd+" "+target)
	}
	slices.Sort(list)
	return fmt.Errorf("descriptors %q", list)
}
