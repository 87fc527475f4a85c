//go:build linux && (amd64 || arm64)

package supervise

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/supervise/internal/seccomp"
)

// typeFlags are the flags that the type argument of socket(2) carries.
const typeFlags = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC

// socket makes a Socket and gives the program an AF_UNIX socket for it.
func (c *call) socket() (int64, error) {
	if !c.reachable() {
		return 0, syscall.EACCES
	}
	family, protocol := sockets.Family(int32(c.arg(0))), sockets.Protocol(int32(c.arg(2)))
	flags := int(c.arg(1)) & typeFlags
	typ := sockets.Type(int32(c.arg(1)) &^ typeFlags)
	switch family {
	case sockets.AF_INET, sockets.AF_INET6, sockets.AF_PACKET:
	default:
		return c.otherSocket(family, typ, protocol, flags)
	}
	sock, err := c.s.host.Socket(family, typ, protocol)
	if err != nil {
		return 0, err
	}
	sock.SetBlocking(true) // whatever the Host's default
	f := &file{s: c.s, sock: sock}
	fd, err := f.open(flags)
	if scarce(err) && c.s.files.sweep() > 0 {
		fd, err = f.open(flags)
	}
	if err != nil {
		sock.Close()
		return 0, err
	}
	defer unix.Close(fd)
	return c.give(f, fd, flags)
}

// reachable reports whether we may look into the process that calls. An ordinary user
// may not into one that is not dumpable (PR_SET_DUMPABLE of prctl(2)): no later call on
// its socket could be answered, and the kernel would do it, with errors that make no
// sense.
func (c *call) reachable() bool {
	_, err := c.s.tasks.descriptor(c.n.TID, -1)
	return err != syscall.EPERM
}

// open makes the program's end of the file.
func (f *file) open(flags int) (fd int, err error) {
	if f.sock.Type() == sockets.SOCK_STREAM {
		return newStream(f, flags)
	}
	return newDatagrams(f, flags)
}

// give registers a new file and hands fd, the program's end of it, over.
func (c *call) give(f *file, fd, flags int) (int64, error) {
	cookie, err := seccomp.Cookie(fd)
	if err != nil {
		f.kind.end()
		return 0, err
	}
	f.cookie = cookie
	n, err := c.introduce(f, fd, flags)
	if err != nil {
		f.kind.end()
		return 0, err
	}
	return n, errLater
}

// introduce is give for a file that has its cookie, and leaves it alone if the
// program cannot take it.
func (c *call) introduce(f *file, fd, flags int) (int64, error) {
	c.s.files.add(f) // first: the program may be quick
	c.s.soon()
	return c.install(fd, flags)
}

// otherSocket serves the families that are not the Internet's.
func (c *call) otherSocket(family sockets.Family, typ sockets.Type, protocol sockets.Protocol, flags int) (int64, error) {
	if family == sockets.AF_NETLINK {
		return c.newNetlink(typ, flags)
	}
	return 0, syscall.EAFNOSUPPORT
}

// bind is bind(2).
func (c *call) bind() (int64, error) {
	a, err := c.sockaddr(c.arg(1), c.arg(2))
	if err != nil {
		return 0, err
	}
	switch {
	case c.f.sock.Family() == sockets.AF_INET6 && int32(c.arg(2)) < shortestInet6:
		return 0, syscall.EINVAL // before the address's own family is looked at
	case a == nil:
		if a, err = c.unspecified(); err != nil {
			return 0, err
		}
	}
	err = c.f.sock.Bind(a)
	if errnoOf(err) == syscall.EADDRINUSE {
		c.s.files.settle()
		err = c.f.sock.Bind(a) // who had the address may have closed it
	}
	return 0, err
}

// unspecified is AF_UNSPEC as an address to bind to: Linux takes it for AF_INET
// where the address is zero.
func (c *call) unspecified() (sockets.Sockaddr, error) {
	var b [unix.SizeofSockaddrInet4]byte
	switch {
	case c.f.sock.Family() != sockets.AF_INET:
		return foreign{sockets.AF_UNSPEC}, nil
	case int32(c.arg(2)) < unix.SizeofSockaddrInet4:
		return nil, syscall.EINVAL
	}
	if err := c.read(c.arg(1), b[:]); err != nil {
		return nil, err
	}
	if [4]byte(b[4:8]) != [4]byte{} {
		return nil, syscall.EAFNOSUPPORT
	}
	b[0] = unix.AF_INET
	return parseSockaddr(b[:])
}

// getsockname is getsockname(2).
func (c *call) getsockname() (int64, error) {
	a, err := c.f.sock.GetSockName()
	if err != nil {
		return 0, err
	}
	return 0, c.putBytes(appendSockaddr(nil, a), c.arg(1), c.arg(2)) // a null address is none, but its length is told
}

// getpeername is getpeername(2).
func (c *call) getpeername() (int64, error) {
	a, err := c.f.sock.GetPeerName()
	if err != nil {
		return 0, err
	}
	return 0, c.putBytes(appendSockaddr(nil, a), c.arg(1), c.arg(2)) // a null address is none, but its length is told
}
