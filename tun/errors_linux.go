package tun

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/userstack/userstack/tun/internal/ifconfig"
)

const privilegeRemedy = "run as root or give the program CAP_NET_ADMIN (setcap cap_net_admin+ep PROGRAM), " +
	"or open the device in a user namespace, which takes no privileges (package tun/namespace)"

// remedies tells, for each step of opening a device and each errno known from
// it, what is missing and what to do about it.
var remedies = []struct {
	op    string
	errno syscall.Errno
	text  string
}{
	{"open", syscall.ENOENT, "the kernel's TUN driver is not there: run \"modprobe tun\"; in a container, start it with \"--device /dev/net/tun\""},
	{"open", syscall.ENODEV, "the kernel's TUN driver is not loaded: run \"modprobe tun\""},
	{"open", syscall.ENXIO, "the kernel's TUN driver is not loaded: run \"modprobe tun\""},
	{"open", syscall.EACCES, "this user may not open the file, which most systems give mode 0666: run as root, or \"chmod 0666 /dev/net/tun\""},
	{"open", syscall.EPERM, "the container may not use the device: start it with \"--device /dev/net/tun\""},
	{"ioctl TUNSETIFF", syscall.EPERM, "creating a device takes CAP_NET_ADMIN, and attaching to one takes being its owner: " + privilegeRemedy},
	{"ioctl TUNSETIFF", syscall.EBUSY, "another process has the device open: end it, or choose another name"},
	{"ioctl TUNSETIFF", syscall.EINVAL, "an interface of that name exists and is not such a device (tun or tap, one queue or several): choose another name, or delete it with \"ip link delete\""},
	{"ioctl TUNSETIFF", syscall.E2BIG, "all queues of the device are in use"},
	{"ioctl TUNGETIFF", syscall.ENOTTY, "the descriptor is not one of /dev/net/tun"},
	{"ioctl TUNGETIFF", syscall.EBADFD, "the descriptor has not been attached to an interface (TUNSETIFF), or the interface was deleted"},
	{ifconfig.OpSet, syscall.EPERM, privilegeRemedy},
	{ifconfig.OpAddress, syscall.EPERM, privilegeRemedy},
	{ifconfig.OpAddress, syscall.EACCES, "IPv6 is disabled: \"sysctl -w net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0\""},
	{ifconfig.OpRoute, syscall.EPERM, privilegeRemedy},
	{ifconfig.OpRoute, syscall.EEXIST, "there is another route to that destination, which is not replaced"},
	{ifconfig.OpRoute, syscall.ENETUNREACH, "the gateway is not on a link: add an address whose prefix has it"},
	{ifconfig.OpRoute, syscall.EHOSTUNREACH, "the gateway is not on a link: add an address whose prefix has it"},
}

// explain adds to an error which device it was about and what the remedy is.
func explain(name string, err error) error {
	if err == nil {
		return nil
	}
	prefix := "tun"
	if name != "" {
		prefix += ": " + name
	}
	op := ""
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		op = pe.Op
	} else if se, ok := errors.AsType[*os.SyscallError](err); ok {
		op = se.Syscall
	}
	for _, r := range remedies {
		if r.op == op && errors.Is(err, r.errno) {
			return fmt.Errorf("%s: %w: %s", prefix, err, r.text)
		}
	}
	return fmt.Errorf("%s: %w", prefix, err)
}
