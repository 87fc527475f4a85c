package seccomp

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func init() {
	// memory maps four parts, of which the second is for reading only and the third is taken away again, a hole that nothing
	// else fits into. It passes their address by a stopped call and prints at the end what the first two hold.
	children["memory"] = func() {
		size := partSize()
		parts, err := unix.Mmap(-1, 0, 4*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			fmt.Println(err)
			return
		}
		fill(parts)
		if err := unix.Mprotect(parts[size:2*size], unix.PROT_READ); err != nil {
			fmt.Println(err)
			return
		}
		addr := uintptr(unsafe.Pointer(unsafe.SliceData(parts))) // all that the parent knows of them
		if _, _, errno := unix.Syscall(unix.SYS_MUNMAP, addr+2*uintptr(size), uintptr(size), 0); errno != 0 {
			fmt.Println(errno)
			return
		}
		_, _, _ = unix.Syscall(unix.SYS_GETPPID, addr, 0, 0)
		fmt.Printf("%x", parts[:2*size])
	}
}

// partSize is the size of a part of the child's memory: a few pages.
func partSize() int { return 4 * os.Getpagesize() }

// fill writes a pattern that does not repeat with the parts.
func fill(p []byte) {
	for i := range p {
		p[i] = byte(i % 251)
	}
}

// remote is the child "memory", stopped.
type remote struct {
	*filtered
	Notification
	tid  int
	addr uint64
	size int    // of a part
	want []byte // what the first two hold
}

func startRemote(t testing.TB) *remote {
	t.Helper()
	f := start(t, "memory")
	n := f.receive(t, unix.SYS_GETPPID)
	r := &remote{filtered: f, Notification: n, tid: int(n.TID), addr: n.Args[0], size: partSize()}
	r.want = make([]byte, 2*r.size)
	fill(r.want)
	return r
}

// ways are those in which copier works: as it chooses, and as it does in a sandbox without process_vm_readv(2).
var ways = []struct {
	name string
	copy func(c copier, tid int, s ...Segment) (int, error)
}{
	{"vm", func(c copier, tid int, s ...Segment) (int, error) { return c.segments(tid, s) }},
	{"file", func(c copier, tid int, s ...Segment) (int, error) { return c.byFile(tid, s, unix.ENOSYS) }},
}

func TestReadMemory(t *testing.T) {
	r := startRemote(t)
	end := r.addr + uint64(2*r.size) // of what is readable
	for _, way := range ways {
		for _, test := range []struct {
			name string
			addr uint64
			n    int // bytes to read
			want int // bytes read
			err  error
		}{
			{"nothing", 0, 0, 0, nil},
			{"a byte", r.addr, 1, 1, nil},
			{"across parts", r.addr + 10, r.size + 20, r.size + 20, nil},
			{"to the end", end - 16, 16, 16, nil},
			{"past the end", end - 16, 17, 16, unix.EFAULT},
			{"far past the end", end - uint64(r.size) - 3, 2 * r.size, r.size + 3, unix.EFAULT},
			{"at the end", end, 1, 0, unix.EFAULT},
			{"at NULL", 0, 8, 0, unix.EFAULT},
			{"at -1", ^uint64(0), 8, 0, unix.EFAULT},
			{"of the kernel", 1 << 63, 8, 0, unix.EFAULT},
		} {
			p := make([]byte, test.n)
			n, err := way.copy(reading, r.tid, Segment{test.addr, p})
			if n != test.want || !errors.Is(err, test.err) {
				t.Errorf("%s: %s: %d, %v, want %d, %v", way.name, test.name, n, err, test.want, test.err)
			}
			if n > 0 && !bytes.Equal(p[:n], r.want[test.addr-r.addr:][:n]) {
				t.Errorf("%s: %s: wrong bytes", way.name, test.name)
			}
			if i := slices.IndexFunc(p[max(n, 0):], func(c byte) bool { return c != 0 }); i >= 0 {
				t.Errorf("%s: %s: byte %d was written to, too", way.name, test.name, n+i)
			}
		}
	}
}

// TestWriteMemory writes across the parts. By file it reaches those as well that are for reading only.
func TestWriteMemory(t *testing.T) {
	for _, way := range ways {
		r := startRemote(t)
		word := []byte("eightlet")
		write := func(addr uint64, p []byte, want int, wantErr error) {
			t.Helper()
			n, err := way.copy(writing, r.tid, Segment{addr, p})
			if n != want || !errors.Is(err, wantErr) {
				t.Errorf("%s: %#x: %d, %v, want %d, %v", way.name, addr, n, err, want, wantErr)
			}
			if n > 0 {
				copy(r.want[addr-r.addr:], p[:n])
			}
		}
		write(r.addr, word, 8, nil)
		write(r.addr+100, nil, 0, nil)
		write(r.addr+uint64(r.size)-8, word, 8, nil)
		write(r.addr+uint64(2*r.size), word, 0, unix.EFAULT)
		write(0, word, 0, unix.EFAULT)
		write(1<<63, word, 0, unix.EFAULT)
		if way.name == "vm" {
			write(r.addr+uint64(r.size)-3, word, 3, unix.EFAULT)
			write(r.addr+uint64(r.size), word, 0, unix.EFAULT)
		}
		if err := r.Return(r.ID, 0); err != nil {
			t.Error(err)
		}
		if got := r.finish(t); got != fmt.Sprintf("%x", r.want) {
			t.Errorf("%s: the program's memory is not what was written", way.name)
		}
	}
}

// TestSegments reads and writes several pieces at once.
func TestSegments(t *testing.T) {
	r := startRemote(t)
	for _, way := range ways {
		a, b := make([]byte, 3), make([]byte, r.size)
		n, err := way.copy(reading, r.tid, Segment{r.addr + 7, a}, Segment{r.addr + 100, nil}, Segment{r.addr + uint64(r.size)/2, b})
		if n != len(a)+len(b) || err != nil {
			t.Errorf("%s: %d, %v", way.name, n, err)
		}
		if !bytes.Equal(a, r.want[7:10]) || !bytes.Equal(b, r.want[r.size/2:][:r.size]) {
			t.Errorf("%s: wrong bytes", way.name)
		}
		n, err = way.copy(reading, r.tid, Segment{r.addr, a}, Segment{8, a}, Segment{r.addr, b})
		if n != len(a) || err != unix.EFAULT {
			t.Errorf("%s: with a bad address in the middle: %d, %v, want %d, EFAULT", way.name, n, err, len(a))
		}
	}
	if n, err := ReadSegments(r.tid, make([]Segment, maxSegments+1)...); n != 0 || err != unix.EINVAL {
		t.Errorf("too many: %d, %v", n, err)
	}
	if n, err := WriteSegments(r.tid, Segment{r.addr, []byte("ab")}, Segment{r.addr + 4, []byte("c")}); n != 3 || err != nil {
		t.Errorf("WriteSegments: %d, %v", n, err)
	}
	got := make([]byte, 6)
	if _, err := ReadMemory(r.tid, r.addr, got); err != nil || string(got) != "ab\x02\x03c\x05" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestMemoryOfNobody names a thread that has ended.
func TestMemoryOfNobody(t *testing.T) {
	r := startRemote(t)
	if err := r.Return(r.ID, 0); err != nil {
		t.Error(err)
	}
	r.finish(t)
	if n, err := ReadMemory(r.tid, r.addr, make([]byte, 1)); n != 0 || err != unix.ESRCH {
		t.Errorf("%d, %v, want ESRCH", n, err)
	}
}
