package seccomp

import "golang.org/x/sys/unix"

// What the filter may say, as seccomp(2) spells it.
const (
	allowed = uint32(unix.SECCOMP_RET_ALLOW)
	stopped = uint32(unix.SECCOMP_RET_USER_NOTIF)
	killed  = uint32(unix.SECCOMP_RET_KILL_PROCESS)
)

func fails(errno unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(errno) }

// numbers are those of the calls on amd64 and arm64.
var numbers = map[string][2]uint32{
	"socket":            {41, 198},
	"socketpair":        {53, 199},
	"connect":           {42, 203},
	"bind":              {49, 200},
	"listen":            {50, 201},
	"accept":            {43, 202},
	"accept4":           {288, 242},
	"getsockname":       {51, 204},
	"getpeername":       {52, 205},
	"setsockopt":        {54, 208},
	"getsockopt":        {55, 209},
	"shutdown":          {48, 210},
	"sendto":            {44, 206},
	"recvfrom":          {45, 207},
	"sendmsg":           {46, 211},
	"recvmsg":           {47, 212},
	"sendmmsg":          {307, 269},
	"recvmmsg":          {299, 243},
	"ioctl":             {16, 29},
	"io_uring_setup":    {425, 425},
	"io_uring_enter":    {426, 426},
	"io_uring_register": {427, 427},
	"pidfd_getfd":       {438, 438},

	"read":     {0, 63},
	"write":    {1, 64},
	"close":    {3, 57},
	"dup":      {32, 23},
	"fcntl":    {72, 25},
	"sendfile": {40, 71},
	"fork":     {56, 220}, // clone
	"exec":     {59, 221},
	"seccomp":  {317, 277},
	"ptrace":   {101, 117},
	"last":     {471, 471}, // and a few more by now
}

const (
	nowhere = ^uint64(0)      // descriptor -1
	above   = uint64(1) << 32 // what an int does not have
	pointer = uint64(8)       // to nothing
)

// calls is the table: what becomes of a call with some arguments.
var calls = []struct {
	name string
	args [6]uint64
	want uint32
}{
	{"socket", [6]uint64{unix.AF_UNIX, unix.SOCK_STREAM}, allowed},
	{"socket", [6]uint64{unix.AF_UNIX | above, unix.SOCK_STREAM}, allowed},
	{"socket", [6]uint64{unix.AF_INET, unix.SOCK_STREAM}, stopped},
	{"socket", [6]uint64{unix.AF_INET | above, unix.SOCK_STREAM}, stopped},
	{"socket", [6]uint64{unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP}, stopped},
	{"socket", [6]uint64{unix.AF_INET6, unix.SOCK_DGRAM}, stopped},
	{"socket", [6]uint64{unix.AF_PACKET, unix.SOCK_RAW, 0x0300}, stopped},
	{"socket", [6]uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE}, stopped},
	{"socket", [6]uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE | above}, stopped},
	{"socket", [6]uint64{unix.AF_NETLINK, unix.SOCK_DGRAM, unix.NETLINK_SOCK_DIAG}, fails(unix.EPROTONOSUPPORT)},
	{"socket", [6]uint64{unix.AF_NETLINK, unix.SOCK_DGRAM, unix.NETLINK_KOBJECT_UEVENT}, fails(unix.EPROTONOSUPPORT)},
	{"socket", [6]uint64{unix.AF_UNSPEC, unix.SOCK_STREAM}, fails(unix.EAFNOSUPPORT)},
	{"socket", [6]uint64{unix.AF_VSOCK, unix.SOCK_STREAM}, fails(unix.EAFNOSUPPORT)},
	{"socket", [6]uint64{unix.AF_SMC, unix.SOCK_STREAM}, fails(unix.EAFNOSUPPORT)},
	{"socket", [6]uint64{unix.AF_XDP, unix.SOCK_RAW}, fails(unix.EAFNOSUPPORT)},
	{"socket", [6]uint64{unix.AF_ALG, unix.SOCK_SEQPACKET}, fails(unix.EAFNOSUPPORT)},
	{"socket", [6]uint64{unix.AF_CAN, unix.SOCK_RAW}, fails(unix.EAFNOSUPPORT)},
	{"socket", [6]uint64{unix.AF_TIPC, unix.SOCK_RDM}, fails(unix.EAFNOSUPPORT)},
	{"socket", [6]uint64{unix.AF_RDS, unix.SOCK_SEQPACKET}, fails(unix.EAFNOSUPPORT)},
	{"socket", [6]uint64{unix.AF_BLUETOOTH, unix.SOCK_RAW}, fails(unix.EAFNOSUPPORT)},
	{"socket", [6]uint64{0xffffffff, unix.SOCK_STREAM}, fails(unix.EAFNOSUPPORT)},

	{"socketpair", [6]uint64{unix.AF_UNIX, unix.SOCK_STREAM}, allowed},
	{"socketpair", [6]uint64{unix.AF_INET, unix.SOCK_STREAM}, fails(unix.EOPNOTSUPP)},
	{"socketpair", [6]uint64{unix.AF_INET6, unix.SOCK_STREAM}, fails(unix.EOPNOTSUPP)},
	{"socketpair", [6]uint64{unix.AF_NETLINK, unix.SOCK_RAW}, fails(unix.EOPNOTSUPP)},
	{"socketpair", [6]uint64{unix.AF_PACKET, unix.SOCK_RAW}, fails(unix.EOPNOTSUPP)},
	{"socketpair", [6]uint64{unix.AF_TIPC, unix.SOCK_STREAM}, fails(unix.EAFNOSUPPORT)},

	{"connect", [6]uint64{nowhere}, stopped},
	{"bind", [6]uint64{nowhere}, stopped},
	{"listen", [6]uint64{nowhere}, stopped},
	{"accept", [6]uint64{nowhere}, stopped},
	{"accept4", [6]uint64{nowhere}, stopped},
	{"getsockname", [6]uint64{nowhere}, stopped},
	{"getpeername", [6]uint64{nowhere}, stopped},
	{"setsockopt", [6]uint64{nowhere}, stopped},
	{"getsockopt", [6]uint64{nowhere}, stopped},
	{"shutdown", [6]uint64{nowhere}, stopped},
	{"sendmsg", [6]uint64{nowhere}, stopped},
	{"recvmsg", [6]uint64{nowhere}, stopped},
	{"sendmmsg", [6]uint64{nowhere}, stopped},
	{"recvmmsg", [6]uint64{nowhere}, stopped},

	{"sendto", [6]uint64{nowhere}, allowed},
	{"sendto", [6]uint64{nowhere, 0, 0, unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL | unix.MSG_MORE | unix.MSG_EOR}, allowed},
	{"sendto", [6]uint64{nowhere, 0, 0, above}, allowed},
	{"sendto", [6]uint64{nowhere, 0, 19}, allowed},
	{"sendto", [6]uint64{nowhere, 0, 20}, stopped}, // a request of musl's getifaddrs
	{"sendto", [6]uint64{nowhere, 0, 21}, allowed},
	{"sendto", [6]uint64{nowhere, 0, 0, 0, 0, 16}, allowed}, // without an address its length does not matter
	{"sendto", [6]uint64{nowhere, 0, 0, 0, pointer}, stopped},
	{"sendto", [6]uint64{nowhere, 0, 0, 0, above}, stopped},
	{"sendto", [6]uint64{nowhere, 0, 0, unix.MSG_OOB}, stopped},
	{"sendto", [6]uint64{nowhere, 0, 0, unix.MSG_DONTROUTE}, stopped},
	{"sendto", [6]uint64{nowhere, 0, 0, unix.MSG_CONFIRM}, stopped},
	{"sendto", [6]uint64{nowhere, 0, 0, unix.MSG_ZEROCOPY | unix.MSG_NOSIGNAL}, stopped},
	{"sendto", [6]uint64{nowhere, 0, 0, unix.MSG_FASTOPEN}, stopped},
	{"sendto", [6]uint64{nowhere, 0, 0, 1 << 31}, stopped},

	{"recvfrom", [6]uint64{nowhere}, allowed},
	{"recvfrom", [6]uint64{nowhere, 0, 0,
		unix.MSG_PEEK | unix.MSG_DONTWAIT | unix.MSG_WAITALL | unix.MSG_NOSIGNAL | unix.MSG_CMSG_CLOEXEC}, allowed},
	{"recvfrom", [6]uint64{nowhere, 0, 0, 0, 0, pointer}, allowed},
	{"recvfrom", [6]uint64{nowhere, 0, 0, 0, pointer}, stopped},
	{"recvfrom", [6]uint64{nowhere, 0, 0, 0, above}, stopped},
	{"recvfrom", [6]uint64{nowhere, 0, 0, unix.MSG_TRUNC}, stopped},
	{"recvfrom", [6]uint64{nowhere, 0, 0, unix.MSG_ERRQUEUE}, stopped},
	{"recvfrom", [6]uint64{nowhere, 0, 0, unix.MSG_OOB | unix.MSG_PEEK}, stopped},

	{"ioctl", [6]uint64{nowhere, 0x541b}, allowed}, // FIONREAD
	{"ioctl", [6]uint64{nowhere, 0x5421}, allowed}, // FIONBIO
	{"ioctl", [6]uint64{nowhere, unix.TIOCGWINSZ}, allowed},
	{"ioctl", [6]uint64{nowhere, 0x88ff}, allowed},
	{"ioctl", [6]uint64{nowhere, unix.SIOCATMARK}, stopped},
	{"ioctl", [6]uint64{nowhere, unix.SIOCGIFCONF}, stopped},
	{"ioctl", [6]uint64{nowhere, unix.SIOCGIFCONF | above}, stopped},
	{"ioctl", [6]uint64{nowhere, 0x8900}, stopped},
	{"ioctl", [6]uint64{nowhere, 0x89ff}, stopped},
	{"ioctl", [6]uint64{nowhere, 0x80108906}, stopped}, // SIOCGSTAMP as programs of 64 bits spell it
	{"ioctl", [6]uint64{nowhere, 0x8a00}, allowed},

	{"io_uring_setup", [6]uint64{1, pointer}, fails(unix.ENOSYS)},
	{"io_uring_enter", [6]uint64{nowhere}, fails(unix.ENOSYS)},
	{"io_uring_register", [6]uint64{nowhere}, fails(unix.ENOSYS)},
	{"pidfd_getfd", [6]uint64{nowhere, nowhere}, fails(unix.EPERM)},

	{"read", [6]uint64{nowhere}, allowed},
	{"write", [6]uint64{nowhere}, allowed},
	{"close", [6]uint64{nowhere}, allowed},
	{"dup", [6]uint64{nowhere}, allowed},
	{"fcntl", [6]uint64{nowhere}, allowed},
	{"sendfile", [6]uint64{nowhere}, allowed},
	{"fork", [6]uint64{nowhere}, allowed},    // refused by the kernel: there are no such flags
	{"exec", [6]uint64{pointer}, allowed},    // of nothing
	{"seccomp", [6]uint64{nowhere}, allowed}, // no such operation
	{"ptrace", [6]uint64{nowhere}, allowed},
	{"last", [6]uint64{nowhere, nowhere, nowhere, nowhere, nowhere, nowhere}, allowed},
}
