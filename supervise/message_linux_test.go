//go:build amd64 || arm64

package supervise_test

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// controls describes the control messages in b.
func controls(t *testing.T, b []byte) string {
	t.Helper()
	messages, err := unix.ParseSocketControlMessage(b)
	if err != nil {
		return err.Error()
	}
	var s []string
	for _, m := range messages {
		data := fmt.Sprint(m.Data)
		if m.Header.Level == unix.SOL_SOCKET {
			data = fmt.Sprint("size ", len(m.Data)) // of times
		}
		s = append(s, fmt.Sprintf("%d/%d %s", m.Header.Level, m.Header.Type, data))
	}
	return strings.Join(s, ", ")
}

// cmsg returns a control message.
func cmsg(level, typ int32, data ...byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(data)))
	b[0] = byte(unix.CmsgLen(len(data)))
	b[8], b[12] = byte(level), byte(typ)
	copy(b[unix.CmsgLen(0):], data)
	return b
}

// TestDatagramMessages checks flags and control messages, in both directions, in
// the order of the table: what one row sends the next ones receive.
func TestDatagramMessages(t *testing.T) {
	inside(t, func(t *testing.T) {
		to, at := udp(t)
		from, _ := udp(t)
		for _, o := range [][2]int{{unix.SOL_IP, unix.IP_PKTINFO}, {unix.SOL_IP, unix.IP_RECVTTL}, {unix.SOL_IP, unix.IP_RECVTOS}, {unix.SOL_SOCKET, unix.SO_TIMESTAMP}} {
			if err := unix.SetsockoptInt(to, o[0], o[1], 1); err != nil {
				t.Fatal("setsockopt:", err)
			}
		}
		send := func(data string, control []byte, flags int) func() string {
			return func() string { return sent(unix.SendmsgN(from, []byte(data), control, at, flags)) }
		}
		recv := func(size, room, flags int) func() string {
			return func() string {
				b, control := make([]byte, size), make([]byte, room)
				n, controlLen, out, _, err := unix.Recvmsg(to, b, control, flags)
				if err != nil {
					return outcome(nil, 0, nil, err)
				}
				return fmt.Sprintf("%d %q %#x %s", n, b[:min(n, size)], out, controls(t, control[:controlLen]))
			}
		}
		const all = "1/29 size 16, 0/8 [1 0 0 0 127 0 0 1 127 0 0 1], "
		for _, step := range []struct {
			what, want string
			do         func() string
		}{
			{"plain", "5", send("hello", nil, 0)},
			{"peek and length", `5 "he" 0x28 `, recv(2, 0, unix.MSG_PEEK|unix.MSG_TRUNC)},
			{"all of it", `5 "hello" 0x0 ` + all + "0/2 [64 0 0 0], 0/1 [0]", recv(10, 500, 0)},
			{"nothing", "EAGAIN", recv(10, 0, unix.MSG_DONTWAIT)},
			{"headers", "1", send("x", append(cmsg(unix.SOL_IP, unix.IP_TTL, 7, 0, 0, 0), cmsg(unix.SOL_IP, unix.IP_TOS, 16)...), 0)},
			{"theirs", `1 "x" 0x0 ` + all + "0/2 [7 0 0 0], 0/1 [16]", recv(10, 500, 0)},
			{"empty", "0", send("", nil, 0)},
			{"cut control", `0 "" 0x8 1/29 size 16, 0/8 [1 0 0 0]`, recv(10, unix.CmsgSpace(16)+unix.CmsgLen(4), 0)},
			{"long", "5", send("hello", nil, 0)},
			{"no room at all", `2 "he" 0x28 `, recv(2, 8, 0)},
			{"descriptor", "1", send("d", unix.UnixRights(to), 0)},
			{"is none", `1 "d" 0x8 `, recv(1, 0, unix.MSG_WAITALL)},
			{"bad TTL", "EINVAL", send("x", cmsg(unix.SOL_IP, unix.IP_TTL, 0, 0, 0, 0), 0)},
			{"bad length", "EINVAL", send("x", make([]byte, 16), 0)},
			{"source", "1", send("x", cmsg(unix.SOL_IP, unix.IP_PKTINFO, 0, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0), 0)},
			{"came", `1 "x" 0x8 `, recv(1, 0, 0)},
			{"urgent", "ENOTSUP", send("x", nil, unix.MSG_OOB)},
			{"too long", "EMSGSIZE", send(strings.Repeat("x", 65508), nil, 0)},
			{"longest", "65507", send(strings.Repeat("x", 65507), nil, 0)},
			{"its length", `65507 "x" 0x28 `, recv(1, 0, unix.MSG_TRUNC)},
			{"broadcast", "EACCES", func() string {
				return sent(unix.SendmsgN(from, nil, nil, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{255, 255, 255, 255}}, 0))
			}},
			{"no port", "EINVAL", func() string { return sent(unix.SendmsgN(from, nil, nil, &unix.SockaddrInet4{}, 0)) }},
			{"no address", "EDESTADDRREQ", func() string { return sent(unix.SendmsgN(from, nil, nil, nil, 0)) }},
			{"another family", "EAFNOSUPPORT", func() string { return sent(unix.SendmsgN(from, nil, nil, &unix.SockaddrInet6{Port: 9}, 0)) }},
		} {
			if got := step.do(); got != step.want {
				t.Errorf("%s: %s, want %s", step.what, got, step.want)
			}
		}
	})
}

// TestDatagramShutdown checks what is left of a socket that is shut.
func TestDatagramShutdown(t *testing.T) {
	inside(t, func(t *testing.T) {
		_, at := udp(t)
		fd := unbound(t)
		if err := unix.Shutdown(fd, unix.SHUT_RD); err != unix.ENOTCONN {
			t.Errorf("shutdown without a peer: %v, want ENOTCONN", err)
		}
		for _, step := range []struct {
			what, want string
			do         func() string
		}{
			{"events all the same", "0x2005", func() string { return fmt.Sprintf("%#x", events(t, fd)) }},
			{"recvfrom", `0 "" <nil>`, func() string { return recvFrom(fd, 1, unix.MSG_TRUNC) }},
			{"read", `""`, func() string { return fmt.Sprintf("%q", read(t, fd)) }},
			{"recvmsg", "EAGAIN", func() string { return recvMsg(fd, 1, unix.MSG_DONTWAIT) }},
			{"connect", "<nil>", func() string { return fmt.Sprint(unix.Connect(fd, at)) }},
			{"shutdown", "<nil>", func() string { return fmt.Sprint(unix.Shutdown(fd, unix.SHUT_WR)) }},
			{"write", "broken pipe", func() string {
				_, err := unix.Write(fd, []byte("x"))
				return fmt.Sprint(err)
			}},
			{"sendto", "broken pipe", func() string { return fmt.Sprint(unix.Sendto(fd, []byte("x"), 0, at)) }},
			{"events", "0x2015", func() string { return fmt.Sprintf("%#x", events(t, fd)) }},
		} {
			if got := step.do(); got != step.want {
				t.Errorf("%s: %s, want %s", step.what, got, step.want)
			}
		}
	})
}

// TestDatagramErrorQueue checks that IP_RECVERR's queue says what failed.
func TestDatagramErrorQueue(t *testing.T) {
	inside(t, func(t *testing.T) {
		nobody, at := udp(t)
		unix.Close(nobody)
		fd, _ := udp(t)
		if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_RECVERR, 1); err != nil {
			t.Fatal("setsockopt:", err)
		}
		sendTo(t, fd, "lost", at)
		await(t, fd, unix.POLLERR)
		var b [10]byte
		var control [100]byte
		n, controlLen, flags, from, err := unix.Recvmsg(fd, b[:], control[:], unix.MSG_ERRQUEUE)
		if err != nil {
			t.Fatal("recvmsg:", err)
		}
		if to, ok := from.(*unix.SockaddrInet4); !ok || to.Port != at.Port || to.Addr != at.Addr || string(b[:n]) != "lost" || flags != unix.MSG_ERRQUEUE {
			t.Errorf("%q to %v with %#x, want what was sent to %v", b[:n], from, flags, at)
		}
		// struct sock_extended_err: errno, origin ICMP, type and code, and who said so.
		const want = "0/11 [111 0 0 0 2 3 3 0 0 0 0 0 0 0 0 0 2 0 0 0 127 0 0 1 0 0 0 0 0 0 0 0]"
		if got := controls(t, control[:controlLen]); got != want {
			t.Errorf("control message %s, want %s", got, want)
		}
		if ev := events(t, fd); ev != unix.POLLOUT {
			t.Errorf("events %#x when the queue is empty, want POLLOUT", ev)
		}
		sendTo(t, fd, "", name4(t, fd))
		if got, _ := receive(t, fd); got != "" {
			t.Errorf("received %q, want the empty datagram", got)
		}
	})
}

// TestManyMessages checks recvmmsg and sendmmsg, for which package unix has
// nothing.
func TestManyMessages(t *testing.T) {
	need(t, "python3")
	out := output(t, newHost(t), "python3", "-c", manyMessages)
	const want = "sent 3 [3, 3, 3]\n" +
		"received 3 [3, 3, 3] [b'000', b'111', b'222']\n" +
		"for one 2 [b'000', b'111']\n" +
		"partly 2\n" +
		"nothing -1 11\n" +
		"bad header -1 14\n" +
		"time 1\n"
	if out != want {
		t.Errorf("printed\n%swant\n%s", out, want)
	}
}

const manyMessages = `
import ctypes, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
class iovec(ctypes.Structure): _fields_ = [('b', ctypes.c_void_p), ('l', ctypes.c_size_t)]
class mmsghdr(ctypes.Structure): _fields_ = [
    ('name', ctypes.c_void_p), ('namelen', ctypes.c_uint32), ('iov', ctypes.c_void_p), ('iovlen', ctypes.c_size_t),
    ('control', ctypes.c_void_p), ('controllen', ctypes.c_size_t), ('flags', ctypes.c_long), ('len', ctypes.c_uint)]
to = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); to.bind(("127.0.0.1", 0))
fr = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
at = struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", to.getsockname()[1], bytes([127, 0, 0, 1]))
name = ctypes.create_string_buffer(at)
def messages(n, named):
    data = [ctypes.create_string_buffer(str(i).encode() * 3) for i in range(n)]
    iov = (iovec * n)(*[iovec(ctypes.addressof(d), 3) for d in data])
    m = (mmsghdr * n)()
    for i in range(n):
        m[i].iov, m[i].iovlen = ctypes.addressof(iov[i]), 1
        if named: m[i].name, m[i].namelen = ctypes.addressof(name), 16
    return data, iov, m
d, v, m = messages(3, True)
print("sent", libc.sendmmsg(fr.fileno(), m, 3, 0), [x.len for x in m])
d, v, m = messages(3, False)
n = libc.recvmmsg(to.fileno(), m, 3, 0, None)
print("received", n, [x.len for x in m], [x.raw[:3] for x in d])
d, v, m = messages(2, True)
libc.sendmmsg(fr.fileno(), m, 2, 0)
d, v, m = messages(3, False)
WAITFORONE = 0x10000
print("for one", libc.recvmmsg(to.fileno(), m, 3, WAITFORONE, None), [x.raw[:3] for x in d[:2]])
d, v, m = messages(3, True)
m[2].namelen = 3
print("partly", libc.sendmmsg(fr.fileno(), m, 3, 0))
libc.recvmmsg(to.fileno(), m, 2, 0, None)
print("nothing", libc.recvmmsg(to.fileno(), m, 3, socket.MSG_DONTWAIT, None), ctypes.get_errno())
print("bad header", libc.recvmmsg(to.fileno(), ctypes.c_void_p(8), 3, 0, None), ctypes.get_errno())
fr.sendto(b"x", to.getsockname())
print("time", libc.recvmmsg(to.fileno(), messages(2, False)[2], 2, 0, struct.pack("qq", 0, 0)))
`
