package namespace

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Listen is net.Listen in the namespace, for the networks tcp, tcp4 and tcp6.
func (n *Namespace) Listen(network, address string) (net.Listener, error) {
	if !strings.HasPrefix(network, "tcp") {
		return nil, opError("listen", network, net.UnknownNetworkError(network))
	}
	if err := literal(address); err != nil {
		return nil, opError("listen", network, err)
	}
	file, err := n.file(request{Op: opListen, Network: network, Address: address})
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return net.FileListener(file)
}

// ListenPacket is net.ListenPacket in the namespace, for the networks udp,
// udp4, udp6 and those that begin with ip, such as "ip4:icmp".
func (n *Namespace) ListenPacket(network, address string) (net.PacketConn, error) {
	if !strings.HasPrefix(network, "udp") && !strings.HasPrefix(network, "ip") {
		return nil, opError("listen", network, net.UnknownNetworkError(network))
	}
	if strings.HasPrefix(network, "udp") {
		if err := literal(address); err != nil {
			return nil, opError("listen", network, err)
		}
	}
	file, err := n.file(request{Op: opListenPacket, Network: network, Address: address})
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return net.FilePacketConn(file)
}

// Socket is socket(2) in the namespace. The descriptor is non-blocking, so
// that the file's Read, Write and SyscallConn wait in Go's poller, and
// close-on-exec.
func (n *Namespace) Socket(domain, typ, proto int) (*os.File, error) {
	return n.file(request{Op: opSocket, Domain: domain, Type: typ, Proto: proto})
}

// file makes a request whose answer is one descriptor.
func (n *Namespace) file(req request) (*os.File, error) {
	_, fds, err := n.call(req)
	if err != nil {
		return nil, err
	}
	if len(fds) != 1 {
		closeAll(fds)
		return nil, fmt.Errorf("namespace: %s: %d descriptors came back", req.Op, len(fds))
	}
	return os.NewFile(uintptr(fds[0]), "namespace "+string(req.Op)), nil
}

// Dial connects a kernel socket of the namespace, for the networks tcp, tcp4,
// tcp6, udp, udp4 and udp6. The address is "IP:port". Waiting ends with ctx.
func (n *Namespace) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	typ, ok := map[string]int{"tcp": unix.SOCK_STREAM, "udp": unix.SOCK_DGRAM}[strings.TrimRight(network, "46")]
	if !ok {
		return nil, opError("dial", network, net.UnknownNetworkError(network))
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, opError("dial", network, &net.AddrError{Err: "not an IP address and port", Addr: address})
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	if want := network[len(network)-1]; want == '4' && !to.Addr().Is4() || want == '6' && to.Addr().Is4() {
		return nil, opError("dial", network, &net.AddrError{Err: "address is of the other family", Addr: address})
	}
	domain, sa, err := n.sockaddr(to)
	if err != nil {
		return nil, opError("dial", network, err)
	}
	file, err := n.Socket(domain, typ, 0)
	if err != nil {
		return nil, opError("dial", network, err)
	}
	defer file.Close()
	if err := connect(ctx, file, sa); err != nil {
		return nil, opError("dial", network, err)
	}
	return net.FileConn(file)
}

// sockaddr turns an address into the kernel's form. Only the helper knows the
// namespace's zones.
func (n *Namespace) sockaddr(to netip.AddrPort) (domain int, sa unix.Sockaddr, err error) {
	if to.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}, nil
	}
	in6 := &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	zone := to.Addr().Zone()
	if index, err := strconv.ParseUint(zone, 10, 32); err == nil {
		in6.ZoneId = uint32(index)
	} else if zone != "" {
		rep, _, err := n.call(request{Op: opLink, Link: zone})
		if err != nil {
			return 0, nil, err
		}
		in6.ZoneId = uint32(rep.Index)
	}
	return unix.AF_INET6, in6, nil
}

// connect connects a non-blocking socket, waiting in Go's poller.
func connect(ctx context.Context, file *os.File, sa unix.Sockaddr) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { file.SetDeadline(time.Unix(1, 0)) }) // long past: ends the wait
	defer stop()
	var result error
	started := false
	err = conn.Write(func(fd uintptr) bool {
		if !started {
			started = true
			result = unix.Connect(int(fd), sa)
			return result != unix.EINPROGRESS
		}
		var done bool
		result, done = connected(int(fd))
		return done
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	return os.NewSyscallError("connect", result)
}

// connected returns how a connection attempt has ended, if it has.
func connected(fd int) (result error, done bool) {
	errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err, true
	}
	if errno != 0 {
		return syscall.Errno(errno), true
	}
	_, err = unix.Getpeername(fd)
	return nil, err == nil
}

// literal refuses an address whose host is a name.
func literal(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" {
		return &net.AddrError{Err: "not an IP address", Addr: address}
	}
	return nil
}

func opError(op, network string, err error) error {
	return &net.OpError{Op: op, Net: network, Err: err}
}
