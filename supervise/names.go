//go:build linux && (amd64 || arm64)

package supervise

import (
	"crypto/rand"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// names gives AF_UNIX sockets of the program abstract names that nobody can
// guess, by which we reach those that listen and know those that we connect.
type names struct {
	prefix string
	last   atomic.Uint64

	mu       sync.Mutex // one join at a time
	listener int        // what the program's sockets are connected to

	spareMu sync.Mutex
	spare   int // a descriptor to do without when there is no other: see sparing

	scratching sync.Mutex
	scratch    map[int]int // by type: a socket without a name
}

func newNames() (*names, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	n := &names{prefix: "@us" + rand.Text() + "-", listener: fd, spare: -1, scratch: make(map[int]int)}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: n.prefix}); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, unix.SOMAXCONN); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("listen", err)
	}
	n.save()
	return n, nil
}

func (n *names) close() {
	unix.Close(n.listener)
	for _, fd := range n.scratch {
		unix.Close(fd)
	}
	if n.spare >= 0 {
		unix.Close(n.spare)
	}
}

// save puts a descriptor aside, and reports whether there is one.
func (n *names) save() bool {
	n.spareMu.Lock()
	defer n.spareMu.Unlock()
	return n.saveLocked()
}

func (n *names) saveLocked() bool {
	if n.spare >= 0 {
		return true
	}
	fd, err := unix.FcntlInt(uintptr(n.listener), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		n.spare = fd
	}
	return err == nil
}

// sparing calls f, which makes a descriptor. If there is none left, f may have the
// one that was put aside.
func (n *names) sparing(f func() error) error {
	err := f()
	if err != unix.EMFILE {
		return err
	}
	n.spareMu.Lock()
	defer n.spareMu.Unlock()
	if n.spare < 0 {
		return err
	}
	unix.Close(n.spare)
	n.spare = -1
	defer n.saveLocked()
	return f()
}

// socket returns a new socket with a name of its own. typ is that of socket(2),
// with its flags.
func (n *names) socket(typ int) (fd int, name string, err error) {
	fd, err = unix.Socket(unix.AF_UNIX, typ, 0)
	if err != nil {
		return -1, "", err
	}
	name = fmt.Sprintf("%s%d", n.prefix, n.last.Add(1))
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: name}); err != nil {
		unix.Close(fd)
		return -1, "", err
	}
	return fd, name, nil
}

// join connects fd, a descriptor of the program's socket with that name, to a
// new socket of ours, which does not block.
func (n *names) join(fd int, name string) (far int, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.save() {
		return -1, unix.ENFILE // before anything has changed
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: n.prefix}); err != nil {
		return -1, err
	}
	for {
		var far int
		var peer unix.Sockaddr
		err := n.sparing(func() (err error) {
			far, peer, err = unix.Accept4(n.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			return err
		})
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, err
		}
		if from, ok := peer.(*unix.SockaddrUnix); ok && from.Name == name {
			return far, nil
		}
		unix.Close(far) // a stranger's
	}
}

// held reports whether a socket of that type and name is still open somewhere.
func (n *names) held(typ int, name string) bool {
	n.scratching.Lock()
	defer n.scratching.Unlock()
	held := true
	n.sparing(func() (err error) {
		fd, known := n.scratch[typ]
		if !known {
			if fd, err = unix.Socket(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC, 0); err != nil {
				return err
			}
			n.scratch[typ] = fd
		}
		if held = unix.Bind(fd, &unix.SockaddrUnix{Name: name}) == unix.EADDRINUSE; !held { // else it can try another one
			delete(n.scratch, typ)
			unix.Close(fd)
		}
		return nil
	})
	return held
}
