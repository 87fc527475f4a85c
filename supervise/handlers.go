//go:build linux && (amd64 || arm64)

package supervise

import "golang.org/x/sys/unix"

// A handler answers one kind of call.
type handler struct {
	name     string
	onSocket bool // its first argument is a descriptor, and what is no socket of ours is the kernel's
	run      func(*call) (int64, error)
}

// handlers are by number of the system call. What is trapped and not here runs
// natively.
var handlers [len(handlerNumbers{})]*handler

func init() {
	for nr, h := range map[int]*handler{
		unix.SYS_SOCKET:      {"socket", false, (*call).socket},
		unix.SYS_CONNECT:     {"connect", true, (*call).connect},
		unix.SYS_BIND:        {"bind", true, (*call).bind},
		unix.SYS_LISTEN:      {"listen", true, (*call).listen},
		unix.SYS_ACCEPT:      {"accept", true, (*call).accept},
		unix.SYS_ACCEPT4:     {"accept4", true, (*call).accept4},
		unix.SYS_SHUTDOWN:    {"shutdown", true, (*call).shutdown},
		unix.SYS_GETSOCKNAME: {"getsockname", true, (*call).getsockname},
		unix.SYS_GETPEERNAME: {"getpeername", true, (*call).getpeername},
		unix.SYS_SETSOCKOPT:  {"setsockopt", true, (*call).setsockopt},
		unix.SYS_GETSOCKOPT:  {"getsockopt", true, (*call).getsockopt},
		unix.SYS_SENDTO:      {"sendto", true, (*call).sendto},
		unix.SYS_RECVFROM:    {"recvfrom", true, (*call).recvfrom},
		unix.SYS_SENDMSG:     {"sendmsg", true, (*call).sendmsg},
		unix.SYS_RECVMSG:     {"recvmsg", true, (*call).recvmsg},
		unix.SYS_SENDMMSG:    {"sendmmsg", true, (*call).sendmmsg},
		unix.SYS_RECVMMSG:    {"recvmmsg", true, (*call).recvmmsg},
		unix.SYS_IOCTL:       {"ioctl", false, (*call).ioctl},
	} {
		handlers[nr] = h
	}
}

func handlerOf(nr int) *handler {
	if nr < 0 || nr >= len(handlers) {
		return nil
	}
	return handlers[nr]
}
