package tun_test

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/tun"
)

// TestOpenFails walks through the ways opening fails: each has its errno, says
// what to do, and leaves no descriptor and no interface behind.
func TestOpenFails(t *testing.T) {
	if !inside(t) {
		return
	}
	checkDescriptors(t)
	busy := rawTUN(t, "busy", unix.IFF_TUN|unix.IFF_NO_PI)
	defer unix.Close(busy)
	persist(t, "tap", unix.IFF_TAP|unix.IFF_NO_PI)
	persist(t, "many", unix.IFF_TUN|unix.IFF_NO_PI|unix.IFF_MULTI_QUEUE)
	other := mustOpen(t, tun.Config{Name: "other", Routes: []tun.Route{{Dst: netip.MustParsePrefix("203.0.113.0/24")}}})
	defer other.Close()

	for _, c := range []struct {
		name   string
		config tun.Config
		errno  syscall.Errno
		says   string
	}{
		{"busy", tun.Config{Name: "busy"}, syscall.EBUSY, "another process"},
		{"busy, by water", tun.Config{Name: "busy", Backend: tun.Water}, syscall.EBUSY, "another process"},
		{"other mode", tun.Config{Name: "tap"}, syscall.EINVAL, "exists"},
		{"other mode, by water", tun.Config{Name: "tap", Backend: tun.Water}, syscall.EINVAL, "exists"},
		{"other queues", tun.Config{Name: "many"}, syscall.EINVAL, "exists"},
		{"not a TUN", tun.Config{Name: "lo"}, syscall.EINVAL, "exists"},
		{"long name", tun.Config{Name: "sixteen-bytes-xx"}, syscall.EINVAL, "longer than 15"},
		{"bad name", tun.Config{Name: "a/b"}, syscall.EINVAL, "not a name"},
		{"mode", tun.Config{Mode: 7}, syscall.EINVAL, "neither"},
		{"small MTU", tun.Config{MTU: 67}, syscall.EINVAL, "MTU 67"},
		{"large MTU", tun.Config{MTU: 65536}, syscall.EINVAL, "MTU 65536"},
		{"queues", tun.Config{Queues: 257}, syscall.EINVAL, "257 queues"},
		{"negative queues", tun.Config{Queues: -1}, syscall.EINVAL, "-1 queues"},
		{"offload", tun.Config{Offload: 9}, syscall.EINVAL, "offload 9"},
		{"backend", tun.Config{Backend: 9}, syscall.EINVAL, "backend 9"},
		{"queues of water", tun.Config{Queues: 2, Backend: tun.Water}, syscall.EINVAL, "one queue"},
		{"address", tun.Config{Addrs: []netip.Prefix{{}}}, syscall.EINVAL, "not valid"},
		{"route", tun.Config{Routes: []tun.Route{{}}}, syscall.EINVAL, "not valid"},
		{"route of two families", tun.Config{Routes: []tun.Route{{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParseAddr("::1")}}}, syscall.EINVAL, "not valid"},
		{"multicast address", tun.Config{Addrs: []netip.Prefix{netip.MustParsePrefix("ff02::1/64")}}, syscall.EADDRNOTAVAIL, "address ff02::1/64"},
		{"far gateway", tun.Config{Routes: []tun.Route{{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParseAddr("192.0.2.9")}}}, syscall.ENETUNREACH, "gateway"},
		{"route of another", tun.Config{Routes: []tun.Route{{Dst: netip.MustParsePrefix("203.0.113.0/24")}}}, syscall.EEXIST, "another route"},
		{"MTU too small for IPv6", tun.Config{MTU: 1000, Addrs: []netip.Prefix{netip.MustParsePrefix("2001:db8::1/64")}}, syscall.EINVAL, "2001:db8::1/64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkDescriptors(t)
			dev, err := tun.Open(c.config)
			if err == nil {
				dev.Close()
				t.Fatal("Open succeeded")
			}
			if !errors.Is(err, c.errno) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v; want %v and %q", err, c.errno, c.says)
			}
		})
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	if len(interfaces) != 5 { // lo, busy, tap, many, other
		t.Errorf("interfaces were left behind: %v", interfaces)
	}
}

// TestErrorTypes checks what errors.As finds in the two kinds of failure.
func TestErrorTypes(t *testing.T) {
	if !inside(t) {
		return
	}
	fd := rawTUN(t, "busy", unix.IFF_TUN|unix.IFF_NO_PI)
	defer unix.Close(fd)
	_, err := tun.Open(tun.Config{Name: "busy"})
	if se, ok := errors.AsType[*os.SyscallError](err); !ok || se.Err != syscall.EBUSY {
		t.Errorf("%v is not an *os.SyscallError over EBUSY", err)
	}
	dev := mustOpen(t, tun.Config{})
	dev.Close()
	_, err = dev.Write(0, nil)
	if pe, ok := errors.AsType[*os.PathError](err); !ok || pe.Path != "tun0" {
		t.Errorf("%v is not an *os.PathError about tun0", err)
	}
}

// TestNoDriver hides /dev/net/tun.
func TestNoDriver(t *testing.T) {
	if !inside(t, "unshare", "-m", "sh", "-c", `mount -t tmpfs none /dev/net && exec "$@"`, "sh") {
		return
	}
	for _, backend := range []tun.Backend{tun.Native, tun.Water} {
		_, err := tun.Open(tun.Config{Backend: backend})
		if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "modprobe tun") {
			t.Errorf("backend %d: %v", backend, err)
		}
	}
}

// TestNoCapability drops CAP_NET_ADMIN.
func TestNoCapability(t *testing.T) {
	if !inside(t, "setpriv", "--bounding-set", "-net_admin") {
		return
	}
	checkDescriptors(t)
	for _, backend := range []tun.Backend{tun.Native, tun.Water} {
		_, err := tun.Open(tun.Config{Backend: backend})
		if !errors.Is(err, syscall.EPERM) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") || !strings.Contains(err.Error(), "tun/namespace") {
			t.Errorf("backend %d: %v", backend, err)
		}
	}
}

// TestNoPermission puts a file that nobody may open in the place of /dev/net/tun.
func TestNoPermission(t *testing.T) {
	const script = `mount -t tmpfs none /dev/net && : >/dev/net/tun && chmod 0 /dev/net/tun &&
		exec setpriv --bounding-set -dac_override,-dac_read_search "$@"`
	if !inside(t, "unshare", "-m", "sh", "-c", script, "sh") {
		return
	}
	_, err := tun.Open(tun.Config{})
	if !errors.Is(err, syscall.EACCES) || !strings.Contains(err.Error(), "chmod 0666") {
		t.Error(err)
	}
}

// TestUnprivilegedOwner attaches, without a capability, to a device that was
// made and configured for this user, and needs nothing changed.
func TestUnprivilegedOwner(t *testing.T) {
	const script = `ip tuntap add mine mode tun user 0 && ip address add 192.0.2.1/24 dev mine && ip link set mine up &&
		exec setpriv --bounding-set -net_admin "$@"`
	if !inside(t, "sh", "-c", script, "sh") {
		return
	}
	dev, err := tun.Open(tun.Config{Name: "mine", MTU: 1500, Addrs: farAddrs[:1]})
	if err != nil {
		t.Fatal(err)
	}
	dev.Close()
	_, err = tun.Open(tun.Config{Name: "mine", MTU: 1400})
	if !errors.Is(err, syscall.EPERM) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
		t.Errorf("changing the MTU: %v", err)
	}
}

// TestKeepsForeignDevice opens and closes a device that was there before, and
// one that was not.
func TestKeepsForeignDevice(t *testing.T) {
	if !inside(t) {
		return
	}
	persist(t, "theirs", unix.IFF_TUN|unix.IFF_NO_PI)
	for _, backend := range []tun.Backend{tun.Native, tun.Water} {
		for _, name := range []string{"theirs", "ours"} {
			mustOpen(t, tun.Config{Name: name, Backend: backend}).Close()
			if got, want := exists(name), name == "theirs"; got != want {
				t.Errorf("backend %d: interface %s exists: %v, want %v", backend, name, got, want)
			}
		}
	}
	fd := rawTUN(t, "theirs", unix.IFF_TUN|unix.IFF_NO_PI)
	dev, err := tun.FromFD(fd, tun.Config{Name: "theirs"})
	if err != nil {
		t.Fatal(err)
	}
	dev.Close()
	if !exists("theirs") {
		t.Error("FromFD: the interface was deleted")
	}
}

// TestConfigures sets everything twice, since the second time most of it is
// there already.
func TestConfigures(t *testing.T) {
	if !inside(t) {
		return
	}
	persist(t, "twice", unix.IFF_TUN|unix.IFF_NO_PI)
	config := tun.Config{
		Name: "twice", MTU: 9000, Addrs: farAddrs,
		Routes: []tun.Route{
			{Dst: netip.MustParsePrefix("203.0.113.0/24")},
			{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.2")},
			{Dst: netip.MustParsePrefix("2001:db8:1::/48"), Gateway: netip.MustParseAddr("2001:db8::2")},
			{Dst: netip.MustParsePrefix("2001:db8:2::/48")},
		},
	}
	for range 2 {
		dev := mustOpen(t, config)
		if mtu, err := dev.MTU(); mtu != 9000 || err != nil {
			t.Errorf("MTU = %d, %v", mtu, err)
		}
		dev.Close()
	}
	// Routes vanish when the carrier goes with the last descriptor; look while it is there.
	defer mustOpen(t, config).Close()
	for args, wants := range map[string][]string{
		"-4 route": {"203.0.113.0/24 dev twice", "default via 192.0.2.2 dev twice", "192.0.2.0/24 dev twice"},
		"-6 route": {"2001:db8:1::/48 via 2001:db8::2 dev twice", "2001:db8:2::/48 dev twice"},
		"address":  {"192.0.2.1/24", "2001:db8::1/64", "mtu 9000", "UP"},
	} {
		out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
		if err != nil {
			t.Fatalf("ip %s: %v\n%s", args, err, out)
		}
		for _, want := range wants {
			if !bytes.Contains(out, []byte(want)) {
				t.Errorf("ip %s has no %q:\n%s", args, want, out)
			}
		}
	}
}

// TestCloseOnExec lists the descriptors of a program started meanwhile.
func TestCloseOnExec(t *testing.T) {
	if !inside(t) {
		return
	}
	defer mustOpen(t, tun.Config{}).Close()
	defer mustOpen(t, tun.Config{Backend: tun.Water}).Close()
	defer mustOpen(t, tun.Config{Queues: 3}).Close()
	fd := rawTUN(t, "", unix.IFF_TUN|unix.IFF_NO_PI)
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
		t.Fatal(err)
	}
	dev, err := tun.FromFD(fd, tun.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	out, err := exec.Command("ls", "-l", "/proc/self/fd").CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("/dev/net/tun")) {
		t.Errorf("%v: a child has the device open:\n%s", err, out)
	}
}
