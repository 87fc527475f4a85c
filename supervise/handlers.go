//go:build linux && (amd64 || arm64)

package supervise

import "golang.org/x/sys/unix"

// A handler answers one kind of call.
type handler struct {
	name string
	on   subject
	run  func(*call) (int64, error)
}

// A subject is what the first argument of a call is.
type subject int

const (
	anything subject = iota
	asked            // a descriptor; what is no socket of ours is the kernel's
	changed          // the same, and the call changes something
)

// handlers are by number of the system call. What is trapped and not here runs
// natively.
var handlers [len(handlerNumbers{})]*handler

func init() {
	for nr, h := range map[int]*handler{
		unix.SYS_SOCKET:      {"socket", anything, (*call).socket},
		unix.SYS_CONNECT:     {"connect", changed, (*call).connect},
		unix.SYS_BIND:        {"bind", changed, (*call).bind},
		unix.SYS_LISTEN:      {"listen", changed, (*call).listen},
		unix.SYS_ACCEPT:      {"accept", changed, (*call).accept},
		unix.SYS_ACCEPT4:     {"accept4", changed, (*call).accept4},
		unix.SYS_SHUTDOWN:    {"shutdown", changed, (*call).shutdown},
		unix.SYS_GETSOCKNAME: {"getsockname", asked, (*call).getsockname},
		unix.SYS_GETPEERNAME: {"getpeername", asked, (*call).getpeername},
		unix.SYS_SETSOCKOPT:  {"setsockopt", changed, (*call).setsockopt},
		unix.SYS_GETSOCKOPT:  {"getsockopt", asked, (*call).getsockopt},
		unix.SYS_SENDTO:      {"sendto", changed, (*call).sendto},
		unix.SYS_RECVFROM:    {"recvfrom", changed, (*call).recvfrom},
		unix.SYS_SENDMSG:     {"sendmsg", changed, (*call).sendmsg},
		unix.SYS_RECVMSG:     {"recvmsg", changed, (*call).recvmsg},
		unix.SYS_SENDMMSG:    {"sendmmsg", changed, (*call).sendmmsg},
		unix.SYS_RECVMMSG:    {"recvmmsg", changed, (*call).recvmmsg},
		unix.SYS_IOCTL:       {"ioctl", anything, (*call).ioctl},
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
