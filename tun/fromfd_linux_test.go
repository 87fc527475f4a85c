package tun_test

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/namespace"
)

// TestFromFDFails checks what cannot be adopted, and that it is closed.
func TestFromFDFails(t *testing.T) {
	if !inside(t) {
		return
	}
	checkDescriptors(t)
	const plain = unix.IFF_TUN | unix.IFF_NO_PI
	open := func(path string) func(*testing.T) []int {
		return func(t *testing.T) []int {
			fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			return []int{fd}
		}
	}
	raw := func(flags ...uint16) func(*testing.T) []int {
		return func(t *testing.T) (fds []int) {
			for _, f := range flags {
				fds = append(fds, rawTUN(t, "", f))
			}
			return fds
		}
	}
	for _, c := range []struct {
		name   string
		fds    func(*testing.T) []int
		config tun.Config
		errno  syscall.Errno
		says   string
	}{
		{"no descriptor", func(*testing.T) []int { return []int{-1} }, tun.Config{}, syscall.EBADF, ""},
		{"not a device", open("/dev/null"), tun.Config{}, syscall.ENOTTY, "not one of /dev/net/tun"},
		{"not attached", open("/dev/net/tun"), tun.Config{}, syscall.EBADFD, "TUNSETIFF"},
		{"with packet information", raw(unix.IFF_TUN), tun.Config{}, syscall.EINVAL, "IFF_NO_PI"},
		{"other mode", raw(plain), tun.Config{Mode: tun.TAP}, syscall.EINVAL, "not in mode tap"},
		{"other name", raw(plain), tun.Config{Name: "x"}, syscall.EINVAL, "belongs to"},
		{"two interfaces", raw(plain, plain), tun.Config{}, syscall.EINVAL, "different interfaces"},
		{"header under water", raw(plain | unix.IFF_VNET_HDR), tun.Config{Backend: tun.Water}, syscall.EINVAL, "IFF_VNET_HDR"},
		{"config", raw(plain), tun.Config{MTU: 1}, syscall.EINVAL, "MTU 1"},
		{"address", raw(plain), tun.Config{Addrs: farAddrs, MTU: 1000}, syscall.EINVAL, "2001:db8::1/64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkDescriptors(t)
			dev, err := tun.FromFDs(c.fds(t), c.config)
			if err == nil {
				dev.Close()
				t.Fatal("FromFDs succeeded")
			}
			if !errors.Is(err, c.errno) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v; want %v and %q", err, c.errno, c.says)
			}
		})
	}
	if dev, err := tun.FromFDs(nil, tun.Config{}); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("FromFDs of nothing: %v, %v", dev, err)
	}
}

// TestFromFDForeign refuses to set addresses on a device whose interface is in
// another namespace: an interface of the same name may be in this one.
func TestFromFDForeign(t *testing.T) {
	needNamespaces(t)
	ns, err := namespace.New(namespace.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	dev, err := ns.OpenTUN(tun.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	fd := duplicate(t, dev)
	_, err = tun.FromFD(fd, tun.Config{Addrs: farAddrs})
	if !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), "another network namespace") {
		t.Error(err)
	}
}

// duplicate returns a duplicate of the descriptor of a device's first queue.
func duplicate(t *testing.T, dev tun.Device) int {
	t.Helper()
	conn, err := dev.(interface {
		SyscallConn(int) (syscall.RawConn, error)
	}).SyscallConn(0)
	if err != nil {
		t.Fatal(err)
	}
	dup := -1
	controlErr := conn.Control(func(fd uintptr) { dup, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(err, controlErr, os.NewSyscallError("fcntl", err)); err != nil {
		t.Fatal(err)
	}
	return dup
}
