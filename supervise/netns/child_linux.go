package netns

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/supervise/internal/bindfile"
	"github.com/userstack/userstack/tun"
)

// stubName is the argv[0] that makes a process a stub. Its arguments are the
// number of the control socket's descriptor, which the pipe's follows, the path
// to execute, and argv.
const stubName = "userstack-netns"

const stubFailed = 127 // as a shell that cannot execute

// keptCapabilities are the program's own. They are worth something in its
// namespace only.
func keptCapabilities() []uintptr {
	return []uintptr{unix.CAP_NET_RAW, unix.CAP_NET_BIND_SERVICE}
}

// setupCapabilities are what the stub needs besides: for the device, for the
// private files.
func setupCapabilities() []uintptr { return []uintptr{unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN} }

func init() {
	if len(os.Args) >= 4 && os.Args[0] == stubName {
		runtime.LockOSThread() // capabilities are a thread's, and so must be the exec
		os.Exit(stubMain(os.Args))
	}
}

// stubMain sets up the namespace, hands over its device, and becomes the
// program. It returns an exit status when that fails.
func stubMain(args []string) int {
	control, err := strconv.Atoi(args[1])
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: this is a helper process, not to be started by hand\n", stubName)
		return 2
	}
	unix.CloseOnExec(control)
	unix.CloseOnExec(control + 1)
	fds, err := setUp(os.NewFile(uintptr(control+1), "orders"))
	if err == nil {
		err = tell(control, report{}, fds...)
	}
	if err != nil {
		tell(control, failure(err))
		return stubFailed
	}
	closeAll(fds)
	if n, err := unix.Read(control, make([]byte, 1)); n != 1 || err != nil {
		return stubFailed // nobody wants the program any more
	}
	if err := dropCapabilities(); err != nil {
		tell(control, failure(err))
		return stubFailed
	}
	tell(control, failure(syscall.Exec(args[2], args[3:], os.Environ())))
	return stubFailed
}

// tell sends a report. There is nobody else to tell that it failed.
func tell(control int, r report, fds ...int) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	return unix.Sendmsg(control, data, rights, nil, unix.MSG_NOSIGNAL)
}

func failure(err error) report {
	r := report{Text: err.Error()}
	r.Errno, _ = errors.AsType[syscall.Errno](err)
	return r
}

// setUp does what the order says and returns the descriptors for the report:
// the device's, and those of the lists of TCP sockets.
func setUp(orders *os.File) (fds []int, err error) {
	defer orders.Close()
	var o order
	if err := json.NewDecoder(orders).Decode(&o); err != nil {
		return nil, err
	}
	if err := loopbackUp(); err != nil {
		return nil, fmt.Errorf("lo: %w", err)
	}
	device, err := openDevice(o.TUN)
	if err != nil {
		return nil, err
	}
	allowPing()
	if err := bindfile.Replace(o.Files); err != nil {
		return nil, fmt.Errorf("private files: %w", err)
	}
	fds = append(fds, device)
	for _, path := range socketLists {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil && path == socketLists[0] {
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
		if err == nil {
			fds = append(fds, fd)
		}
	}
	return fds, nil
}

// openDevice makes the device and returns a descriptor of it.
func openDevice(cfg tun.Config) (int, error) {
	dev, err := tun.Open(cfg)
	if err != nil {
		return -1, err
	}
	defer dev.Close() // the duplicate keeps it
	conn, err := dev.(interface {
		SyscallConn(queue int) (syscall.RawConn, error)
	}).SyscallConn(0)
	if err != nil {
		return -1, err
	}
	var dup int
	var dupErr error
	err = conn.Control(func(fd uintptr) { dup, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	return dup, errors.Join(err, os.NewSyscallError("fcntl", dupErr))
}

// loopbackUp sets lo up, which brings it its addresses.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	ifreq, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifreq.SetUint16(unix.IFF_UP)
	return os.NewSyscallError("ioctl SIOCSIFFLAGS", unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifreq))
}

// allowPing lets the program's groups have ICMP sockets, icmp(7). The kernel
// takes only numbers that are mapped. It is for programs that try nothing else;
// the others have CAP_NET_RAW. Where /proc/sys may not be written, as in many
// containers, these have to do without.
func allowPing() {
	const path = "/proc/sys/net/ipv4/ping_group_range"
	if os.WriteFile(path, []byte("0 2147483647"), 0) != nil { // GID_T_MAX in Linux net/ipv4/sysctl_net_ipv4.c
		gid := strconv.Itoa(os.Getegid())
		_ = os.WriteFile(path, []byte(gid+" "+gid), 0)
	}
}

// dropCapabilities leaves this thread, unless it is root inside, which has all
// of them there, those that are the program's.
func dropCapabilities() error {
	if os.Geteuid() == 0 {
		return nil
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl PR_CAP_AMBIENT", err)
	}
	var set [2]unix.CapUserData // 64 capabilities; all of ours are below 32
	for _, c := range keptCapabilities() {
		set[0].Permitted |= 1 << c
	}
	set[0].Effective, set[0].Inheritable = set[0].Permitted, set[0].Permitted
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capset(&header, &set[0]); err != nil {
		return os.NewSyscallError("capset", err)
	}
	for _, c := range keptCapabilities() {
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, c, 0, 0); err != nil {
			return os.NewSyscallError("prctl PR_CAP_AMBIENT", err)
		}
	}
	return nil
}
