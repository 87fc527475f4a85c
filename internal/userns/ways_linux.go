package userns

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// User says who a process is inside its user namespace.
type User int

const (
	Self User = iota // the caller: its user and group keep their numbers
	Root             // root, whoever the caller is
)

// A Way is one way to start a process in new namespaces.
type Way struct {
	flags  uintptr // CLONE_NEW…
	uids   []syscall.SysProcIDMap
	gids   []syscall.SysProcIDMap
	groups bool // setgroups(2) is allowed inside
	root   bool // the process is root inside
}

// Ways returns how a process may be started in a new user namespace and the
// others in flags (CLONE_NEW…), the best first. Root gets a user namespace in
// which every user and group is mapped to itself, so that a server can change
// its user, and, where root may not make one, none.
func Ways(flags uintptr, user User) []Way {
	uid, gid := os.Geteuid(), os.Getegid()
	one := Way{flags: flags | unix.CLONE_NEWUSER, uids: mapOne(uid, user), gids: mapOne(gid, user), root: user == Root || uid == 0}
	if uid != 0 {
		return []Way{one}
	}
	all := Way{flags: one.flags, uids: mapAll("/proc/self/uid_map"), gids: mapAll("/proc/self/gid_map"), groups: true, root: true}
	return []Way{all, one, {flags: flags, root: true}}
}

// First returns the first way that the kernel permits, or why it did not permit
// the best; see Diagnose.
func First(ways []Way) (Way, error) {
	var first error // the others are only fallbacks
	for _, w := range ways {
		err := w.Allowed()
		if err == nil {
			return w, nil
		}
		first = cmp.Or(first, err)
	}
	return Way{}, first
}

// Asked reports whether attr, which may be nil, asks for namespaces by itself.
func Asked(attr *syscall.SysProcAttr) bool {
	return attr != nil && (attr.Cloneflags|attr.Unshareflags != 0 || attr.UidMappings != nil || attr.GidMappings != nil)
}

// HasUser reports whether the process gets a user namespace of its own.
func (w Way) HasUser() bool { return w.flags&unix.CLONE_NEWUSER != 0 }

// Attr returns a copy of attr, which may be nil, that starts a process this
// way. A process that is not root inside gets capabilities there all the same,
// those given (CAP_…), as ambient ones: they outlast its execve(2).
func (w Way) Attr(attr *syscall.SysProcAttr, ambient ...uintptr) *syscall.SysProcAttr {
	var a syscall.SysProcAttr
	if attr != nil {
		a = *attr
	}
	a.Cloneflags |= w.flags
	a.UidMappings, a.GidMappings, a.GidMappingsEnableSetgroups = w.uids, w.gids, w.groups
	if !w.root || a.Credential != nil && a.Credential.Uid != 0 {
		a.AmbientCaps = append(slices.Clone(a.AmbientCaps), ambient...)
	}
	return &a
}

// Allowed asks the kernel whether this process may make such namespaces, with a
// fork that makes them and then finds no file to exec. Go leaves two
// descriptors open when a start with UidMappings fails for that reason
// (syscall.forkAndExecInChild's mapPipe, go1.26).
func (w Way) Allowed() error {
	cmd := exec.Cmd{Path: "/proc/self/no-such-file", SysProcAttr: &syscall.SysProcAttr{Unshareflags: w.flags}}
	errno, ok := errors.AsType[syscall.Errno](cmd.Start())
	if !ok || errno == unix.ENOENT {
		return nil
	}
	return os.NewSyscallError("unshare", errno)
}

// mapOne maps one id, to itself or to root.
func mapOne(id int, user User) []syscall.SysProcIDMap {
	inside := id
	if user == Root {
		inside = 0
	}
	return []syscall.SysProcIDMap{{ContainerID: inside, HostID: id, Size: 1}}
}

// mapAll maps every id that this process has, as listed in a map file of
// user_namespaces(7), to itself.
func mapAll(path string) []syscall.SysProcIDMap {
	file, err := os.Open(path)
	if err != nil {
		return mapOne(0, Root)
	}
	defer file.Close()
	var ids []syscall.SysProcIDMap
	for {
		var inside, outside, size int
		if _, err := fmt.Fscan(file, &inside, &outside, &size); err != nil {
			return ids
		}
		ids = append(ids, syscall.SysProcIDMap{ContainerID: inside, HostID: inside, Size: size})
	}
}
