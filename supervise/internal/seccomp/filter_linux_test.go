package seccomp

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// native are the two machines' own ABIs, in the order of numbers.
var native = []struct {
	goarch string
	arch   uint32
}{{"amd64", unix.AUDIT_ARCH_X86_64}, {"arm64", unix.AUDIT_ARCH_AARCH64}}

// TestFilter puts the table to the filters of both machines, without the kernel.
func TestFilter(t *testing.T) {
	for i, machine := range native {
		filter := newEvaluator(t, Rules{}.program(machine.goarch))
		for _, c := range calls {
			got := filter.verdict(t, data{arch: machine.arch, nr: numbers[c.name][i], args: c.args})
			if got != c.want {
				t.Errorf("%s: %s(%#x): %#x, want %#x", machine.goarch, c.name, c.args, got, c.want)
			}
		}
	}
}

// foreign are the other ABIs of the machines' kernels, and one that they do not have.
var foreign = []struct {
	goarch      string
	arch        uint32
	first, last uint32
	want        uint32
}{
	{"amd64", unix.AUDIT_ARCH_I386, 0, 53, allowed},
	{"amd64", unix.AUDIT_ARCH_I386, 55, 101, allowed},                   // TestForeignIoctl has 54
	{"amd64", unix.AUDIT_ARCH_I386, 102, 102, fails(unix.EAFNOSUPPORT)}, // socketcall
	{"amd64", unix.AUDIT_ARCH_I386, 103, 336, allowed},
	{"amd64", unix.AUDIT_ARCH_I386, 337, 337, fails(unix.EAFNOSUPPORT)}, // recvmmsg
	{"amd64", unix.AUDIT_ARCH_I386, 338, 344, allowed},
	{"amd64", unix.AUDIT_ARCH_I386, 345, 345, fails(unix.EAFNOSUPPORT)}, // sendmmsg
	{"amd64", unix.AUDIT_ARCH_I386, 346, 358, allowed},
	{"amd64", unix.AUDIT_ARCH_I386, 359, 373, fails(unix.EAFNOSUPPORT)}, // socket to shutdown
	{"amd64", unix.AUDIT_ARCH_I386, 374, 416, allowed},
	{"amd64", unix.AUDIT_ARCH_I386, 417, 417, fails(unix.EAFNOSUPPORT)}, // recvmmsg_time64
	{"amd64", unix.AUDIT_ARCH_I386, 418, 424, allowed},
	{"amd64", unix.AUDIT_ARCH_I386, 425, 427, fails(unix.ENOSYS)}, // io_uring
	{"amd64", unix.AUDIT_ARCH_I386, 428, 437, allowed},
	{"amd64", unix.AUDIT_ARCH_I386, 438, 438, fails(unix.EPERM)}, // pidfd_getfd
	{"amd64", unix.AUDIT_ARCH_I386, 439, 600, allowed},
	{"amd64", unix.AUDIT_ARCH_X86_64, 1<<30 - 1, 1<<30 - 1, allowed},
	{"amd64", unix.AUDIT_ARCH_X86_64, 1 << 30, 1<<30 + 600, fails(unix.ENOSYS)}, // x32
	{"amd64", unix.AUDIT_ARCH_X86_64, 1<<32 - 1, 1<<32 - 1, fails(unix.ENOSYS)},
	{"amd64", unix.AUDIT_ARCH_AARCH64, 0, 600, killed},
	{"arm64", unix.AUDIT_ARCH_ARM, 0, 53, allowed},
	{"arm64", unix.AUDIT_ARCH_ARM, 55, 280, allowed},                   // TestForeignIoctl has 54
	{"arm64", unix.AUDIT_ARCH_ARM, 281, 297, fails(unix.EAFNOSUPPORT)}, // socket to recvmsg
	{"arm64", unix.AUDIT_ARCH_ARM, 298, 364, allowed},
	{"arm64", unix.AUDIT_ARCH_ARM, 365, 366, fails(unix.EAFNOSUPPORT)}, // recvmmsg, accept4
	{"arm64", unix.AUDIT_ARCH_ARM, 367, 373, allowed},
	{"arm64", unix.AUDIT_ARCH_ARM, 374, 374, fails(unix.EAFNOSUPPORT)}, // sendmmsg
	{"arm64", unix.AUDIT_ARCH_ARM, 375, 416, allowed},
	{"arm64", unix.AUDIT_ARCH_ARM, 417, 417, fails(unix.EAFNOSUPPORT)}, // recvmmsg_time64
	{"arm64", unix.AUDIT_ARCH_ARM, 418, 424, allowed},
	{"arm64", unix.AUDIT_ARCH_ARM, 425, 427, fails(unix.ENOSYS)}, // io_uring
	{"arm64", unix.AUDIT_ARCH_ARM, 428, 437, allowed},
	{"arm64", unix.AUDIT_ARCH_ARM, 438, 438, fails(unix.EPERM)}, // pidfd_getfd
	{"arm64", unix.AUDIT_ARCH_ARM, 439, 600, allowed},
	{"arm64", unix.AUDIT_ARCH_ARM, 0xf0001, 0xf0006, allowed}, // __ARM_NR_*: cache flushes, thread pointers
	{"arm64", unix.AUDIT_ARCH_X86_64, 0, 600, killed},
	{"arm64", unix.AUDIT_ARCH_ARMEB, 0, 600, killed},
}

func TestForeignABIs(t *testing.T) {
	for _, f := range foreign {
		filter := newEvaluator(t, Rules{}.program(f.goarch))
		for nr := uint64(f.first); nr <= uint64(f.last); nr++ {
			if got := filter.verdict(t, data{arch: f.arch, nr: uint32(nr)}); got != f.want {
				t.Errorf("%s: call %d of ABI %#x: %#x, want %#x", f.goarch, nr, f.arch, got, f.want)
			}
		}
	}
}

// TestForeignIoctl asks for interfaces by the ABIs that have no sockets.
func TestForeignIoctl(t *testing.T) {
	for _, machine := range []struct {
		goarch string
		arch   uint32
	}{{"amd64", unix.AUDIT_ARCH_I386}, {"arm64", unix.AUDIT_ARCH_ARM}} {
		filter := newEvaluator(t, Rules{}.program(machine.goarch))
		for request, want := range map[uint64]uint32{
			0x541b: allowed, 0x88ff: allowed, 0x8a00: allowed,
			unix.SIOCGIFCONF: fails(unix.ENOTTY), unix.SIOCSIFFLAGS: fails(unix.ENOTTY), 0x80108906: fails(unix.ENOTTY),
		} {
			if got := filter.verdict(t, data{arch: machine.arch, nr: 54, args: [6]uint64{nowhere, request}}); got != want {
				t.Errorf("%s: request %#x: %#x, want %#x", machine.goarch, request, got, want)
			}
		}
	}
}

// TestUntrappedCallsAreFree looks for calls which the kernel could not allow without a run of the filter, and for a filter
// that takes long to let the others pass.
func TestUntrappedCallsAreFree(t *testing.T) {
	const most = 12 // instructions; a kernel before 5.11 runs them all
	for i, machine := range native {
		prog := Rules{}.program(machine.goarch)
		judged := map[uint32]bool{}
		for _, c := range calls {
			judged[numbers[c.name][i]] = judged[numbers[c.name][i]] || c.want != allowed
		}
		for nr := range numbers["last"][i] + 1 {
			free, steps := constant(prog, data{arch: machine.arch, nr: nr})
			if free == judged[nr] || free && steps > most {
				t.Errorf("%s: call %d: free: %v, after %d instructions", machine.goarch, nr, free, steps)
			}
		}
	}
	for _, f := range foreign {
		free, steps := constant(Rules{}.program(f.goarch), data{arch: f.arch, nr: f.first})
		if free != (f.want == allowed) || free && steps > most {
			t.Errorf("%s: call %d of ABI %#x: free: %v, after %d instructions", f.goarch, f.first, f.arch, free, steps)
		}
	}
}

// TestTrap has further calls stop, and leaves the tables of the package alone.
func TestTrap(t *testing.T) {
	for i, machine := range native {
		d := data{arch: machine.arch, nr: numbers["dup"][i]}
		if got := newEvaluator(t, Rules{Trap: []int{int(d.nr)}}.program(machine.goarch)).verdict(t, d); got != stopped {
			t.Errorf("%s: %#x, want it to stop", machine.goarch, got)
		}
		if got := newEvaluator(t, Rules{}.program(machine.goarch)).verdict(t, d); got != allowed {
			t.Errorf("%s: %#x, want it allowed", machine.goarch, got)
		}
	}
	if prog := (Rules{}).program("riscv64"); prog != nil {
		t.Errorf("a filter for riscv64: %v", prog)
	}
}

// decide is the table once more, as one would say it, for calls that nobody thought of.
func decide(goarch string, d data) uint32 {
	domain, protocol, flags := uint32(d.args[0]), uint32(d.args[2]), uint32(d.args[3])
	name := ""
	switch {
	case goarch == "amd64" && d.arch == unix.AUDIT_ARCH_I386:
		return decideForeign(d, d.nr == 102 || d.nr == 337 || d.nr == 345 || d.nr >= 359 && d.nr <= 373)
	case goarch == "arm64" && d.arch == unix.AUDIT_ARCH_ARM:
		return decideForeign(d, d.nr >= 281 && d.nr <= 297 || d.nr == 365 || d.nr == 366 || d.nr == 374)
	case goarch == "amd64" && d.arch == unix.AUDIT_ARCH_X86_64 && d.nr >= 1<<30:
		return fails(unix.ENOSYS)
	case goarch == "amd64" && d.arch == unix.AUDIT_ARCH_X86_64:
		name = names[0][d.nr]
	case goarch == "arm64" && d.arch == unix.AUDIT_ARCH_AARCH64:
		name = names[1][d.nr]
	default:
		return killed
	}
	unnamed := d.args[4] == 0
	switch {
	case name == "socket" && domain == unix.AF_UNIX, name == "socketpair" && domain == unix.AF_UNIX:
		return allowed
	case name == "socket" && domain == unix.AF_NETLINK && protocol != 0:
		return fails(unix.EPROTONOSUPPORT)
	case name == "socket" && slices.Contains(known, domain):
		return stopped
	case name == "socketpair" && slices.Contains(known, domain):
		return fails(unix.EOPNOTSUPP)
	case name == "socket", name == "socketpair":
		return fails(unix.EAFNOSUPPORT)
	case name == "sendto" && unnamed && flags&^(0x40|0x4000|0x8000|0x80) == 0 && uint32(d.args[2]) != 20:
		return allowed
	case name == "recvfrom" && unnamed && flags&^(0x2|0x40|0x100|0x4000|0x40000000) == 0:
		return allowed
	case name == "ioctl" && d.args[1]>>8&0xff != 0x89:
		return allowed
	case slices.Contains(socketCalls, name):
		return stopped
	case strings.HasPrefix(name, "io_uring"):
		return fails(unix.ENOSYS)
	case name == "pidfd_getfd":
		return fails(unix.EPERM)
	}
	return allowed
}

func decideForeign(d data, aboutSockets bool) uint32 {
	switch {
	case aboutSockets || d.nr == 417:
		return fails(unix.EAFNOSUPPORT)
	case d.nr == 54 && d.args[1]>>8&0xff == 0x89:
		return fails(unix.ENOTTY)
	case d.nr >= 425 && d.nr <= 427:
		return fails(unix.ENOSYS)
	case d.nr == 438:
		return fails(unix.EPERM)
	}
	return allowed
}

// known are the families that programs may have sockets of, besides Unix sockets.
var known = []uint32{2, 10, 16, 17}

// socketCalls may stop.
var socketCalls = strings.Fields("connect bind listen accept accept4 getsockname getpeername setsockopt getsockopt shutdown " +
	"sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg ioctl")

// names is numbers the other way round.
var names = func() (all [2]map[uint32]string) {
	for i := range all {
		all[i] = map[uint32]string{}
		for name, nr := range numbers {
			all[i][nr[i]] = name
		}
	}
	return all
}()

// FuzzFilter compares the filters with decide.
func FuzzFilter(f *testing.F) {
	for i, machine := range native {
		for _, c := range calls {
			f.Add(i, machine.arch, numbers[c.name][i], c.args[0], c.args[1], c.args[2], c.args[3], c.args[4])
		}
	}
	for _, a := range foreign {
		f.Add(slices.Index([]string{"amd64", "arm64"}, a.goarch), a.arch, a.last, uint64(2), uint64(1), uint64(0), uint64(0), uint64(0))
	}
	filters := []evaluator{newEvaluator(f, Rules{}.program("amd64")), newEvaluator(f, Rules{}.program("arm64"))}
	f.Fuzz(func(t *testing.T, i int, arch, nr uint32, a0, a1, a2, a3, a4 uint64) {
		i &= 1
		d := data{arch: arch, nr: nr, args: [6]uint64{a0, a1, a2, a3, a4}}
		if got, want := filters[i].verdict(t, d), decide(native[i].goarch, d); got != want {
			t.Errorf("%s: %+v: %#x, want %#x", native[i].goarch, d, got, want)
		}
	})
}

// TestFilterAtRandom is a short FuzzFilter with a better aim: numbers near those of the table, arguments near its values.
func TestFilterAtRandom(t *testing.T) {
	const rounds = 50_000
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	word := func() uint64 {
		w := calls[random.IntN(len(calls))].args[random.IntN(6)]
		switch random.IntN(4) {
		case 0:
			w ^= 1 << random.IntN(64)
		case 1:
			w += random.Uint64N(3) - 1
		}
		return w
	}
	filters := []evaluator{newEvaluator(t, Rules{}.program("amd64")), newEvaluator(t, Rules{}.program("arm64"))}
	for range rounds {
		f := foreign[random.IntN(len(foreign))]
		i := slices.Index([]string{"amd64", "arm64"}, f.goarch)
		d := data{arch: f.arch, nr: f.first + uint32(random.IntN(3)) - 1}
		if random.IntN(4) > 0 {
			d = data{arch: native[i].arch, nr: uint32(random.IntN(500))}
		}
		for j := range d.args {
			d.args[j] = word()
		}
		if got, want := filters[i].verdict(t, d), decide(native[i].goarch, d); got != want {
			t.Fatalf("%s: %+v: %#x, want %#x (seed %d)", native[i].goarch, d, got, want, seed)
		}
	}
}
