package seccomp

// Calls that all machines know by the same number, as they do all that are younger than Linux 5.1.
const (
	sysIOUringSetup    = 425
	sysIOUringEnter    = 426
	sysIOUringRegister = 427
	sysPidfdGetfd      = 438
)

// sysForeignIoctl is ioctl on i386 and on 32-bit ARM.
const sysForeignIoctl = 54

// amd64Calls is of arch/x86/entry/syscalls/syscall_64.tbl.
var amd64Calls = map[uint32]verdict{
	16:                 ioctl,
	41:                 socket,
	42:                 trap, // connect
	43:                 trap, // accept
	44:                 sendto,
	45:                 recvfrom,
	46:                 trap, // sendmsg
	47:                 trap, // recvmsg
	48:                 trap, // shutdown
	49:                 trap, // bind
	50:                 trap, // listen
	51:                 trap, // getsockname
	52:                 trap, // getpeername
	53:                 socketpair,
	54:                 trap, // setsockopt
	55:                 trap, // getsockopt
	288:                trap, // accept4
	299:                trap, // recvmmsg
	307:                trap, // sendmmsg
	sysIOUringSetup:    noCall,
	sysIOUringEnter:    noCall,
	sysIOUringRegister: noCall,
	sysPidfdGetfd:      noPermission,
}

// arm64Calls is of include/uapi/asm-generic/unistd.h.
var arm64Calls = map[uint32]verdict{
	29:                 ioctl,
	198:                socket,
	199:                socketpair,
	200:                trap, // bind
	201:                trap, // listen
	202:                trap, // accept
	203:                trap, // connect
	204:                trap, // getsockname
	205:                trap, // getpeername
	206:                sendto,
	207:                recvfrom,
	208:                trap, // setsockopt
	209:                trap, // getsockopt
	210:                trap, // shutdown
	211:                trap, // sendmsg
	212:                trap, // recvmsg
	242:                trap, // accept4
	243:                trap, // recvmmsg
	269:                trap, // sendmmsg
	sysIOUringSetup:    noCall,
	sysIOUringEnter:    noCall,
	sysIOUringRegister: noCall,
	sysPidfdGetfd:      noPermission,
}

// i386Calls is of arch/x86/entry/syscalls/syscall_32.tbl.
var i386Calls = refused(map[uint32]uint32{
	102: 102, // socketcall, which has its arguments in memory
	337: 337, // recvmmsg
	345: 345, // sendmmsg
	359: 373, // socket to shutdown
	417: 417, // recvmmsg_time64
})

// armCalls is of arch/arm64/tools/syscall_32.tbl.
var armCalls = refused(map[uint32]uint32{
	281: 297, // socket to recvmsg
	365: 366, // recvmmsg and accept4
	374: 374, // sendmmsg
	417: 417, // recvmmsg_time64
})

// refused returns the calls of a foreign ABI: ranges of numbers, from first to last, that are about sockets.
func refused(ranges map[uint32]uint32) map[uint32]verdict {
	calls := map[uint32]verdict{
		sysForeignIoctl:    foreignIoctl, // which shows the interfaces of the machine on a socket of any family
		sysIOUringSetup:    noCall,
		sysIOUringEnter:    noCall,
		sysIOUringRegister: noCall,
		sysPidfdGetfd:      noPermission,
	}
	for first, last := range ranges {
		for nr := first; nr <= last; nr++ {
			calls[nr] = noFamily
		}
	}
	return calls
}
