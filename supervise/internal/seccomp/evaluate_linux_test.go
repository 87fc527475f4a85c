package seccomp

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// data is struct seccomp_data without the caller's address, which no filter here looks at.
type data struct {
	arch uint32
	nr   uint32
	args [6]uint64
}

// evaluator runs a filter as the kernel would.
type evaluator struct{ vm *bpf.VM }

func newEvaluator(t testing.TB, prog []unix.SockFilter) evaluator {
	t.Helper()
	raw := make([]bpf.RawInstruction, len(prog))
	for i, in := range prog {
		raw[i] = bpf.RawInstruction{Op: in.Code, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	list, all := bpf.Disassemble(raw)
	if !all {
		t.Fatal("the filter has instructions that are not BPF")
	}
	vm, err := bpf.NewVM(list)
	if err != nil {
		t.Fatal(err)
	}
	return evaluator{vm}
}

// verdict returns the filter's value. The machine reads words of a packet, in network order, where the kernel's reads words
// in its own.
func (e evaluator) verdict(t testing.TB, d data) uint32 {
	t.Helper()
	b := binary.BigEndian.AppendUint32(nil, d.nr)
	b = binary.BigEndian.AppendUint32(b, d.arch)
	b = binary.BigEndian.AppendUint64(b, 0)
	for _, arg := range d.args {
		b = binary.BigEndian.AppendUint32(b, uint32(arg))
		b = binary.BigEndian.AppendUint32(b, uint32(arg>>32))
	}
	v, err := e.vm.Run(b)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(v)
}

// constant tells, as seccomp_is_const_allow of the kernel does, whether a filter allows a call before it has looked at the
// arguments, and how many instructions that takes. Such a call costs nothing: the kernel does not run the filter.
func constant(prog []unix.SockFilter, d data) (allowed bool, steps int) {
	var a uint32
	for pc := 0; pc < len(prog); pc++ {
		in := prog[pc]
		steps++
		jump := func(yes bool) {
			if yes {
				pc += int(in.Jt)
			} else {
				pc += int(in.Jf)
			}
		}
		switch {
		case in.Code == opLoad && in.K == offNumber:
			a = d.nr
		case in.Code == opLoad && in.K == offArch:
			a = d.arch
		case in.Code == opAnd:
			a &= in.K
		case in.Code == opEqual:
			jump(a == in.K)
		case in.Code == opAtLeast:
			jump(a >= in.K)
		case in.Code == opAnyOf:
			jump(a&in.K != 0)
		case in.Code == opReturn:
			return in.K == unix.SECCOMP_RET_ALLOW, steps
		default:
			return false, steps
		}
	}
	return false, steps
}
