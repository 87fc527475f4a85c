package userns

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A Network is the identity of a network namespace, for as long as something
// keeps it alive: a process, or a descriptor of a device in it.
type Network string

// NetworkOf returns the network namespace of a process. It fails for one that
// is dead, reaped or not, and may fail for one of another user.
func NetworkOf(pid int) (Network, error) {
	link, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "ns/net"))
	return Network(link), err
}

// Kill kills every process in the namespace but this one, and waits until each
// is dead. It looks until it has found none for the second time, since one that
// it killed may have forked meanwhile, and one that it did not see may have
// forked and exited.
func (n Network) Kill() {
	n.each(func(p *os.File) bool {
		return control(p, func(fd int) error { return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) }) == nil && ended(p)
	})
}

// Await waits until there is no process in the namespace but this one, or until
// ctx ends.
func (n Network) Await(ctx context.Context) {
	n.each(func(p *os.File) bool {
		stop := context.AfterFunc(ctx, func() { p.SetReadDeadline(time.Unix(1, 0)) }) // long past: ends the wait
		defer stop()
		return ctx.Err() == nil && ended(p)
	})
}

// each calls f with a pidfd of each process of the namespace until it has found
// none twice for which f returns true.
func (n Network) each(f func(process *os.File) bool) {
	for clean := 0; clean < 2; clean++ {
		entries, err := os.ReadDir("/proc")
		if err != nil {
			return
		}
		for _, e := range entries {
			pid, err := strconv.Atoi(e.Name())
			if err != nil || pid == os.Getpid() {
				continue
			}
			if process := n.open(pid); process != nil {
				if f(process) {
					clean = -1
				}
				process.Close()
			}
		}
	}
}

// open returns a pidfd of a process that is in the namespace, and nil of one
// that is not.
func (n Network) open(pid int) *os.File {
	if net, err := NetworkOf(pid); err != nil || net != n {
		return nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil
	}
	// Asked again: the number may have passed to another process meanwhile,
	// but not any more, as long as the pidfd's process is alive.
	net, err := NetworkOf(pid)
	if err != nil || net != n || unix.SetNonblock(fd, true) != nil {
		unix.Close(fd)
		return nil
	}
	return os.NewFile(uintptr(fd), "pidfd")
}

// ended waits, in Go's poller, until a pidfd's process has ended. A pidfd is
// readable when it has, reaped or not.
func ended(process *os.File) bool {
	conn, err := process.SyscallConn()
	if err != nil {
		return false
	}
	return conn.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0 || err != nil && err != unix.EINTR
	}) == nil
}

func control(file *os.File, f func(fd int) error) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := conn.Control(func(fd uintptr) { result = f(int(fd)) }); err != nil {
		return err
	}
	return result
}
