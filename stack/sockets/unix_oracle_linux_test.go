package sockets

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// kernelUnix is the world of the kernel under the test.
type kernelUnix struct {
	t      testing.TB
	dir    string // for paths
	prefix string // of abstract names
	fds    []int
}

var kernelWorlds atomic.Int64

func newKernelUnix(t testing.TB) *kernelUnix {
	w := &kernelUnix{t: t, dir: t.TempDir(), prefix: fmt.Sprintf("ut%d.%d.", os.Getpid(), kernelWorlds.Add(1))}
	t.Cleanup(func() {
		for _, fd := range w.fds {
			if fd >= 0 {
				unix.Close(fd)
			}
		}
	})
	return w
}

func errnoOfSyscall(err error) error {
	if e, ok := err.(unix.Errno); ok {
		return &Error{Num: Errno(e)}
	}
	return err
}

func (w *kernelUnix) add(fd int) int {
	w.fds = append(w.fds, fd)
	return len(w.fds) - 1
}

const kernelFlags = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC

func (w *kernelUnix) socket(typ Type) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, int(typ)|kernelFlags, 0)
	if err != nil {
		return -1, errnoOfSyscall(err)
	}
	return w.add(fd), nil
}

func (w *kernelUnix) pair(typ Type) (int, int, error) {
	p, err := unix.Socketpair(unix.AF_UNIX, int(typ)|kernelFlags, 0)
	if err != nil {
		return -1, -1, errnoOfSyscall(err)
	}
	return w.add(p[0]), w.add(p[1]), nil
}

func (w *kernelUnix) addr(name string) unix.Sockaddr {
	switch {
	case strings.HasPrefix(name, "@"):
		return &unix.SockaddrUnix{Name: "@" + w.prefix + name[1:]}
	case name == "":
		return &unix.SockaddrUnix{}
	}
	return &unix.SockaddrUnix{Name: filepath.Join(w.dir, name)}
}

func (w *kernelUnix) addrText(a unix.Sockaddr) string {
	ua, ok := a.(*unix.SockaddrUnix)
	if !ok {
		return ""
	}
	name := strings.TrimPrefix(ua.Name, w.dir+"/")
	if strings.HasPrefix(name, "@"+w.prefix) {
		return "@" + name[1+len(w.prefix):]
	}
	if name == "@" {
		return "" // how package unix has an unbound address
	}
	return autoName(name)
}

func (w *kernelUnix) bind(s int, name string) error {
	return errnoOfSyscall(unix.Bind(w.fds[s], w.addr(name)))
}

func (w *kernelUnix) listen(s, backlog int) error {
	return errnoOfSyscall(unix.Listen(w.fds[s], backlog))
}

func (w *kernelUnix) connect(s int, name string) error {
	if name != "" {
		return errnoOfSyscall(unix.Connect(w.fds[s], w.addr(name)))
	}
	unspec := new([16]byte) // an address that package unix does not make
	_, _, e := unix.Syscall(unix.SYS_CONNECT, uintptr(w.fds[s]), reflect.ValueOf(unspec).Pointer(), uintptr(len(unspec)))
	runtime.KeepAlive(unspec)
	if e != 0 {
		return errnoOfSyscall(e)
	}
	return nil
}

func (w *kernelUnix) accept(s int) (int, string, error) {
	fd, sa, err := unix.Accept4(w.fds[s], kernelFlags)
	if err != nil {
		return -1, "", errnoOfSyscall(err)
	}
	return w.add(fd), w.addrText(sa), nil
}

func (w *kernelUnix) send(s int, p []byte, to string, flags MsgFlags, rights int) (int, error) {
	var oob []byte
	if rights > 0 {
		oob = unix.UnixRights(slices.Repeat([]int{0}, rights)...)
	}
	var sa unix.Sockaddr
	if to != "" {
		sa = w.addr(to)
	}
	n, err := unix.SendmsgBuffers(w.fds[s], [][]byte{p}, oob, sa, int(flags)|unix.MSG_NOSIGNAL)
	if err != nil {
		return 0, errnoOfSyscall(err)
	}
	return n, nil
}

func (w *kernelUnix) recv(s, n int, flags MsgFlags) (string, error) {
	buf, oob := make([]byte, n), make([]byte, 1000)
	got, oobn, out, from, err := unix.RecvmsgBuffers(w.fds[s], [][]byte{buf}, oob, int(flags)|unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return "", errnoOfSyscall(err)
	}
	text := fmt.Sprintf("%s from %q flags %#x", digest(buf[:min(got, n)], got), w.addrText(from), out&^unix.MSG_CMSG_CLOEXEC)
	ms, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		w.t.Error(err)
	}
	for i, m := range ms {
		text += fmt.Sprintf(" cmsg %d %s", m.Header.Type, w.cmsg(&ms[i]))
	}
	return text, nil
}

func (w *kernelUnix) cmsg(m *unix.SocketControlMessage) string {
	if m.Header.Type != unix.SCM_RIGHTS {
		return credText(m.Data)
	}
	fds, err := unix.ParseUnixRights(m)
	if err != nil {
		w.t.Error(err)
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
	return fmt.Sprint(len(fds), " fds")
}

func (w *kernelUnix) shutdown(s int, how How) error {
	return errnoOfSyscall(unix.Shutdown(w.fds[s], int(how)))
}

func (w *kernelUnix) close(s int) error {
	err := unix.Close(w.fds[s])
	w.fds[s] = -1
	return errnoOfSyscall(err)
}

func (w *kernelUnix) unlink(name string) error {
	return errnoOfSyscall(unix.Unlink(filepath.Join(w.dir, name)))
}

func (w *kernelUnix) names(s int) string {
	own, err := unix.Getsockname(w.fds[s])
	peer, err2 := unix.Getpeername(w.fds[s])
	text := unixErrno(errnoOfSyscall(err))
	if err == nil {
		text = fmt.Sprintf("%q", w.addrText(own))
	}
	if err2 != nil {
		return text + " peer " + unixErrno(errnoOfSyscall(err2))
	}
	return text + fmt.Sprintf(" peer %q", w.addrText(peer))
}

func (w *kernelUnix) get(s int, what string) string {
	switch what {
	case "unread":
		n, err := unix.IoctlGetInt(w.fds[s], unix.TIOCINQ)
		return fmt.Sprint(n, " ", unixErrno(errnoOfSyscall(err)))
	case "unsent":
		n, _ := unix.IoctlGetInt(w.fds[s], unix.TIOCOUTQ)
		return fmt.Sprint(n)
	}
	n, _ := unix.GetsockoptInt(w.fds[s], unix.SOL_SOCKET, unix.SO_ERROR)
	return Errno(n).Error()
}

func (w *kernelUnix) set(s, name, value int) error {
	return errnoOfSyscall(unix.SetsockoptInt(w.fds[s], unix.SOL_SOCKET, name, value))
}

// polled are the events that are compared.
const polled = POLLIN | POLLPRI | POLLOUT | POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM | POLLWRBAND | POLLRDHUP

func (w *kernelUnix) poll(s int) PollEvents {
	p := []unix.PollFd{{Fd: int32(w.fds[s]), Events: int16(polled)}}
	unix.Poll(p, 0)
	return PollEvents(p[0].Revents)
}

// compareUnix runs the steps in both worlds and reports the first difference.
func compareUnix(t *testing.T, steps func(yield func(unixStep), sockets func() int)) {
	t.Helper()
	ours, kernel := &unixScript{w: newOurUnix(t)}, &unixScript{w: newKernelUnix(t)}
	failed := false
	steps(func(st unixStep) {
		if failed {
			return
		}
		ours.step(st)
		kernel.step(st)
		for i := range kernel.log {
			if i >= len(ours.log) || ours.log[i] != kernel.log[i] {
				failed = true
				t.Errorf("\n%s\nkernel %s\nours   %s", strings.Join(kernel.log[:i], "\n"), kernel.log[i], ours.log[i])
				return
			}
		}
	}, func() int { return len(ours.live) })
}

// randomRuns is how many sequences are run; two thousand take twenty seconds.
const randomRuns = 100

// TestUnixAgainstKernelRandomly runs made-up sequences of calls on AF_UNIX
// sockets of ours and of the kernel, and compares results, data, errors and poll
// masks after each.
func TestUnixAgainstKernelRandomly(t *testing.T) {
	for seed := range uint64(randomRuns) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			compareUnix(t, func(yield func(unixStep), sockets func() int) {
				for range 150 {
					yield(randomStep(rnd, []string{"@na", "@nb", "path"}, sockets()))
				}
			})
		})
		if !ok {
			return
		}
	}
}

// unixDifferences are where we permit ourselves to answer otherwise than Linux
// 6.18, and why.
var unixDifferences = []struct {
	reason       string
	steps        []unixStep
	kernel, ours string // what the last step gives
}{
	{"there is no urgent data, as on TCP sockets",
		[]unixStep{{op: "pair", typ: SOCK_STREAM}, {op: "send", n: 1, flags: MSG_OOB}}, "1 ok", "0 Operation not supported"},
	{"a path is a string: no directory has to exist",
		[]unixStep{{op: "socket", typ: SOCK_STREAM}, {op: "bind", name: "directory/n"}}, "No such file or directory", "ok"},
	{"there are no process descriptors",
		[]unixStep{{op: "socket", typ: SOCK_STREAM}, {op: "passpidfd", n: 1}}, "ok", "Protocol not available"},
	{"there is no security module",
		[]unixStep{{op: "socket", typ: SOCK_STREAM}, {op: "passsec", n: 1}}, "ok", "Protocol not available"},
	{"as in Python, a negative backlog is 0: a second connection does not fit",
		[]unixStep{{op: "socket", typ: SOCK_STREAM}, {op: "bind", name: "@n"}, {op: "listen", n: -1}, {op: "socket", typ: SOCK_STREAM},
			{op: "connect", sock: 1, name: "@n"}, {op: "socket", typ: SOCK_STREAM}, {op: "connect", sock: 2, name: "@n"}}, "ok", "Resource temporarily unavailable"},
}

// TestUnixDifferences checks that each permitted difference is one.
func TestUnixDifferences(t *testing.T) {
	for _, d := range unixDifferences {
		ours, kernel := &unixScript{w: newOurUnix(t)}, &unixScript{w: newKernelUnix(t)}
		for _, st := range d.steps {
			ours.step(st)
			kernel.step(st)
		}
		got, want := ours.last(), kernel.last()
		if got != d.ours || want != d.kernel {
			t.Errorf("%s: the kernel says %q and we %q; listed are %q and %q", d.reason, want, got, d.kernel, d.ours)
		}
	}
}

// last returns what the last step gave.
func (r *unixScript) last() string {
	_, result, _ := strings.Cut(r.log[len(r.log)-2], ": ")
	return result
}

// TestUnixCharges compares what messages of each size occupy of SO_SNDBUF with
// the kernel (SIOCOUTQ).
func TestUnixCharges(t *testing.T) {
	for _, typ := range unixTypes {
		ours, kernel := &unixScript{w: newOurUnix(t)}, &unixScript{w: newKernelUnix(t)}
		for _, r := range []*unixScript{ours, kernel} {
			r.step(unixStep{op: "pair", typ: typ})
			for size := 0; size < 100_000; size += 61 {
				r.step(unixStep{op: "send", n: size})
				r.step(unixStep{op: "unsent"})
				r.step(unixStep{op: "recv", sock: 1, n: 100_000})
			}
		}
		for i := range kernel.log {
			if ours.log[i] != kernel.log[i] {
				t.Errorf("kernel %s\nours   %s", kernel.log[i], ours.log[i])
				break
			}
		}
	}
}
