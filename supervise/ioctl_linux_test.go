//go:build amd64 || arm64

package supervise_test

import (
	"net/netip"
	"strings"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/sockets"
)

// newNICHost returns a Host with a tunnel and an Ethernet, on which nobody answers.
func newNICHost(t testing.TB) *sockets.Host {
	t.Helper()
	const mac = tcpip.LinkAddress("\x02\x00\x00\x00\x00\x09")
	s, err := stack.New(stack.Config{
		NICs: []stack.NIC{
			{Name: "us0", Link: channel.New(64, 1400, ""), Addrs: []netip.Prefix{netip.MustParsePrefix("10.55.0.2/24"), netip.MustParsePrefix("fd55::2/64")}},
			{Name: "us1", Link: channel.New(64, 1500, mac), Addrs: []netip.Prefix{netip.MustParsePrefix("192.168.55.2/24")}},
		},
		Routes: []stack.Route{
			{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.55.0.1")},
			{Dst: netip.MustParsePrefix("::/0"), Gateway: netip.MustParseAddr("fd55::1")},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	h, err := sockets.New(sockets.Config{Stack: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// sameLines fails unless a program printed what it should.
func sameLines(t *testing.T, got, want string) {
	t.Helper()
	g, w := strings.Split(strings.TrimSpace(got), "\n"), strings.Split(strings.TrimSpace(want), "\n")
	for i := range max(len(g), len(w)) {
		var a, b string
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			t.Errorf("line %d:\n got %s\nwant %s", i+1, a, b)
		}
	}
}

// The answers are what Linux 6.18 gives with a TUN device us0 and a TAP device us1.
func TestInterfaceRequests(t *testing.T) {
	need(t, "python3")
	out := output(t, newNICHost(t), "python3", "-c", `
import fcntl, socket, struct, os, ctypes
def ask(s, request, name, index=0, n=16):
    try: b = fcntl.ioctl(s, request, struct.pack("16si20x", name, index))
    except OSError as e: return os.strerror(e.errno)
    return b[:16].rstrip(b"\0").decode() + " " + b[16:16+n].hex()
inet, inet6, local = socket.socket(), socket.socket(socket.AF_INET6), socket.socket(socket.AF_UNIX)
for name in b"lo", b"us0", b"us1":
    for request in 0x8913, 0x8915, 0x8919, 0x891b, 0x891d, 0x8921, 0x8927, 0x8933, 0x8942:
        print(hex(request), ask(inet, request, name, n=8))
for s in inet6, local:
    print(ask(s, 0x8933, b"us0", n=4), ask(s, 0x8921, b"us1", n=4), ask(s, 0x8915, b"us0"), ask(s, 0x8933, b"eth0"))
print(ask(local, 0x8910, b"", 2, n=4), ask(local, 0x8910, b"", 77))
for request in 0x8914, 0x8916, 0x891c, 0x8922, 0x8924, 0x8943, 0x890b: print(ask(local, request, b"us0"), end="; ")
print(ask(inet, 0x8946, b"us0"), ask(inet, 0x8946, b"us9"), ask(inet, 0x8970, b"us0"), ask(inet, 0x8999, b"us0"), ask(inet, 0x894c, b""), sep="; ")
def conf(s, room):
    b = ctypes.create_string_buffer(400)
    n = struct.unpack("i12x", fcntl.ioctl(s, 0x8912, struct.pack("iP", room, ctypes.addressof(b) if room else 0)))[0]
    return n, [b.raw[i:i+16].rstrip(b"\0").decode() + " " + socket.inet_ntoa(b.raw[i+20:i+24]) for i in range(0, n, 40)] if room else []
print(conf(inet, 400), conf(local, 0), conf(inet6, 79), conf(local, -100))
r, w = os.pipe()
print(ask(r, 0x8933, b"us0"), ask(inet, 0x8905, b""))
try: fcntl.ioctl(99, 0x8933, b"x" * 40)
except OSError as e: print(os.strerror(e.errno))
libc = ctypes.CDLL(None, use_errno=True)
print(libc.ioctl(inet.fileno(), 0x8933, ctypes.c_void_p(8)), os.strerror(ctypes.get_errno()))
print(socket.if_nametoindex("us1"), socket.if_indextoname(2))
a, b = socket.socketpair()
fcntl.ioctl(a, 0x8902, struct.pack("i", os.getpid()))
print(struct.unpack("i", fcntl.ioctl(a, 0x8904, b"\0\0\0\0"))[0] == os.getpid(), fcntl.ioctl(a, 0x8905, b"\1\1\1\1").hex())
`)
	sameLines(t, out, `
0x8913 lo 4900000000000000
0x8915 lo 020000007f000001
0x8919 lo 0200000000000000
0x891b lo 02000000ff000000
0x891d lo 0000000000000000
0x8921 lo 0000010000000000
0x8927 lo 0403000000000000
0x8933 lo 0100000000000000
0x8942 lo e803000000000000
0x8913 us0 d110000000000000
0x8915 us0 020000000a370002
0x8919 us0 0200000000000000
0x891b us0 02000000ffffff00
0x891d us0 0000000000000000
0x8921 us0 7805000000000000
0x8927 us0 feff000000000000
0x8933 us0 0200000000000000
0x8942 us0 f401000000000000
0x8913 us1 4310000000000000
0x8915 us1 02000000c0a83702
0x8919 us1 02000000c0a837ff
0x891b us1 02000000ffffff00
0x891d us1 0000000000000000
0x8921 us1 dc05000000000000
0x8927 us1 0100020000000009
0x8933 us1 0300000000000000
0x8942 us1 e803000000000000
us0 02000000 us1 dc050000 Inappropriate ioctl for device No such device
us0 02000000 us1 dc050000 Inappropriate ioctl for device No such device
us0 02000000 No such device
Operation not permitted; Operation not permitted; Operation not permitted; Operation not permitted; Operation not permitted; Operation not permitted; Operation not permitted; Operation not supported; No such device; us0 00000000000000000000000000000000; Inappropriate ioctl for device; Operation not permitted
(120, ['lo 127.0.0.1', 'us0 10.55.0.2', 'us1 192.168.55.2']) (120, []) (40, ['lo 127.0.0.1']) (0, [])
Inappropriate ioctl for device  00000000000000000000000000000000
Bad file descriptor
-1 Bad address
3 us0
True 00000000
`)
}
