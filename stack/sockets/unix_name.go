package sockets

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// maxUnixName is the size of sun_path in bytes (unix(7)).
const maxUnixName = 108

// UnixAddr is an AF_UNIX address (unix(7)): a path, or, when it begins with a
// zero byte, a name of the abstract namespace; "" for Bind takes a free abstract
// name, and as a result is that of an unbound socket. At most 108 bytes.
//
// Names belong to one Host. A path is a string that is compared byte by byte, up
// to its first zero byte: there is no file behind it, no directory has to exist,
// and no permission is checked.
//
// Errors of Bind are EADDRINUSE, also for the path of a socket that has closed,
// and EINVAL on a socket that is bound. Of Connect and SendTo they are ENOENT for
// a path that was never bound, ECONNREFUSED when nobody listens there any more,
// EPROTOTYPE for another type of socket, EPERM for a datagram socket that is
// connected to another, and EAGAIN on a non-blocking socket when the listener's
// backlog or the receiver's queue is full.
type UnixAddr struct{ Name string }

// Family returns AF_UNIX.
func (UnixAddr) Family() Family { return AF_UNIX }

// Network returns "unix".
func (UnixAddr) Network() string { return "unix" }

// String returns the name, with "@" for the zero byte of an abstract one.
func (a UnixAddr) String() string { return printedName(a.Name) }

func printedName(name string) string {
	if isAbstract(name) {
		return "@" + name[1:]
	}
	return name
}

func isAbstract(name string) bool { return name != "" && name[0] == 0 }

// cleanName checks the name of a peer, or one to bind to.
func cleanName(name string) (string, Errno) {
	if name == "" || len(name) > maxUnixName {
		return "", EINVAL
	}
	if end := strings.IndexByte(name, 0); end > 0 {
		name = name[:end]
	}
	return name, 0
}

// unixNames are the names of a Host's AF_UNIX sockets. The three types have
// separate abstract namespaces, as in Linux, and share the paths.
type unixNames struct {
	paths    map[string]*unixSocket // nil where the socket has closed and the path is left
	abstract map[abstractName]*unixSocket
	next     uint32 // of the names that autobind tries
}

type abstractName struct {
	typ  Type
	name string
}

// bind gives the socket a name (bind(2)).
func (u *unixSocket) bind(name string) Errno {
	u.net.lock()
	defer u.net.unlock()
	if name == "" {
		return u.autobindLocked()
	}
	name, errno := cleanName(name)
	if errno != 0 {
		return errno
	}
	names := &u.net.names
	if !isAbstract(name) {
		if _, taken := names.paths[name]; taken {
			return EADDRINUSE // goes before EINVAL, as on Linux
		}
	}
	switch {
	case u.name != "":
		return EINVAL
	case isAbstract(name) && names.abstract[abstractName{u.typ, name}] != nil:
		return EADDRINUSE
	case len(names.paths) >= maxFDs:
		return ENOSPC
	}
	names.addLocked(u, name)
	return 0
}

func (n *unixNames) addLocked(u *unixSocket, name string) {
	if n.paths == nil {
		n.paths, n.abstract = map[string]*unixSocket{}, map[abstractName]*unixSocket{}
		n.next = rand.Uint32()
	}
	u.name = name
	if isAbstract(name) {
		n.abstract[abstractName{u.typ, name}] = u
	} else {
		n.paths[name] = u
	}
}

// autobindNames is how many names autobind has: five hexadecimal digits.
const autobindNames = 1 << 20

// autobindLocked gives an unbound socket a free abstract name.
func (u *unixSocket) autobindLocked() Errno {
	if u.name != "" {
		return 0
	}
	names := &u.net.names
	for range autobindNames {
		name := fmt.Sprintf("\x00%05x", names.next%autobindNames)
		names.next++
		if names.abstract[abstractName{u.typ, name}] == nil {
			names.addLocked(u, name)
			return 0
		}
	}
	return ENOSPC
}

// removeLocked takes the name of a closed socket away. A path stays, as the file
// does in Linux.
func (n *unixNames) removeLocked(u *unixSocket) {
	if key := (abstractName{u.typ, u.name}); n.abstract[key] == u {
		delete(n.abstract, key)
	}
	switch {
	case n.paths[u.name] != u:
	case u.unlinks:
		delete(n.paths, u.name)
	default:
		n.paths[u.name] = nil
	}
}

// findLocked returns the socket of a type that has the name.
func (n *unixNames) findLocked(typ Type, name string) (*unixSocket, Errno) {
	if isAbstract(name) {
		u := n.abstract[abstractName{typ, name}]
		if u == nil {
			return nil, ECONNREFUSED
		}
		return u, 0
	}
	switch u, ok := n.paths[name]; {
	case !ok:
		return nil, ENOENT
	case u == nil:
		return nil, ECONNREFUSED
	case u.typ != typ:
		return nil, EPROTOTYPE
	default:
		return u, 0
	}
}

// UnlinkUnix removes a path that an AF_UNIX socket is or was bound to, as
// unlink(2) removes its file: the path can be bound again, and a socket that
// still has it cannot be reached by it any more. Closing a socket leaves its
// path, as on Linux. The error is ENOENT when nothing has the path; an abstract
// name has none.
func (h *Host) UnlinkUnix(path string) error {
	n := &h.unix
	n.lock()
	defer n.unlock()
	if _, ok := n.names.paths[path]; !ok {
		return &Error{Op: "unlink", Num: ENOENT, Local: UnixAddr{path}}
	}
	delete(n.names.paths, path)
	return nil
}
