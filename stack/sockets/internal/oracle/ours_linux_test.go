package oracle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"

	"github.com/userstack/userstack/stack/sockets"
)

// ours runs programs on this module's sockets.
type ours struct {
	host  *sockets.Host
	scene scene
	socks map[string]*sockets.Socket
	none  *sockets.Socket // closed: what a name without a socket means
}

// ourCalls are the calls that it can make.
var ourCalls map[string]func(*ours, step) (string, error)

func init() {
	ourCalls = map[string]func(*ours, step) (string, error){
		"socket":  (*ours).socket,
		"pair":    (*ours).pair,
		"bind":    func(o *ours, s step) (string, error) { return "", o.sock(s).Bind(o.sockaddr(s.word(2))) },
		"listen":  func(o *ours, s step) (string, error) { return "", o.sock(s).Listen(s.number(2)) },
		"connect": func(o *ours, s step) (string, error) { return "", o.sock(s).Connect(o.sockaddr(s.word(2))) },
		"bconnect": func(o *ours, s step) (string, error) {
			return o.blocking(s, func() (string, error) { return "", o.sock(s).Connect(o.sockaddr(s.word(2))) })
		},
		"accept": (*ours).accept,
		"send": func(o *ours, s step) (string, error) {
			n, err := o.sock(s).Send(s.data(2), sockets.MsgFlags(s.flags(3)))
			return fmt.Sprint(n), err
		},
		"sendto": func(o *ours, s step) (string, error) {
			n, err := o.sock(s).SendTo(s.data(2), o.sockaddr(s.word(3)), sockets.MsgFlags(s.flags(4)))
			return fmt.Sprint(n), err
		},
		"recv": func(o *ours, s step) (string, error) { return o.recv(s) },
		"brecv": func(o *ours, s step) (string, error) {
			return o.blocking(s, func() (string, error) { return o.recv(s) })
		},
		"recvfrom":    (*ours).recvFrom,
		"shutdown":    func(o *ours, s step) (string, error) { return "", o.sock(s).Shutdown(sockets.How(s.number(2))) },
		"close":       (*ours).closeOne,
		"getsockname": func(o *ours, s step) (string, error) { return o.nameOf(o.sock(s).GetSockName()) },
		"getpeername": func(o *ours, s step) (string, error) { return o.nameOf(o.sock(s).GetPeerName()) },
		"error":       (*ours).takeError,
		"get":         (*ours).get,
		"set":         (*ours).set,
		"linger":      (*ours).linger,
		"poll": func(o *ours, s step) (string, error) {
			return maskName(o.readiness(o.sock(s), pollMask(s.word(2)))), nil
		},
		"fionread": func(o *ours, s step) (string, error) { return o.ioctl(s, 0x541b) }, // FIONREAD
		"atmark":   func(o *ours, s step) (string, error) { return o.ioctl(s, 0x8905) }, // SIOCATMARK
	}
}

func (o *ours) call(s step) string {
	text, err := ourCalls[s.op()](o, s)
	return render(text, kernelForm(err))
}

// kernelForm turns an error of this module into the kernel's. Every error must have a number.
func kernelForm(err error) error {
	if err == nil {
		return nil
	}
	var numbered sockets.SocketError
	if !errors.As(err, &numbered) {
		return fmt.Errorf("not a SocketError: %w", err)
	}
	return syscall.Errno(numbered.Errno())
}

func (o *ours) sock(s step) *sockets.Socket {
	if sock, ok := o.socks[s.sock()]; ok {
		return sock
	}
	return o.none
}

func (o *ours) socket(s step) (string, error) {
	sock, err := o.host.Socket(sockets.Family(families[o.scene.family]), sockets.Type(kinds[s.word(2)])|sockets.SOCK_NONBLOCK, 0)
	if err == nil {
		o.socks[s.sock()] = sock
	}
	return "", err
}

func (o *ours) pair(s step) (string, error) {
	a, b, err := o.host.SocketPair(sockets.AF_UNIX, sockets.Type(kinds[s.word(3)])|sockets.SOCK_NONBLOCK, 0)
	if err == nil {
		o.socks[s.word(1)], o.socks[s.word(2)] = a, b
	}
	return "", err
}

func (o *ours) sockaddr(word string) sockets.Sockaddr {
	if word == "unspec" {
		return nil
	}
	if o.scene.family == "unix" {
		return sockets.UnixAddr{Name: "\x00" + o.scene.path(word)}
	}
	ap := o.scene.resolve(word)
	if ap.Addr().Is4() {
		return sockets.Inet4{Host: ap.Addr().String(), Port: int(ap.Port())}
	}
	return sockets.Inet6{Host: ap.Addr().String(), Port: int(ap.Port())}
}

func (o *ours) nameOf(a sockets.Sockaddr, err error) (string, error) {
	if err != nil {
		return "", err
	}
	return o.name(a), nil
}

func (o *ours) name(a sockets.Sockaddr) string {
	ap := netip.AddrPort{}
	switch a := a.(type) {
	case sockets.UnixAddr:
		return o.scene.pathName(strings.TrimPrefix(a.Name, "\x00"))
	case sockets.Inet4:
		ap, _ = a.AddrPort()
	case sockets.Inet6:
		ap, _ = a.AddrPort()
	}
	return o.scene.name(ap)
}

// blocking makes one call in blocking mode, with a time limit of the socket.
func (o *ours) blocking(s step, call func() (string, error)) (string, error) {
	sock := o.sock(s)
	limit := make([]byte, 16) // struct timeval
	binary.LittleEndian.PutUint64(limit[8:], uint64(blockingPatience.Microseconds()))
	for _, option := range []int{sockets.SO_RCVTIMEO, sockets.SO_SNDTIMEO} {
		if err := sock.SetSockOpt(sockets.SOL_SOCKET, option, limit); err != nil {
			return "", err
		}
	}
	sock.SetBlocking(true)
	defer sock.SetBlocking(false)
	return call()
}

func (o *ours) accept(s step) (string, error) {
	sock, peer, err := o.sock(s).Accept()
	if err != nil {
		return "", err
	}
	sock.SetBlocking(false)
	if old, ok := o.socks[s.word(2)]; ok {
		old.Close()
	}
	o.socks[s.word(2)] = sock
	return o.name(peer), nil
}

func (o *ours) recv(s step) (string, error) {
	p := make([]byte, s.number(2))
	n, err := o.sock(s).RecvInto(p, sockets.MsgFlags(s.flags(3)))
	return received(p, n, s.flags(3)), err
}

func (o *ours) recvFrom(s step) (string, error) {
	p := make([]byte, s.number(2))
	n, from, err := o.sock(s).RecvFromInto(p, sockets.MsgFlags(s.flags(3)))
	return received(p, n, s.flags(3)) + " from " + o.name(from), err
}

func (o *ours) closeOne(s step) (string, error) {
	sock := o.sock(s)
	delete(o.socks, s.sock())
	if sock == o.none {
		return "", sockets.ErrClosed // closing twice is no error here, since a Socket is not a number
	}
	return "", sock.Close()
}

func (o *ours) takeError(s step) (string, error) {
	n, err := o.sock(s).GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_ERROR)
	return errnoName(n), err
}

func (o *ours) get(s step) (string, error) {
	opt := optionNames[s.word(2)]
	v, err := o.sock(s).GetSockOptInt(opt.level, opt.name)
	if s.word(2) == "TCP_INFO" {
		v &= 0xff
	}
	return fmt.Sprint(v), err
}

func (o *ours) set(s step) (string, error) {
	opt := optionNames[s.word(2)]
	return "", o.sock(s).SetSockOptInt(opt.level, opt.name, s.number(3))
}

func (o *ours) linger(s step) (string, error) {
	value := []byte{byte(s.number(2)), 0, 0, 0, byte(s.number(3)), 0, 0, 0}
	return "", o.sock(s).SetSockOpt(sockets.SOL_SOCKET, sockets.SO_LINGER, value)
}

func (o *ours) readiness(sock *sockets.Socket, mask int) int {
	descs := []sockets.PollDesc{{Sock: sock, In: sockets.PollEvents(mask)}}
	if _, err := o.host.Poll(descs, 0); err != nil {
		panic(err)
	}
	return int(descs[0].Out)
}

func (o *ours) ioctl(s step, request uint32) (string, error) {
	v, err := o.sock(s).Ioctl(request, nil)
	return fmt.Sprint(v), err
}

// look describes every open socket without changing anything.
func (o *ours) look() []sight {
	o.scene.seen = map[uint16]string{}
	defer func() { o.scene.seen = nil }()
	var all []sight
	for _, name := range sorted(o.socks) {
		sock := o.socks[name]
		local, lerr := o.nameOf(sock.GetSockName())
		peer, perr := o.nameOf(sock.GetPeerName())
		unread, uerr := o.ioctl(step{"", name}, 0x541b) // FIONREAD
		state := "none"
		if b, err := sock.GetSockOpt(sockets.SOL_TCP, 11, 1); err == nil { // TCP_INFO
			state = fmt.Sprint(b[0])
		}
		all = append(all,
			sight{name, "state", state},
			sight{name, "mask", maskName(o.readiness(sock, allEvents))},
			sight{name, "local", render(local, kernelForm(lerr))},
			sight{name, "peer", render(peer, kernelForm(perr))},
			sight{name, "unread", render(unread, kernelForm(uerr))})
	}
	return all
}

func (o *ours) close() {
	for _, s := range o.socks {
		s.Close()
	}
}
