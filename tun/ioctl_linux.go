package tun

import (
	"errors"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The requests below are those of Linux include/uapi/linux/if_tun.h.

// clonePath is the file that every TUN and TAP device is opened through.
const clonePath = "/dev/net/tun"

// offloads are the sets of TUN_F flags to ask for, best first: the kernel
// refuses a set with a flag it does not know (USO came with Linux 6.2).
var offloads = map[Offload][]int{
	OffloadAuto: {
		unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6 | unix.TUN_F_USO4 | unix.TUN_F_USO6,
		unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6,
		unix.TUN_F_CSUM,
		0,
	},
	OffloadChecksum: {unix.TUN_F_CSUM, 0},
	OffloadNone:     {0},
}

// attach makes fd a queue of the interface, which is created if need be, and
// returns the interface's name.
func attach(fd int, name string, flags uint16) (string, error) {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return "", configError(err.Error())
	}
	ifr.SetUint16(flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		return "", os.NewSyscallError("ioctl TUNSETIFF", err)
	}
	return ifr.Name(), nil
}

// attached returns the name and IFF flags of the interface that fd is a queue of.
func attached(fd int) (name string, flags uint16, err error) {
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return "", 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.TUNGETIFF, ifr); err != nil {
		return "", 0, os.NewSyscallError("ioctl TUNGETIFF", err)
	}
	return ifr.Name(), ifr.Uint16(), nil
}

// useHeader gives packets the header that Device promises: 10 bytes, little-endian.
func useHeader(fd int) error {
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, HeaderSize); err != nil {
		return os.NewSyscallError("ioctl TUNSETVNETHDRSZ", err)
	}
	return os.NewSyscallError("ioctl TUNSETVNETLE", unix.IoctlSetPointerInt(fd, unix.TUNSETVNETLE, 1))
}

// agreeOffload settles with the kernel who computes what, and returns it as
// feature bits.
func agreeOffload(fd int, policy Offload) (uint64, error) {
	for _, flags := range offloads[policy] {
		err := unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, flags)
		if err == nil {
			return features(policy, flags), nil
		}
		if !errors.Is(err, unix.EINVAL) {
			return 0, os.NewSyscallError("ioctl TUNSETOFFLOAD", err)
		}
	}
	return 0, os.NewSyscallError("ioctl TUNSETOFFLOAD", unix.EINVAL)
}

// dropOffload has the kernel do everything itself. An interface that outlives
// its descriptors keeps the offload that was agreed on, and would leave out
// checksums also towards a program that has no header to learn it from
// (TestOffloadIsNotLeftOver).
func dropOffload(fd int) error {
	_, err := agreeOffload(fd, OffloadNone)
	return err
}

// features says what the policy and the accepted TUN_F flags amount to. The
// flags are about what we are handed; what we may send follows from
// IFF_VNET_HDR alone, but for USO, which is as old as its flag.
func features(policy Offload, flags int) uint64 {
	if policy == OffloadNone {
		return 0
	}
	bits := uint64(FeatureCSUM)
	if policy == OffloadAuto {
		bits |= FeatureHostTSO4 | FeatureHostTSO6
	}
	for _, f := range []struct {
		flag int
		bits uint64
	}{
		{unix.TUN_F_CSUM, FeatureGuestCSUM},
		{unix.TUN_F_TSO4, FeatureGuestTSO4},
		{unix.TUN_F_TSO6, FeatureGuestTSO6},
		{unix.TUN_F_USO4, FeatureGuestUSO4 | FeatureHostUSO},
		{unix.TUN_F_USO6, FeatureGuestUSO6},
	} {
		if flags&f.flag != 0 {
			bits |= f.bits
		}
	}
	return bits
}

// foreign reports whether the interface of fd is in another network namespace
// than this process, where its name would mean another interface or none. A
// kernel that cannot tell (TUNGETDEVNETNS is of Linux 5.5) is taken to mean no.
func foreign(fd int) bool {
	// The request takes no argument and returns a descriptor, which x/sys has no call for.
	nsfd, _, errno := syscall.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNGETDEVNETNS, uintptr(unsafe.Pointer(nil)))
	if errno != 0 {
		return errno == unix.EPERM
	}
	defer unix.Close(int(nsfd))
	var theirs, ours unix.Stat_t
	if unix.Fstat(int(nsfd), &theirs) != nil || unix.Stat("/proc/thread-self/ns/net", &ours) != nil {
		return false
	}
	return theirs.Dev != ours.Dev || theirs.Ino != ours.Ino
}
