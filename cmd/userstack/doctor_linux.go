package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/supervise"
	"github.com/userstack/userstack/supervise/netns"
	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/namespace"
)

// machineFindings asks the kernel.
func machineFindings() []finding {
	return []finding{
		checkKernel(),
		checkDevice(),
		checkNamespace(),
		checkOffload(),
		checkNetAdmin(),
		checkRun(),
		checkRunNamespace(),
		checkPing(),
	}
}

// The costs of what may be missing.
const (
	costDevice    = "--link netns, tun: and tap:; the demo has no kernel at its other end"
	costNamespace = "--link netns; the demo has no kernel at its other end; --link tun: needs root"
	costRun       = "running other programs on this stack"
	costPing      = "pings from --link host and \"userstack run\" to the machine's own network; those over a TUN device work"

	costRunNamespace = "running programs that need io_uring, packet sockets, urgent data or 32 bits"
)

func checkKernel() finding {
	f := finding{Thing: "operating system", Verdict: good, Found: "Linux"}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		f.Verdict, f.Found = unknown, err.Error()
		return f
	}
	f.Found = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:]) + " " + unix.ByteSliceToString(u.Machine[:])
	return f
}

// devicePath is where the kernel offers TUN devices.
const devicePath = "/dev/net/tun"

func checkDevice() finding {
	f := finding{Thing: devicePath, Verdict: good}
	file, err := os.OpenFile(devicePath, os.O_RDWR, 0)
	if err == nil {
		f.Found = "this user may open it"
		file.Close()
		return f
	}
	f.Verdict, f.Found, f.Cost = lacking, err.Error(), costDevice
	switch {
	case errors.Is(err, os.ErrNotExist):
		f.Remedy = "modprobe tun; in a container, start it with --device " + devicePath
	case errors.Is(err, os.ErrPermission):
		f.Remedy = "chmod 0666 " + devicePath + ", as most systems have it; in a container, start it with --device " + devicePath
	}
	return f
}

// namespaceLimits are the kernel's switches against namespaces without privileges, and the value that means "off".
var namespaceLimits = []struct{ path, off string }{
	{"/proc/sys/user/max_user_namespaces", "0"},
	{"/proc/sys/user/max_net_namespaces", "0"},
	{"/proc/sys/kernel/unprivileged_userns_clone", "0"},
	{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"},
}

func checkNamespace() finding {
	f := finding{Thing: "user+network namespace", Verdict: good, Found: "this user can make one"}
	ns, err := namespace.New(namespace.Config{})
	if err == nil {
		ns.Close()
	} else {
		f.Verdict, f.Found, f.Cost = lacking, plain(err), costNamespace
		f.Remedy = "see above, or run as root; --link demo needs no namespace"
	}
	for _, l := range namespaceLimits {
		value, err := os.ReadFile(l.path)
		if text := strings.TrimSpace(string(value)); err == nil && text == l.off {
			f.Found += fmt.Sprintf(" (%s is %s)", strings.TrimPrefix(l.path, "/proc/sys/"), text)
		}
	}
	return f
}

// checkOffload asks a device in a namespace, or one outside where that is allowed, what the kernel does for it.
func checkOffload() finding {
	f := finding{Thing: "TUN offload", Verdict: good}
	dev, closeAll, err := anyDevice()
	if err != nil {
		f.Verdict, f.Found = unknown, "no device to ask: "+plain(err)
		f.Cost, f.Remedy = costDevice, "the same as for what is missing above"
		return f
	}
	defer closeAll()
	f.Found = strings.TrimPrefix(offloads(dev.Features()), "offload: ")
	const udp = tun.FeatureHostUSO | tun.FeatureGuestUSO4 | tun.FeatureGuestUSO6
	switch {
	case dev.Features() == 0:
		f.Verdict, f.Cost = lacking, "speed: every packet of 1,500 bytes is a system call"
		f.Remedy = "a kernel with IFF_VNET_HDR (any of this century)"
	case dev.Features()&udp != udp:
		f.Found += "; no USO, which is of Linux 6.2 and later: large UDP sends are cut by us"
	}
	return f
}

func anyDevice() (dev tun.Device, closeAll func(), err error) {
	ns, err := namespace.New(namespace.Config{})
	if err != nil {
		return nil, nil, err
	}
	dev, err = ns.OpenTUN(tun.Config{Addrs: []netip.Prefix{farAddrs[0]}})
	if err != nil {
		ns.Close()
		return nil, nil, err
	}
	return dev, func() { dev.Close(); ns.Close() }, nil
}

func checkNetAdmin() finding {
	f := finding{Thing: "CAP_NET_ADMIN", Verdict: good, Found: "this process has it"}
	has, err := effective(unix.CAP_NET_ADMIN)
	switch {
	case err != nil:
		f.Verdict, f.Found = unknown, err.Error()
	case !has:
		f.Verdict, f.Found = lacking, "this process does not have it"
		f.Cost = "creating devices with --link tun: and tap:; attaching to one made for this user works"
		f.Remedy = "run as root; or once, as root: ip tuntap add us0 mode tun user $USER; or use --link netns"
	}
	return f
}

// effective reports whether this process has a capability (capabilities(7)).
func effective(capability uint) (bool, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return false, err
	}
	lines := bufio.NewScanner(bytes.NewReader(status))
	for lines.Scan() {
		if set, ok := strings.CutPrefix(lines.Text(), "CapEff:"); ok {
			bits, err := strconv.ParseUint(strings.TrimSpace(set), 16, 64)
			return bits&(1<<capability) != 0, err
		}
	}
	return false, errors.New("/proc/self/status has no CapEff")
}

// checkRun tries what run needs, in its two ways.
func checkRun() finding {
	f := finding{Thing: "userstack run", Verdict: good, Found: "this user can run programs on the stack"}
	if err := supervise.Check(); err != nil {
		f.Verdict, f.Found, f.Cost = lacking, plain(err), costRun
		f.Remedy = "as said; or \"userstack run --mode netns\", where the next line has it"
	}
	return f
}

func checkRunNamespace() finding {
	f := finding{Thing: "userstack run --mode netns", Verdict: good, Found: "this user can run programs in a network namespace"}
	if err := netns.Check(); err != nil {
		f.Verdict, f.Found, f.Cost = lacking, plain(err), costRunNamespace
		f.Remedy = "the same as for what is missing above"
	}
	return f
}

// checkPing looks whether this user's group may open ping sockets of the kernel (icmp(7)).
func checkPing() finding {
	f := finding{Thing: "ping sockets of the kernel", Verdict: good}
	file, err := os.ReadFile("/proc/sys/net/ipv4/ping_group_range")
	var first, last uint64
	if err == nil {
		_, err = fmt.Sscan(string(file), &first, &last)
	}
	switch group := uint64(os.Getegid()); {
	case err != nil:
		f.Verdict, f.Found = unknown, err.Error()
	case first <= group && group <= last:
		f.Found = fmt.Sprintf("groups %d to %d may open them", first, last)
	default:
		f.Verdict, f.Found, f.Cost = lacking, "this user's group may not open them", costPing
		f.Remedy = "sysctl -w net.ipv4.ping_group_range=\"0 2147483647\""
	}
	return f
}
