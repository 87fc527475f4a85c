package seccomp

import (
	"maps"
	"runtime"

	"golang.org/x/sys/unix"
)

// Rules says which calls stop. The zero Rules stops the calls that make, name, connect, configure and question sockets,
// and those that carry addresses or flags which a Unix socket does not understand; it refuses what would go past it:
// io_uring, sockets of other families, and sockets through the ABIs of other machines. All else runs as if no filter were there.
type Rules struct {
	// Trap lists further calls to stop, by their numbers on this machine. nil means none.
	Trap []int
}

// Program returns the filter for the machine that this program was built for, nil if that is neither amd64 nor arm64.
func (r Rules) Program() []unix.SockFilter { return r.program(runtime.GOARCH) }

func (r Rules) program(goarch string) []unix.SockFilter {
	abis := machines[goarch]
	if abis == nil {
		return nil
	}
	calls := maps.Clone(abis[0].calls)
	for _, nr := range r.Trap {
		calls[uint32(nr)] = trap
	}
	native := abi{arch: abis[0].arch, calls: calls}
	return assemble(append([]abi{native}, abis[1:]...))
}

// verdict says what becomes of a call.
type verdict int

// The verdicts. The first ones look at the arguments and then choose among those after them.
const (
	socket verdict = iota
	socketpair
	sendto
	recvfrom
	ioctl
	foreignIoctl // of another ABI

	allow
	trap
	noCall       // ENOSYS, as of a kernel without it
	noFamily     // EAFNOSUPPORT
	noProtocol   // EPROTONOSUPPORT
	noOperation  // EOPNOTSUPP
	noPermission // EPERM
	noRequest    // ENOTTY

	verdicts // how many there are
)

// returns holds the filter's value for each verdict that does not look at the arguments.
var returns = map[verdict]uint32{
	allow:        unix.SECCOMP_RET_ALLOW,
	trap:         unix.SECCOMP_RET_USER_NOTIF,
	noCall:       unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS),
	noFamily:     unix.SECCOMP_RET_ERRNO | uint32(unix.EAFNOSUPPORT),
	noProtocol:   unix.SECCOMP_RET_ERRNO | uint32(unix.EPROTONOSUPPORT),
	noOperation:  unix.SECCOMP_RET_ERRNO | uint32(unix.EOPNOTSUPP),
	noPermission: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM),
	noRequest:    unix.SECCOMP_RET_ERRNO | uint32(unix.ENOTTY),
}

// abi is one of the ways to call a kernel.
type abi struct {
	arch  uint32             // AUDIT_ARCH_*
	calls map[uint32]verdict // those that are not simply allowed
}

// x32Bit marks the numbers of x32 calls: __X32_SYSCALL_BIT of asm/unistd.h.
const x32Bit = 0x40000000

// machines lists, by GOARCH, the ABIs that a kernel of that machine has: the machine's own first. On the others a socket
// call is refused, because their programs pass arguments in memory, which a filter does not see, or as other structures.
var machines = map[string][]abi{
	"amd64": {
		{arch: unix.AUDIT_ARCH_X86_64, calls: amd64Calls},
		{arch: unix.AUDIT_ARCH_I386, calls: i386Calls},
	},
	"arm64": {
		{arch: unix.AUDIT_ARCH_AARCH64, calls: arm64Calls},
		{arch: unix.AUDIT_ARCH_ARM, calls: armCalls},
	},
}
