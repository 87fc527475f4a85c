package seccomp

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	// loop calls until a call fails.
	children["loop"] = func() {
		for {
			if _, errno := getppid(); errno != 0 {
				return
			}
		}
	}
}

// end lets the child's loop end.
func (f *filtered) end(b *testing.B, nr int) {
	b.Helper()
	n := f.receive(b, nr)
	if err := f.Fail(n.ID, unix.EMFILE); err != nil {
		b.Error(err)
	}
	f.finish(b)
}

// BenchmarkRoundTrip is a call that does nothing, from its stop to its next stop.
func BenchmarkRoundTrip(b *testing.B) {
	for _, mode := range []struct {
		name  string
		flags uintptr
	}{{"sync", unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP}, {"async", 0}} {
		b.Run(mode.name, func(b *testing.B) {
			f := start(b, "loop")
			_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(f.fd), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, mode.flags)
			if errno != 0 {
				b.Skip("needs SECCOMP_IOCTL_NOTIF_SET_FLAGS, of Linux 6.6: ", errno)
			}
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var n Notification
			b.ReportAllocs()
			for b.Loop() {
				if err := f.Receive(&n); err != nil {
					b.Fatal(err)
				}
				if err := f.Return(n.ID, 0); err != nil {
					b.Fatal(err)
				}
			}
			f.end(b, unix.SYS_GETPPID)
		})
	}
}

// BenchmarkInstall is a call that gets a descriptor, and close(2) of it.
func BenchmarkInstall(b *testing.B) {
	f := start(b, "sockets")
	ours := newSocket(b)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var n Notification
	b.ReportAllocs()
	for b.Loop() {
		if err := f.Receive(&n); err != nil {
			b.Fatal(err)
		}
		if _, err := f.Install(n.ID, ours, true); err != nil {
			b.Fatal(err)
		}
	}
	f.end(b, unix.SYS_SOCKET)
}

// BenchmarkStopped is what an answer may want to know of a thread that waits for it.
func BenchmarkStopped(b *testing.B) {
	r := startRemote(b)
	pidfd, err := OpenThread(r.tid)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(pidfd)
	ours := newSocket(b)
	theirs, err := r.InstallKeep(r.ID, ours, true)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := WriteMemory(r.tid, r.addr, make([]byte, 32)); err != nil { // as an array of empty vectors
		b.Fatal(err)
	}
	vectors := Vectors{{Base: uintptr(r.addr), Len: 16}, {Base: uintptr(r.addr) + 100, Len: 1400}}
	for _, do := range []struct {
		name string
		call func() error
	}{
		{"Alive", func() error { r.Alive(r.ID); return nil }},
		{"OpenThread", func() error {
			fd, err := OpenThread(r.tid)
			_ = unix.Close(fd)
			return err
		}},
		{"GetFD+Cookie", func() error {
			fd, err := GetFD(pidfd, theirs)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			_, err = Cookie(fd)
			return err
		}},
		{"Interrupted", func() error { Interrupted(r.tid); return nil }},
		{"ReadMemory/28", func() error {
			var p [28]byte
			_, err := ReadMemory(r.tid, r.addr, p[:])
			return err
		}},
		{"WriteMemory/28", func() error {
			var p [28]byte
			_, err := WriteMemory(r.tid, r.addr, p[:])
			return err
		}},
		{"WriteSegments/28+4", func() error {
			var p [32]byte
			_, err := WriteSegments(r.tid, Segment{r.addr, p[:28]}, Segment{r.addr + 64, p[28:]})
			return err
		}},
		{"ReadMemory/byFile", func() error {
			var p [28]byte
			_, err := reading.byFile(r.tid, []Segment{{r.addr, p[:]}}, nil)
			return err
		}},
		{"ReadVectors/2", func() error {
			_, err := ReadVectors(r.tid, r.addr, 2)
			return err
		}},
		{"Gather/1416", func() error {
			var p [1416]byte
			_, err := vectors.Gather(r.tid, p[:])
			return err
		}},
	} {
		b.Run(do.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := do.call(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// untrapped is how long calls take that the filter allows, by their number alone and by their arguments.
func untrapped() (byNumber, byArguments time.Duration) {
	const rounds = 20_000
	start := time.Now()
	for range rounds {
		_, _, _ = unix.RawSyscall(unix.SYS_GETPGID, 0, 0, 0)
	}
	middle := time.Now()
	for range rounds {
		_, _, _ = unix.RawSyscall6(unix.SYS_SENDTO, ^uintptr(0), 0, 0, 0, 0, 0)
	}
	return middle.Sub(start) / rounds, time.Since(middle) / rounds
}

func init() {
	children["untrapped"] = func() {
		for {
			byNumber, byArguments := untrapped()
			_, errno := getppid(uintptr(byNumber), uintptr(byArguments))
			if errno != 0 {
				return
			}
		}
	}
}

// BenchmarkUntrapped compares calls that do not stop with the same ones without a filter.
func BenchmarkUntrapped(b *testing.B) {
	f := start(b, "untrapped")
	least := func(old, new float64) float64 {
		if old == 0 || new < old {
			return new
		}
		return old
	}
	var filtered, free [2]float64
	for b.Loop() {
		n := f.receive(b, unix.SYS_GETPPID)
		byNumber, byArguments := untrapped()
		for i, d := range []time.Duration{byNumber, byArguments} {
			filtered[i] = least(filtered[i], float64(n.Args[i]))
			free[i] = least(free[i], float64(d))
		}
		if err := f.Return(n.ID, 0); err != nil {
			b.Fatal(err)
		}
	}
	f.end(b, unix.SYS_GETPPID)
	for i, name := range []string{"number", "arguments"} {
		b.ReportMetric(filtered[i], "ns/by-"+name)
		b.ReportMetric(free[i], "ns/by-"+name+"-unfiltered")
	}
}
