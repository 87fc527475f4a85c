//go:build linux && (amd64 || arm64)

package supervise

import (
	"context"
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

// netlinkCalls are the calls on a netlink socket, by name.
var netlinkCalls = map[string]func(*netlink, *call) (int64, error){
	"bind":        (*netlink).bind,
	"connect":     (*netlink).connect,
	"getsockname": (*netlink).getsockname,
	"getpeername": (*netlink).getpeername,
	"setsockopt":  (*netlink).setsockopt,
	"getsockopt":  (*netlink).getsockopt,
	"sendto":      (*netlink).sendto,
	"sendmsg":     (*netlink).sendmsg,
	"sendmmsg":    (*netlink).sendmmsg,
	"recvfrom":    (*netlink).recvfrom,
	"recvmsg":     (*netlink).recvmsg,
	"recvmmsg":    (*netlink).recvmmsg,
}

// call does one call, which the handler of the Internet's sockets would do otherwise.
func (n *netlink) call(c *call) (int64, error) {
	run, ok := netlinkCalls[c.h.name]
	if !ok {
		return 0, syscall.EOPNOTSUPP // listen, accept, shutdown
	}
	n.mu.Lock()
	n.catchUpLocked()
	n.mu.Unlock()
	return run(n, c)
}

// netlinkAddr reads struct sockaddr_nl of size bytes.
func (c *call) netlinkAddr(addr uint64, size int) (port, groups uint32, err error) {
	if size < unix.SizeofSockaddrNetlink || size > mostSockaddr {
		return 0, 0, syscall.EINVAL
	}
	var b [unix.SizeofSockaddrNetlink]byte
	if err := c.read(addr, b[:]); err != nil {
		return 0, 0, err
	}
	word := binary.NativeEndian
	if word.Uint16(b[:]) != unix.AF_NETLINK {
		return 0, 0, syscall.EINVAL
	}
	return word.Uint32(b[4:]), word.Uint32(b[8:]), nil
}

// bind is netlink_bind of the kernel.
func (n *netlink) bind(c *call) (int64, error) {
	port, groups, err := c.netlinkAddr(c.arg(1), int(int32(c.arg(2))))
	if err != nil {
		return 0, err
	}
	if h := n.s.ports.holder(port); h != nil && h != n {
		h.stale(nil) // perhaps it has been closed
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.bound && port != n.client.PortID:
		return 0, syscall.EINVAL
	case !n.bound && port == 0:
		n.autobindLocked()
	case !n.bound:
		if n.client.PortID, n.bound = n.s.ports.take(n, port, 0); !n.bound {
			return 0, syscall.EADDRINUSE
		}
	}
	n.groups = n.groups&^0xffffffff | uint64(groups)
	return 0, nil
}

// connect is netlink_connect. The only peer is the kernel.
func (n *netlink) connect(c *call) (int64, error) {
	var family [2]byte
	size := int(int32(c.arg(2)))
	if size < len(family) || size > mostSockaddr {
		return 0, syscall.EINVAL
	}
	if err := c.read(c.arg(1), family[:]); err != nil {
		return 0, err
	}
	if binary.NativeEndian.Uint16(family[:]) == unix.AF_UNSPEC {
		return 0, nil
	}
	port, groups, err := c.netlinkAddr(c.arg(1), size)
	switch {
	case err != nil:
		return 0, err
	case port != 0 || groups != 0:
		return 0, syscall.EPERM
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.autobindLocked()
	return 0, nil
}

func (n *netlink) getsockname(c *call) (int64, error) {
	n.mu.Lock()
	name := netlinkAddr(n.client.PortID, uint32(n.groups))
	n.mu.Unlock()
	return 0, c.putBytes(name, c.arg(1), c.arg(2))
}

func (n *netlink) getpeername(c *call) (int64, error) {
	return 0, c.putBytes(netlinkAddr(0, 0), c.arg(1), c.arg(2))
}

func (n *netlink) sendto(c *call) (int64, error) {
	p, err := c.plain()
	if err != nil {
		return 0, err
	}
	p.nameRoom = int(int32(c.arg(5)))
	return n.send(c, p, int(int32(c.arg(3))))
}

func (n *netlink) sendmsg(c *call) (int64, error) {
	p, err := c.header(c.arg(1))
	if err != nil {
		return 0, err
	}
	return n.send(c, p, int(int32(c.arg(2))))
}

func (n *netlink) sendmmsg(c *call) (int64, error) {
	places, err := c.headers(c.arg(1), c.arg(2))
	if err != nil {
		return 0, err
	}
	for done, p := range places {
		size, err := n.send(c, p, int(int32(c.arg(3))))
		if err == nil {
			err = c.write(p.transfer, binary.NativeEndian.AppendUint32(nil, uint32(size)))
		}
		if err != nil {
			return partly(done, err)
		}
	}
	return int64(len(places)), nil
}

// send is netlink_sendmsg. Requests are answered before it returns, as the kernel
// does.
func (n *netlink) send(c *call, p *place, flags int) (int64, error) {
	size := p.data.Len()
	switch {
	case flags&unix.MSG_OOB != 0:
		return 0, syscall.EOPNOTSUPP
	case size == 0:
		return 0, syscall.ENODATA
	}
	if p.name != 0 && p.nameRoom != 0 {
		port, groups, err := c.netlinkAddr(p.name, p.nameRoom)
		switch {
		case err != nil:
			return 0, err
		case port != 0 || groups != 0:
			return 0, syscall.EPERM
		}
	}
	b := scratches.Get().(*scratch)
	defer scratches.Put(b)
	if size > len(b.data) {
		return 0, syscall.EMSGSIZE
	}
	request := b.data[:size]
	if _, err := p.data.Gather(int(c.n.TID), request); err != nil {
		return 0, syscall.EFAULT
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answerLocked(request)
	return int64(size), nil
}

// catchUpLocked answers what the program has sent without us.
func (n *netlink) catchUpLocked() {
	if n.far == nil {
		return
	}
	if raw, err := n.far.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { n.drainLocked(int(fd)) })
	}
}

func (n *netlink) recvfrom(c *call) (int64, error) {
	p, err := c.plain()
	if err != nil {
		return 0, err
	}
	if p.nameLen = c.arg(5); p.name != 0 {
		if p.nameRoom, err = c.room(p.nameLen); err != nil {
			return 0, err
		}
	}
	return n.receive(c, p, int(int32(c.arg(3))))
}

func (n *netlink) recvmsg(c *call) (int64, error) {
	p, err := c.header(c.arg(1))
	if err != nil {
		return 0, err
	}
	return n.receive(c, p, int(int32(c.arg(2))))
}

// receive is netlink_recvmsg: what is in the program's socket, with the kernel's name.
func (n *netlink) receive(c *call, p *place, flags int) (int64, error) {
	return n.waitFor(c, flags, func() (int64, error) { return n.receiveNow(c, p, flags) })
}

// waitFor calls try until it is not EAGAIN, unless the program does not want to wait.
func (n *netlink) waitFor(c *call, flags int, try func() (int64, error)) (int64, error) {
	if flags&unix.MSG_OOB != 0 {
		return 0, syscall.EOPNOTSUPP
	}
	size, err := try()
	if err != syscall.EAGAIN || flags&unix.MSG_DONTWAIT != 0 || c.nonblocking() {
		return size, err
	}
	return c.wait(func(ctx context.Context) (int64, error) {
		bound, cancel, ended := c.bounded(ctx, unix.SO_RCVTIMEO)
		defer cancel()
		for {
			n.mu.Lock()
			arrived := n.arrived
			n.mu.Unlock()
			size, err := try()
			if err != syscall.EAGAIN {
				return size, err
			}
			select {
			case <-arrived:
			case <-bound.Done():
				return 0, ended()
			}
		}
	})
}

func (n *netlink) receiveNow(c *call, p *place, flags int) (int64, error) {
	b := scratches.Get().(*scratch)
	defer scratches.Put(b)
	for {
		size, _, err := unix.Recvfrom(c.dup, b.data[:], flags&unix.MSG_PEEK|unix.MSG_DONTWAIT)
		switch err {
		case nil:
			return c.put(p, &message{data: b.data[:size], record: record{from: netlinkAddr(0, 0)}}, flags)
		case unix.EINTR:
		default:
			return 0, err
		}
	}
}

// recvmmsg is recvmmsg(2), which waits for the first datagram only.
func (n *netlink) recvmmsg(c *call) (int64, error) {
	places, err := c.headers(c.arg(1), c.arg(2))
	if err != nil {
		return 0, err
	}
	flags := int(int32(c.arg(3)))
	return n.waitFor(c, flags, func() (int64, error) {
		for done, p := range places {
			if _, err := n.receiveNow(c, p, flags); err != nil {
				return partly(done, err)
			}
		}
		return int64(len(places)), nil
	})
}
