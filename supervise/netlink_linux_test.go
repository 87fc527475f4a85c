//go:build amd64 || arm64

package supervise_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/supervise"
)

// netlinkProbe tells of a netlink socket what does not depend on the machine.
const netlinkProbe = `
import errno, fcntl, os, select, signal, socket, struct, threading
def outcome(f, *a):
    try: return f(*a)
    except OSError as e: return errno.errorcode.get(e.errno, type(e).__name__)
def netlink(kind=socket.SOCK_RAW): return socket.socket(16, kind, 0)
me = os.getpid()
def name(a): return tuple("me" if x == me else "other" if x > 1 << 31 else x for x in a) if isinstance(a, tuple) else a
def ask(seq=1, kind=18, flags=0x301, body=b"\0" * 16): return struct.pack("IHHII", 16 + len(body), kind, flags, seq, 0) + body
def link(index): return ask(5, 18, 1, struct.pack("BBHiII", 0, 0, 0, index, 0, 0))
s = netlink()
print("types", [outcome(netlink, k) and "ok" for k in (3, 2)], outcome(netlink, 1), outcome(netlink, 5))
print("names", s.getsockname(), s.getpeername())
print("bind", outcome(s.bind, (0, 0)), name(s.getsockname()), outcome(s.bind, (0, 0)), outcome(s.bind, (me, 0)), outcome(s.bind, (77, 0)))
t = netlink()
print("other", outcome(t.bind, (me, 0)), outcome(t.bind, (4000000, 3)), t.getsockname())
t.close(); t = netlink(2); t.bind((4000000, 0)); print("again", t.getsockname())
u = netlink(); print("auto", outcome(u.send, link(1)) > 0, name(u.getsockname()), len(u.recv(9000)) > 100)
print("connect", outcome(u.connect, (0, 0)), outcome(u.connect_ex, (0, 0)))
print("refused", outcome(u.listen, 1), outcome(u.accept), outcome(u.shutdown, 2))
print("send", outcome(u.sendto, b"", (0, 0)), outcome(u.sendto, link(1), socket.MSG_OOB, (0, 0)))
u.sendto(link(1), (0, 0))
size = u.recvfrom(0, socket.MSG_PEEK | socket.MSG_TRUNC)
print("peek", size[1], len(u.recvmsg(9000, 0, socket.MSG_PEEK)[0]) > 100, u.recvmsg(20)[2:], outcome(u.recv, 10, socket.MSG_DONTWAIT))
u.sendmsg([link(1)[:10], link(1)[10:]], [], 0, (0, 0))
buf = bytearray(16)
n, _, flags, who = u.recvmsg_into([buf], 0, socket.MSG_TRUNC); print("truncated", n > 100, flags, who, struct.unpack("IHH", buf[:8])[1:])
print("wait", outcome(u.recvfrom, 10, socket.MSG_DONTWAIT), outcome(u.recv, 10, socket.MSG_OOB | socket.MSG_DONTWAIT))
u.settimeout(0.05); print("timeout", outcome(u.recvfrom, 10))
u.setsockopt(1, 20, struct.pack("ll", 0, 50000)); u.setblocking(True); print("limit", outcome(u.recvfrom, 10)); u.setsockopt(1, 20, struct.pack("ll", 0, 0))
u.settimeout(None)
def poll(): return [m for _, m in p.poll(0)]
p = select.poll(); p.register(u); print("poll", poll())
u.send(link(1)); p2 = select.poll(); p2.register(u, select.POLLIN); print("ready", p2.poll(20000)[0][1]); u.recv(9000); print("poll", poll())
for level, option, values in (270, 1, (0, 1, 33, 36, 70, 1000)), (270, 2, (1, 36)), (270, 3, (1,)), (270, 5, (1,)), (270, 10, (1, 0)), (270, 11, (7,)), (270, 12, (1,)), (270, 99, (1,)), (6, 1, (1,)), (1, 8, (4096,)), (1, 7, (65536,)):
    print("set", level, option, [outcome(u.setsockopt, level, option, v) for v in values])
print("set short", outcome(u.setsockopt, 270, 11, b"\1"), name(u.getsockname()))
for level, option in (270, 3), (270, 4), (270, 5), (270, 10), (270, 11), (270, 12), (270, 99), (1, 3), (1, 4), (1, 38), (1, 39), (6, 1):
    print("get", level, option, outcome(u.getsockopt, level, option))
print("buffer", u.getsockopt(1, 7) == 131072)
v = netlink(); v.send(ask(9, 18, 0x301)); v.send(ask(10, 18, 1, b"\0" * 16))
seen = []
while 10 not in seen or 3 not in seen:
    b = v.recv(65536)
    while b:
        l, k, f, q, port = struct.unpack("IHHII", b[:16]); seen += [q, k] if k != 2 else [q, struct.unpack("i", b[16:20])[0]]; b = b[(l + 3) & ~3:]
        assert port == v.getsockname()[0]
print("mixed", sorted(set(seen)))
def later(): v.send(link(1))
threading.Timer(0.05, later).start(); print("blocked", len(v.recvfrom(9000)[0]) > 100)
signal.signal(signal.SIGALRM, lambda *a: 1 / 0); signal.setitimer(signal.ITIMER_REAL, 0.05)
try: v.recvfrom(10)
except ZeroDivisionError: print("interrupted")
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def headers(buffers):
    vectors = [(ctypes.c_uint64 * 2)(ctypes.addressof(b), len(b)) for b in buffers]
    h = b"".join(struct.pack("QI4xQQQQI4xI4x", 0, 0, ctypes.addressof(v), 1, 0, 0, 0, 0) for v in vectors)
    return ctypes.create_string_buffer(h, len(h)), (vectors, buffers)
def lengths(h): return [struct.unpack_from("I", h.raw, i + 56)[0] for i in range(0, len(h), 64)]
h, keep = headers([ctypes.create_string_buffer(link(i), 32) for i in (1, 99, 1)])
print("sendmmsg", libc.sendmmsg(v.fileno(), h, 3, 0), lengths(h))
h, keep = headers([ctypes.create_string_buffer(9000) for _ in range(5)])
n = libc.recvmmsg(v.fileno(), h, 5, 0x10000, None)
print("recvmmsg", n, [x > 100 for x in lengths(h)[:n]], libc.recvmmsg(v.fileno(), h, 5, socket.MSG_DONTWAIT, None), ctypes.get_errno())
v.send(link(1))
pid = os.fork()
if pid == 0:
    print("child", len(v.recv(9000)) > 100, name(v.getsockname()), flush=True); os._exit(0)
os.waitpid(pid, 0)
print("ioctl", fcntl.fcntl(v, fcntl.F_GETFL) & os.O_NONBLOCK, outcome(fcntl.ioctl, v, 0x8933, struct.pack("16s24x", b"lo"))[16:20])
`

// TestNetlinkAsNative runs the same program on the kernel's netlink and on ours.
func TestNetlinkAsNative(t *testing.T) {
	need(t, "python3")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // only guards against a hang
	defer cancel()
	want, err := exec.CommandContext(ctx, "python3", "-c", netlinkProbe).CombinedOutput()
	if err != nil {
		t.Skipf("needs AF_NETLINK natively: %v\n%s", err, want)
	}
	sameLines(t, output(t, newNICHost(t), "python3", "-c", netlinkProbe), string(want))
}

func TestNetlinkPython(t *testing.T) {
	need(t, "python3")
	out := output(t, newNICHost(t), "python3", "-c", `
import socket
print(socket.if_nameindex(), socket.getaddrinfo("10.55.0.9", 80, flags=socket.AI_ADDRCONFIG)[0][4])
`)
	sameLines(t, out, `[(1, 'lo'), (2, 'us0'), (3, 'us1')] ('10.55.0.9', 80)`)
}

// What the kernel allows root, the stack allows nobody.
func TestNetlinkPrivileges(t *testing.T) {
	need(t, "python3")
	out := output(t, newNICHost(t), "python3", "-c", `
import errno, socket, struct
s = socket.socket(16, 3)
def outcome(f, *a):
    try: return f(*a)
    except OSError as e: return errno.errorcode[e.errno]
m = struct.pack("IHHII16x", 32, 16, 5, 1, 0)
print(outcome(s.connect, (5, 0)), outcome(s.connect, (0, 1)), outcome(s.sendto, m, (7, 0)), outcome(s.sendto, m, (0, 1)), outcome(s.setsockopt, 270, 8, 1))
s.send(m); print(struct.unpack("IHHIIi", s.recv(100)[:20])[1::4], len(m))
print([outcome(socket.socket, 16, 3, p) for p in (4, 9, 15, 16)])
`)
	sameLines(t, out, `
EPERM EPERM EPERM EPERM EPERM
(2, -1) 32
['EPROTONOSUPPORT', 'EPROTONOSUPPORT', 'EPROTONOSUPPORT', 'EPROTONOSUPPORT']
`)
}

// More replies than the program's socket has room for wait here until there is room.
func TestNetlinkMany(t *testing.T) {
	need(t, "python3")
	h := newNICHost(t)
	const routes = 6000 // 312 KB, where a socket takes some 200 (net.core.wmem_default)
	for i := range routes {
		dst := netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16, byte(i >> 8), byte(i)}), 32)
		if err := h.Stack().AddRoute(stack.Route{Dst: dst, NIC: "us0"}); err != nil {
			t.Fatal(err)
		}
	}
	out := output(t, h, "python3", "-c", `
import socket, struct
s = socket.socket(16, 3)
s.sendto(struct.pack("IHHII", 28, 26, 0x301, 1, 0) + b"\2" + b"\0" * 11, (0, 0))
routes = datagrams = 0
while True:
    b = s.recv(65536); datagrams += 1
    kinds = []
    while b:
        l, kind = struct.unpack("IH", b[:6]); kinds.append(kind); b = b[(l + 3) & ~3:]
    routes += kinds.count(24)
    if 3 in kinds: break
print(routes > 6000, datagrams > 80)
s.close()
`)
	sameLines(t, out, "True True")
}

// interfaceLines are what getifaddrs and Go's net package say of newNICHost.
const interfaceLines = `
lo 127.0.0.1/8
lo ::1/128
us0 10.55.0.2/24
us0 fd55::2/64
us1 192.168.55.2/24
us1 fe80::ff:fe00:9/64
`

const getifaddrs = `
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
int main(void) {
	struct ifaddrs *list;
	if (getifaddrs(&list)) { perror("getifaddrs"); return 1; }
	for (struct ifaddrs *i = list; i; i = i->ifa_next) {
		char text[64];
		int bits = 0, v6;
		if (!i->ifa_addr || ((v6 = i->ifa_addr->sa_family == AF_INET6) == 0 && i->ifa_addr->sa_family != AF_INET)) continue;
		unsigned char *mask = v6 ? ((struct sockaddr_in6 *)i->ifa_netmask)->sin6_addr.s6_addr : (unsigned char *)&((struct sockaddr_in *)i->ifa_netmask)->sin_addr;
		for (int k = 0; k < (v6 ? 16 : 4); k++) bits += __builtin_popcount(mask[k]);
		inet_ntop(i->ifa_addr->sa_family, v6 ? (void *)&((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr : (void *)&((struct sockaddr_in *)i->ifa_addr)->sin_addr, text, sizeof text);
		printf("%s %s/%d\n", i->ifa_name, text, bits);
		if (!if_nametoindex(i->ifa_name)) perror("if_nametoindex");
	}
	freeifaddrs(list);
	return 0;
}
`

// sorted puts lines into one order: programs differ in theirs.
func sorted(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// musl's getifaddrs sends with no address and does not wait for the reply.
func TestNetlinkGetifaddrs(t *testing.T) {
	for _, compiler := range []string{"gcc", "musl-gcc"} {
		t.Run(compiler, func(t *testing.T) {
			need(t, compiler)
			dir := t.TempDir()
			source := filepath.Join(dir, "a.c")
			if err := os.WriteFile(source, []byte(getifaddrs), 0o644); err != nil {
				t.Fatal(err)
			}
			program := filepath.Join(dir, "a")
			if out, err := exec.Command(compiler, "-static", "-o", program, source).CombinedOutput(); err != nil {
				t.Skipf("needs %s with a static C library: %v\n%s", compiler, err, out)
			}
			sameLines(t, sorted(output(t, newNICHost(t), program)), sorted(interfaceLines))
		})
	}
}

// TestNetlinkGo is its own child, which is a Go program: it reads with recvfrom(2) alone.
func TestNetlinkGo(t *testing.T) {
	const child = "USERSTACK_TEST_INTERFACES"
	if os.Getenv(child) != "" {
		all, err := net.Interfaces()
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range all {
			addrs, err := i.Addrs()
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range addrs {
				fmt.Println(">", i.Name, a)
			}
		}
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := supervise.Command(newNICHost(t), self, "-test.run", "^TestNetlinkGo$")
	cmd.Env = append(os.Environ(), child+"=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if text, ok := strings.CutPrefix(line, "> "); ok {
			lines = append(lines, text)
		}
	}
	sameLines(t, sorted(strings.Join(lines, "")), sorted(interfaceLines))
}

func TestNetlinkIproute(t *testing.T) {
	need(t, "ip")
	h := newNICHost(t)
	for args, want := range map[string]string{
		"-brief -4 address":              `us0\s+UP\s+10\.55\.0\.2/24`,
		"-json address":                  `"ifname":"us1".*"address":"02:00:00:00:00:09","broadcast":"ff:ff:ff:ff:ff:ff".*"local":"192\.168\.55\.2","prefixlen":24`,
		"-details link show us0":         `mtu 1400 .*qlen 500`,
		"route":                          `(?s)^default via 10\.55\.0\.1 dev us0 .*10\.55\.0\.0/24 dev us0 proto kernel scope link src 10\.55\.0\.2`,
		"-6 route":                       `(?s)fd55::/64 dev us0 proto kernel metric 256.*default via fd55::1 dev us0`,
		"route get 8.8.8.8":              `8\.8\.8\.8 via 10\.55\.0\.1 dev us0 src 10\.55\.0\.2`,
		"-6 route get 2001:db8::1":       `2001:db8::1 .*via fd55::1 dev us0 .*src fd55::2`,
		"route get 10.55.0.2":            `local 10\.55\.0\.2 dev lo`,
		"route show table local dev us1": `local 192\.168\.55\.2`,
		"rule":                           `32766:\s+from all lookup main`,
		"neigh":                          `^$`,
		"-s link show lo":                `RX:\s+bytes`,
	} {
		out := output(t, h, "ip", strings.Fields(args)...)
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("ip %s printed %q, want %q", args, out, want)
		}
	}
	for args, want := range map[string]string{
		"link set us0 down":                      "Operation not permitted",
		"address add 10.9.9.9/24 dev us0":        "Operation not permitted",
		"route del default":                      "Operation not permitted",
		"link show none":                         "does not exist",
		"route get 240.0.0.1 oif lo":             "unreachable",
		"route add 10.4.0.0/16 via 10.55.0.1":    "Operation not permitted",
		"-force neigh add 10.55.0.7 dev us1 nud": "",
	} {
		out, err := supervise.Command(h, "ip", strings.Fields(args)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("ip %s: %v, %q, want %q", args, err, out, want)
		}
	}
}
