package seccomp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// iovecs puts an array of struct iovec at the start of the remote's memory.
func (r *remote) iovecs(t *testing.T, v ...uint64) {
	t.Helper()
	var raw []byte
	for _, word := range v {
		raw = binary.NativeEndian.AppendUint64(raw, word)
	}
	if _, err := WriteMemory(r.tid, r.addr, raw); err != nil {
		t.Fatal(err)
	}
	copy(r.want, raw)
}

func TestReadVectors(t *testing.T) {
	r := startRemote(t)
	const most = 0x7ffff000 // bytes, of which Linux transfers no more in a call
	for _, test := range []struct {
		name  string
		array []uint64 // address and length of each
		at    uint64
		count uint64
		want  Vectors
		err   error
	}{
		{"none", nil, 0, 0, nil, nil},
		{"two", []uint64{1, 2, 3, 4}, r.addr, 2, Vectors{{Base: 1, Len: 2}, {Base: 3, Len: 4}}, nil},
		{"too many", nil, r.addr, 1025, nil, unix.EMSGSIZE},
		{"negative as a number", nil, r.addr, ^uint64(0), nil, unix.EMSGSIZE},
		{"a negative length", []uint64{1, 2, 3, ^uint64(0)}, r.addr, 2, nil, unix.EINVAL},
		{"a very negative length", []uint64{1, 1 << 63}, r.addr, 1, nil, unix.EINVAL},
		{"at NULL", nil, 0, 1, nil, unix.EFAULT},
		{"past the end", nil, r.addr + uint64(2*r.size) - 16, 2, nil, unix.EFAULT},
		{"more bytes than a call transfers", []uint64{1, most - 1, 2, 5, 3, 1}, r.addr, 3,
			Vectors{{Base: 1, Len: most - 1}, {Base: 2, Len: 1}, {Base: 3, Len: 0}}, nil},
	} {
		r.iovecs(t, test.array...)
		got, err := ReadVectors(r.tid, test.at, test.count)
		if !slices.Equal(got, test.want) || err != test.err {
			t.Errorf("%s: %v, %v, want %v, %v", test.name, got, err, test.want, test.err)
		}
	}
	r.iovecs(t, make([]uint64, 2*maxVectors)...)
	if v, err := ReadVectors(r.tid, r.addr, maxVectors); len(v) != maxVectors || err != nil {
		t.Errorf("as many as possible: %d, %v", len(v), err)
	}
}

// transfers are the two ways of vectors.
var transfers = []struct {
	name string
	copy func(c copier, tid int, v Vectors, p []byte) (int, error)
}{
	{"vm", copier.vectors},
	{"file", func(c copier, tid int, v Vectors, p []byte) (int, error) {
		return c.vectorsByFile(tid, v, p[:min(len(p), v.Len())], unix.ENOSYS)
	}},
}

// many returns vectors of one byte each, backwards.
func (r *remote) many(n int) (v Vectors) {
	for i := range n {
		v = append(v, unix.RemoteIovec{Base: uintptr(r.addr) + uintptr(n-1-i), Len: 1})
	}
	return v
}

func TestGather(t *testing.T) {
	r := startRemote(t)
	at := func(offset, n int) unix.RemoteIovec {
		return unix.RemoteIovec{Base: uintptr(r.addr) + uintptr(offset), Len: n}
	}
	backwards := slices.Clone(r.want[:maxVectors])
	slices.Reverse(backwards)
	for _, way := range transfers {
		for _, test := range []struct {
			name string
			v    Vectors
			n    int // bytes wanted
			want []byte
			err  error
		}{
			{"nothing", nil, 5, nil, nil},
			{"into nothing", Vectors{at(0, 5)}, 0, nil, nil},
			{"pieces", Vectors{at(3, 2), at(100, 0), at(20, 3)}, 10, []byte{3, 4, 20, 21, 22}, nil},
			{"less than there is", Vectors{at(3, 2), at(20, 3), at(1, 1)}, 3, []byte{3, 4, 20}, nil},
			{"a bad address after the end", Vectors{at(3, 2), {Base: 1, Len: 4}}, 2, []byte{3, 4}, nil},
			{"a bad address", Vectors{at(3, 2), {Base: 1, Len: 4}, at(5, 1)}, 5, []byte{3, 4}, unix.EFAULT},
			{"past the end", Vectors{at(2*r.size-1, 2), at(0, 1)}, 3, r.want[2*r.size-1:], unix.EFAULT},
			{"as many as possible", r.many(maxVectors), maxVectors, backwards, nil},
		} {
			p := make([]byte, test.n)
			n, err := way.copy(reading, r.tid, test.v, p)
			if n < 0 || !bytes.Equal(p[:n], test.want) || !errors.Is(err, test.err) {
				t.Errorf("%s: %s: %d, %v, %v, want %v, %v", way.name, test.name, n, p[:n], err, test.want, test.err)
			}
		}
	}
}

func TestScatter(t *testing.T) {
	r := startRemote(t)
	for _, way := range transfers {
		fill(r.want)
		if _, err := WriteMemory(r.tid, r.addr, r.want[:r.size]); err != nil {
			t.Fatal(err)
		}
		v := Vectors{{Base: uintptr(r.addr) + 50, Len: 2}, {Base: uintptr(r.addr), Len: 3}, {Base: 1, Len: 1}}
		if n, err := way.copy(writing, r.tid, v, []byte("abcd")); n != 4 || err != nil {
			t.Errorf("%s: %d, %v", way.name, n, err)
		}
		copy(r.want[50:], "ab")
		copy(r.want, "cd")
		if n, err := way.copy(writing, r.tid, v[1:], []byte("efgh")); n != 3 || err != unix.EFAULT {
			t.Errorf("%s: %d, %v, want 3, EFAULT", way.name, n, err)
		}
		copy(r.want, "efg")
		got := make([]byte, r.size)
		if _, err := v[:1].Gather(r.tid, got); err != nil || string(got[:2]) != "ab" {
			t.Errorf("%s: %q, %v", way.name, got[:2], err)
		}
		if _, err := ReadMemory(r.tid, r.addr, got); err != nil || !bytes.Equal(got, r.want[:r.size]) {
			t.Errorf("%s: the program's memory is not what was written: %v", way.name, err)
		}
	}
}
