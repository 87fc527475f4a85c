package userns

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// settings are the kernel's switches against user and network namespaces: when
// a file has this content, namespaces are refused, with one of these errors.
var settings = []struct {
	path    string
	content string
	errnos  []syscall.Errno
	remedy  string
}{
	{"/proc/sys/user/max_user_namespaces", "0", []syscall.Errno{unix.ENOSPC, unix.EUSERS},
		"user namespaces are switched off: \"sysctl -w user.max_user_namespaces=10000\""},
	{"/proc/sys/user/max_net_namespaces", "0", []syscall.Errno{unix.ENOSPC},
		"network namespaces are switched off: \"sysctl -w user.max_net_namespaces=10000\""},
	{"/proc/sys/user/max_mnt_namespaces", "0", []syscall.Errno{unix.ENOSPC},
		"mount namespaces are switched off: \"sysctl -w user.max_mnt_namespaces=10000\""},
	{"/proc/sys/kernel/unprivileged_userns_clone", "0", []syscall.Errno{unix.EPERM},
		"user namespaces are for root only (Debian, Arch): \"sysctl -w kernel.unprivileged_userns_clone=1\""},
	{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", []syscall.Errno{unix.EPERM, unix.EACCES},
		"AppArmor keeps privileges from user namespaces (Ubuntu 23.10 and later): " +
			"\"sysctl -w kernel.apparmor_restrict_unprivileged_userns=0\", or an AppArmor profile with \"userns,\" for this program"},
}

// causes are what an error means when no setting explains it.
var causes = map[syscall.Errno]string{
	unix.EPERM:  "user namespaces are refused, as a container's seccomp filter or a chroot does: in a container, use \"--security-opt seccomp=unconfined\" or \"--cap-add SYS_ADMIN\"; or run as root",
	unix.EINVAL: "the kernel was built without user namespaces (CONFIG_USER_NS) or network namespaces (CONFIG_NET_NS)",
	unix.ENOSPC: "there are too many namespaces already, or they are nested too deep: raise user.max_user_namespaces and user.max_net_namespaces",
	unix.EUSERS: "there are too many namespaces already, or they are nested too deep: raise user.max_user_namespaces",
	unix.ENOENT: "/proc is not mounted, or this program's file is not there",
}

// Diagnose adds to an error from making namespaces what stood in the way.
func Diagnose(err error) error {
	if blamed := Blame(err); blamed != err {
		return blamed
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok && causes[errno] != "" {
		return fmt.Errorf("%w: %s", err, causes[errno])
	}
	return err
}

// Blame adds to an error the switch of the kernel that it is due to, and returns
// it as it is if there is none.
func Blame(err error) error {
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return err
	}
	for _, s := range settings {
		content, readErr := os.ReadFile(s.path)
		if readErr != nil || strings.TrimSpace(string(content)) != s.content {
			continue
		}
		if slices.Contains(s.errnos, errno) {
			return fmt.Errorf("%w: %s", err, s.remedy)
		}
	}
	return err
}
