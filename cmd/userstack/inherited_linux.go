package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// firstExtra is the first descriptor that is not a standard one.
const firstExtra = 3

// inherited returns the open descriptors from firstExtra on that this process was started with, for a child to have under
// the same numbers; nil where there is none. Those that this process opened itself are closed on exec, which tells them
// apart.
func inherited() (files []*os.File) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd < firstExtra {
			continue
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC != 0 {
			continue
		}
		for len(files) <= fd-firstExtra {
			files = append(files, nil)
		}
		files[fd-firstExtra] = os.NewFile(uintptr(fd), "inherited")
	}
	return files
}

// letGo closes standard input and output of this process, which the program has now: a reader or writer at the other end
// waits for the program, not for us.
func letGo() {
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(null)
	for fd := range 2 {
		unix.Dup3(null, fd, 0)
	}
}

// privileges names what a file gives whoever executes it (execve(2), capabilities(7)), or "" for nothing.
func privileges(path string) string {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return ""
	}
	switch {
	case st.Mode&unix.S_ISUID != 0 && int(st.Uid) != os.Geteuid():
		return "the privileges of its owner (set-user-ID)"
	case st.Mode&unix.S_ISGID != 0 && st.Mode&unix.S_IXGRP != 0 && int(st.Gid) != os.Getegid():
		return "the privileges of its group (set-group-ID)"
	}
	if n, err := unix.Getxattr(path, "security.capability", nil); err == nil && n > 0 && os.Geteuid() != 0 {
		return "capabilities"
	}
	return ""
}
