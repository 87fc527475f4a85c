package oracle

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernel runs programs on Linux's sockets.
type kernel struct {
	lab   *lab
	scene scene
	fds   map[string]int
}

// kernelCalls are the calls that it can make.
var kernelCalls map[string]func(*kernel, step) (string, error)

func init() {
	kernelCalls = map[string]func(*kernel, step) (string, error){
		"socket":      (*kernel).socket,
		"pair":        (*kernel).pair,
		"bind":        (*kernel).bind,
		"listen":      func(k *kernel, s step) (string, error) { return "", unix.Listen(k.fd(s), s.number(2)) },
		"connect":     (*kernel).connect,
		"bconnect":    func(k *kernel, s step) (string, error) { return k.blocking(s, (*kernel).connect) },
		"accept":      (*kernel).accept,
		"send":        (*kernel).send,
		"sendto":      (*kernel).sendTo,
		"recv":        (*kernel).recv,
		"brecv":       func(k *kernel, s step) (string, error) { return k.blocking(s, (*kernel).recv) },
		"recvfrom":    (*kernel).recvFrom,
		"shutdown":    func(k *kernel, s step) (string, error) { return "", unix.Shutdown(k.fd(s), s.number(2)) },
		"close":       (*kernel).closeOne,
		"getsockname": func(k *kernel, s step) (string, error) { return k.nameOf(unix.Getsockname(k.fd(s))) },
		"getpeername": func(k *kernel, s step) (string, error) { return k.nameOf(unix.Getpeername(k.fd(s))) },
		"error":       (*kernel).takeError,
		"get":         (*kernel).get,
		"set":         (*kernel).set,
		"linger":      (*kernel).linger,
		"poll":        (*kernel).poll,
		"fionread":    func(k *kernel, s step) (string, error) { return k.ioctl(s, unix.TIOCINQ) },
		"atmark":      func(k *kernel, s step) (string, error) { return k.ioctl(s, unix.SIOCATMARK) },
	}
}

func (k *kernel) call(s step) string {
	text, err := kernelCalls[s.op()](k, s)
	return render(text, err)
}

// render is a result as a word: the errno's name, or what the call gave.
func render(text string, err error) string {
	switch err := err.(type) {
	case nil:
		if text == "" {
			return "ok"
		}
		return text
	case syscall.Errno:
		return unix.ErrnoName(err)
	default:
		return err.Error()
	}
}

// fd is the descriptor of the step's socket; one that was never opened or is closed is -1, which gives EBADF.
func (k *kernel) fd(s step) int { return k.named(s.sock()) }

func (k *kernel) named(name string) int {
	if fd, ok := k.fds[name]; ok {
		return fd
	}
	return -1
}

// kinds are the types of sockets that a program can make.
var kinds = map[string]int{"tcp": unix.SOCK_STREAM, "udp": unix.SOCK_DGRAM,
	"stream": unix.SOCK_STREAM, "dgram": unix.SOCK_DGRAM, "seqpacket": unix.SOCK_SEQPACKET}

var families = map[string]int{"v4": unix.AF_INET, "v6": unix.AF_INET6, "dual": unix.AF_INET6, "unix": unix.AF_UNIX}

func (k *kernel) socket(s step) (string, error) {
	file, err := k.lab.socket(families[k.scene.family], kinds[s.word(2)])
	if err != nil {
		return "", err
	}
	defer file.Close()
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0) // out of Go's poller
	if err != nil {
		return "", err
	}
	k.fds[s.sock()] = fd
	return "", unix.SetNonblock(fd, true)
}

// pair is socketpair(2) of AF_UNIX, which belongs to no namespace.
func (k *kernel) pair(s step) (string, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kinds[s.word(3)]|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		k.fds[s.word(1)], k.fds[s.word(2)] = fds[0], fds[1]
	}
	return "", err
}

func (k *kernel) sockaddr(word string) unix.Sockaddr {
	if k.scene.family == "unix" {
		return &unix.SockaddrUnix{Name: "@" + k.scene.path(word)}
	}
	ap := k.scene.resolve(word)
	if ap.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: ap.Addr().As4(), Port: int(ap.Port())}
	}
	return &unix.SockaddrInet6{Addr: ap.Addr().As16(), Port: int(ap.Port())}
}

func (k *kernel) nameOf(sa unix.Sockaddr, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return k.name(sa), nil
}

func (k *kernel) name(sa unix.Sockaddr) string {
	if sa, ok := sa.(*unix.SockaddrUnix); ok {
		return k.scene.pathName(strings.TrimPrefix(sa.Name, "@"))
	}
	return k.scene.name(addrPort(sa))
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

func (k *kernel) bind(s step) (string, error) {
	if raw := k.wrong(s.word(2)); raw != nil {
		return "", rawCall(unix.SYS_BIND, k.fd(s), raw)
	}
	return "", unix.Bind(k.fd(s), k.sockaddr(s.word(2)))
}

func (k *kernel) connect(s step) (string, error) {
	if s.word(2) == "unspec" {
		return "", rawCall(unix.SYS_CONNECT, k.fd(s), make([]byte, unix.SizeofSockaddrInet4)) // AF_UNSPEC is 0
	}
	if raw := k.wrong(s.word(2)); raw != nil {
		return "", rawCall(unix.SYS_CONNECT, k.fd(s), raw)
	}
	return "", unix.Connect(k.fd(s), k.sockaddr(s.word(2)))
}

// wrong returns an IPv4 address for an IPv6 socket with the length of an IPv6 one, or nil for any other. A socket here has
// no lengths to be wrong, only families.
func (k *kernel) wrong(word string) []byte {
	if k.scene.family == "v4" || k.scene.family == "unix" || !strings.HasPrefix(word, "wrong:") {
		return nil
	}
	ap := k.scene.resolve(word)
	raw := make([]byte, unix.SizeofSockaddrInet6)
	binary.NativeEndian.PutUint16(raw, unix.AF_INET)
	binary.BigEndian.PutUint16(raw[2:], ap.Port())
	copy(raw[4:], ap.Addr().AsSlice())
	return raw
}

// rawCall is bind(2) or connect(2) with an address that package unix does not make.
func rawCall(number uintptr, fd int, sa []byte) error {
	_, _, errno := unix.Syscall(number, uintptr(fd), uintptr(unsafe.Pointer(&sa[0])), uintptr(len(sa)))
	if errno != 0 {
		return errno
	}
	return nil
}

// blocking makes one call in blocking mode, with a time limit of the socket.
func (k *kernel) blocking(s step, call func(*kernel, step) (string, error)) (string, error) {
	fd := k.fd(s)
	if err := unix.SetNonblock(fd, false); err != nil {
		return "", err
	}
	defer unix.SetNonblock(fd, true)
	limit := unix.NsecToTimeval(blockingPatience.Nanoseconds())
	for _, option := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, option, &limit); err != nil {
			return "", err
		}
	}
	return call(k, s)
}

func (k *kernel) accept(s step) (string, error) {
	fd, sa, err := unix.Accept4(k.fd(s), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		return "", err
	}
	if old, ok := k.fds[s.word(2)]; ok {
		unix.Close(old)
	}
	k.fds[s.word(2)] = fd
	return k.nameOf(sa, nil)
}

func (k *kernel) send(s step) (string, error) {
	n, err := unix.SendmsgN(k.fd(s), s.data(2), nil, nil, s.flags(3)|unix.MSG_NOSIGNAL)
	return fmt.Sprint(n), err
}

func (k *kernel) sendTo(s step) (string, error) {
	n, err := unix.SendmsgN(k.fd(s), s.data(2), nil, k.sockaddr(s.word(3)), s.flags(4)|unix.MSG_NOSIGNAL)
	return fmt.Sprint(n), err
}

func (k *kernel) recv(s step) (string, error) {
	p := make([]byte, s.number(2))
	n, _, err := unix.Recvfrom(k.fd(s), p, s.flags(3))
	return received(p, n, s.flags(3)), err
}

func (k *kernel) recvFrom(s step) (string, error) {
	p := make([]byte, s.number(2))
	n, sa, err := unix.Recvfrom(k.fd(s), p, s.flags(3))
	return received(p, n, s.flags(3)) + " from " + k.name(sa), err
}

// received is what a receive gave, as a word. MSG_TRUNC makes the count say more than there is.
func received(p []byte, n, flags int) string {
	if n < 0 || flags&unix.MSG_TRUNC != 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d %q", n, p[:n])
}

func (k *kernel) closeOne(s step) (string, error) {
	fd := k.fd(s)
	delete(k.fds, s.sock())
	return "", unix.Close(fd)
}

func (k *kernel) takeError(s step) (string, error) {
	n, err := unix.GetsockoptInt(k.fd(s), unix.SOL_SOCKET, unix.SO_ERROR)
	return errnoName(n), err
}

func errnoName(n int) string {
	if n == 0 {
		return "none"
	}
	return "pending " + unix.ErrnoName(syscall.Errno(n))
}

func (k *kernel) get(s step) (string, error) {
	o := optionNames[s.word(2)]
	v, err := unix.GetsockoptInt(k.fd(s), o.level, o.name)
	if s.word(2) == "TCP_INFO" {
		v &= 0xff
	}
	return fmt.Sprint(v), err
}

func (k *kernel) set(s step) (string, error) {
	o := optionNames[s.word(2)]
	return "", unix.SetsockoptInt(k.fd(s), o.level, o.name, s.number(3))
}

func (k *kernel) linger(s step) (string, error) {
	return "", unix.SetsockoptLinger(k.fd(s), unix.SOL_SOCKET, unix.SO_LINGER,
		&unix.Linger{Onoff: int32(s.number(2)), Linger: int32(s.number(3))})
}

func (k *kernel) poll(s step) (string, error) {
	return maskName(k.readiness(k.fd(s), pollMask(s.word(2)))), nil
}

func (k *kernel) readiness(fd, mask int) int {
	fds := []unix.PollFd{{Fd: int32(fd), Events: int16(mask)}}
	if fd < 0 {
		return unix.POLLNVAL // poll(2) itself skips negative numbers
	}
	for {
		_, err := unix.Poll(fds, 0)
		if err != unix.EINTR {
			return int(fds[0].Revents)
		}
	}
}

func (k *kernel) ioctl(s step, request uint) (string, error) {
	n, err := unix.IoctlGetInt(k.fd(s), request)
	return fmt.Sprint(n), err
}

// look describes every open socket without changing anything.
func (k *kernel) look() []sight {
	k.scene.seen = map[uint16]string{}
	defer func() { k.scene.seen = nil }()
	var all []sight
	for _, name := range sorted(k.fds) {
		s, fd := step{"", name}, k.fds[name]
		local, lerr := k.nameOf(unix.Getsockname(fd))
		peer, perr := k.nameOf(unix.Getpeername(fd))
		unread, uerr := k.ioctl(s, unix.TIOCINQ)
		all = append(all,
			sight{name, "state", tcpState(fd)},
			sight{name, "mask", maskName(k.readiness(fd, allEvents))},
			sight{name, "local", render(local, lerr)},
			sight{name, "peer", render(peer, perr)},
			sight{name, "unread", render(unread, uerr)})
	}
	return all
}

// tcpState is the first byte of struct tcp_info; other sockets have none.
func tcpState(fd int) string {
	v, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return "none"
	}
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(v))
	return fmt.Sprint(b[0])
}

func sorted[T any](m map[string]T) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (k *kernel) close() {
	for _, fd := range k.fds {
		unix.Close(fd)
	}
}
