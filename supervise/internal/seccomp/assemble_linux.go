package seccomp

import (
	"maps"
	"slices"

	"golang.org/x/sys/unix"
)

// Operations of classic BPF that seccomp has, of linux/bpf_common.h. The kernel keeps a map of the calls which a filter
// allows whatever their arguments are, and finds them by running the filter; it understands nothing but these.
const (
	opLoad    = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	opAnd     = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	opEqual   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	opAtLeast = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
	opAnyOf   = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
	opReturn  = unix.BPF_RET | unix.BPF_K

	classMask = 0x07 // BPF_CLASS
)

// Offsets into struct seccomp_data of linux/seccomp.h.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// low and high are the offsets of the halves of an argument. Both machines are little-endian. An int is the low half: the
// kernel drops the other one, so a filter has to, too.
func low(arg uint32) uint32  { return offArgs + 8*arg }
func high(arg uint32) uint32 { return low(arg) + 4 }

// onward is the place after an instruction, as opposed to that of a verdict; onward+n is n instructions further.
const onward = verdicts

// instruction is one of a filter whose jumps still name verdicts.
type instruction struct {
	op      uint16
	k       uint32
	yes, no verdict
}

func load(offset uint32) instruction { return instruction{op: opLoad, k: offset} }

// equal goes to a verdict if the loaded word is k.
func equal(k uint32, then verdict) instruction { return instruction{opEqual, k, then, onward} }

// Flags that leave a call the same on a Unix socket as on the one which it stands for, of linux/socket.h.
const (
	sendFlags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL | unix.MSG_MORE | unix.MSG_EOR
	recvFlags = unix.MSG_PEEK | unix.MSG_DONTWAIT | unix.MSG_WAITALL | unix.MSG_NOSIGNAL | unix.MSG_CMSG_CLOEXEC
)

// Requests of ioctl(2) about sockets and interfaces have this in the second byte: SOCK_IOC_TYPE of linux/sockios.h. The
// bytes above it are empty but in the newer ones, such as SIOCGSTAMP.
const (
	socketRequest     = 0x8900
	socketRequestMask = 0xff00
)

// blocks are the verdicts that look at arguments.
var blocks = map[verdict][]instruction{
	socket: {
		load(low(0)),
		equal(unix.AF_UNIX, allow),
		equal(unix.AF_INET, trap),
		equal(unix.AF_INET6, trap),
		equal(unix.AF_PACKET, trap),
		{opEqual, unix.AF_NETLINK, onward, noFamily},
		load(low(2)),
		{opEqual, unix.NETLINK_ROUTE, trap, noProtocol},
	},
	// A pair of the families that socket(2) knows here is what it is on Linux: not offered.
	socketpair: {
		load(low(0)),
		equal(unix.AF_UNIX, allow),
		equal(unix.AF_INET, noOperation),
		equal(unix.AF_INET6, noOperation),
		equal(unix.AF_PACKET, noOperation),
		{opEqual, unix.AF_NETLINK, noOperation, noFamily},
	},
	sendto: append(message(sendFlags, onward),
		load(low(2)),
		instruction{opEqual, netlinkDump, trap, allow},
	),
	recvfrom: message(recvFlags, allow),
	ioctl: {
		load(low(1)),
		{op: opAnd, k: socketRequestMask},
		{opEqual, socketRequest, trap, allow},
	},
	foreignIoctl: {
		load(low(1)),
		{op: opAnd, k: socketRequestMask},
		{opEqual, socketRequest, noRequest, allow},
	},
}

// netlinkDump is the length in bytes of a request to dump a table of NETLINK_ROUTE: struct nlmsghdr and struct rtgenmsg,
// aligned. musl's getifaddrs sends it with no address and does not wait for the reply, which the kernel has ready by then. So
// it stops, and with it each other message of that length.
const netlinkDump = 20

// message goes on with then for a sendto(2) or recvfrom(2) that has no address and no flags but these, and stops others.
func message(flags uint32, then verdict) []instruction {
	return []instruction{
		load(low(4)),
		{opEqual, 0, onward, trap},
		load(high(4)),
		{opEqual, 0, onward, trap},
		load(low(3)),
		{opAnyOf, ^flags, trap, then},
	}
}

// assemble returns the filter for some ABIs of a machine. A call of any other one kills its process: there is none.
func assemble(abis []abi) []unix.SockFilter {
	code := []unix.SockFilter{{Code: opLoad, K: offArch}}
	for _, a := range abis {
		part := a.assemble()
		code = append(code, unix.SockFilter{Code: opEqual, K: a.arch, Jf: distance(len(part))})
		code = append(code, part...)
	}
	return append(code, unix.SockFilter{Code: opReturn, K: unix.SECCOMP_RET_KILL_PROCESS})
}

// span is a range of numbers, up to the next span's, that have one verdict.
type span struct {
	from uint32
	verdict
}

// spans covers all numbers.
func (a *abi) spans() []span {
	list := []span{{0, allow}}
	add := func(from uint32, v verdict) {
		last := &list[len(list)-1]
		switch {
		case last.verdict == v:
		case last.from == from:
			last.verdict = v
		default:
			list = append(list, span{from, v})
		}
	}
	for _, nr := range slices.Sorted(maps.Keys(a.calls)) {
		add(nr, a.calls[nr])
		add(nr+1, allow)
	}
	if a.arch == unix.AUDIT_ARCH_X86_64 {
		add(x32Bit, noCall)
	}
	return list
}

// assemble returns the part for one ABI: a binary search for the number's span, then the verdicts.
func (a *abi) assemble() []unix.SockFilter {
	code := append([]instruction{load(offNumber)}, search(a.spans())...)
	var start [verdicts]int // of each verdict's block
	for v := range verdicts {
		start[v] = len(code)
		if block, ok := blocks[v]; ok {
			code = append(code, block...)
		} else {
			code = append(code, instruction{op: opReturn, k: returns[v]})
		}
	}
	resolved := make([]unix.SockFilter, len(code))
	for i, in := range code {
		resolved[i] = unix.SockFilter{Code: in.op, K: in.k}
		if in.op&classMask != unix.BPF_JMP {
			continue
		}
		reach := func(to verdict) uint8 {
			if to >= onward {
				return distance(int(to - onward))
			}
			return distance(start[to] - i - 1)
		}
		resolved[i].Jt, resolved[i].Jf = reach(in.yes), reach(in.no)
	}
	return resolved
}

// search returns the code that goes to the verdict of the loaded number, which lies in one of at least two spans.
func search(spans []span) []instruction {
	mid := len(spans) / 2
	half := func(s []span) []instruction {
		if len(s) == 1 {
			return nil // the jump goes to the verdict itself
		}
		return search(s)
	}
	below, above := half(spans[:mid]), half(spans[mid:])
	in := instruction{opAtLeast, spans[mid].from, onward + verdict(len(below)), onward}
	if above == nil {
		in.yes = spans[mid].verdict
	}
	if below == nil {
		in.no = spans[0].verdict
	}
	return slices.Concat([]instruction{in}, below, above)
}

// distance is how far a jump goes: 0 is the next instruction. The tables are constant and tests assemble them all.
func distance(n int) uint8 {
	if n < 0 || n > 255 {
		panic("seccomp: a jump of the filter is too long")
	}
	return uint8(n)
}
