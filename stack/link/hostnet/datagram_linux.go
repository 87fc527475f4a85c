package hostnet

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Linux's sockets tell what ICMP said (IP_RECVERR, ip(7)), and take and give
// header fields with each datagram.

// received4 and received6 are what a socket is asked to report.
var (
	received4 = []int{unix.IP_RECVERR, unix.IP_RECVTTL, unix.IP_RECVTOS, unix.IP_PKTINFO}
	received6 = []int{unix.IPV6_RECVERR, unix.IPV6_RECVHOPLIMIT, unix.IPV6_RECVTCLASS, unix.IPV6_RECVPKTINFO}
)

// askForErrors makes a socket report ICMP errors and header fields.
func askForErrors(c syscall.RawConn) (err error) {
	cerr := c.Control(func(fd uintptr) {
		domain, derr := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err = derr; err != nil {
			return
		}
		for _, opt := range received4 { // an IPv6 socket may send to IPv4 too, unless it is a raw one
			if e := unix.SetsockoptInt(int(fd), unix.SOL_IP, opt, 1); domain == unix.AF_INET {
				err = errors.Join(err, e)
			}
		}
		if domain != unix.AF_INET6 {
			return
		}
		for _, opt := range received6 {
			err = errors.Join(err, unix.SetsockoptInt(int(fd), unix.SOL_IPV6, opt, 1))
		}
	})
	return errors.Join(cerr, err)
}

// send writes a datagram without waiting: where the machine's queue is full it
// is lost, as on any network.
func (f *flow) send(p []byte, to netip.AddrPort, o outgoing) (err error) {
	if f.rawFD == nil {
		if f.rawFD, err = f.sock.SyscallConn(); err != nil {
			return err
		}
	}
	cerr := f.rawFD.Control(func(fd uintptr) {
		f.setWhole(int(fd), o.whole)
		for range mostReports {
			if err = sendmsg(int(fd), p, f.control(o), to, f.dual()); !isReport(err) {
				break
			}
		}
	})
	return errors.Join(cerr, err)
}

// mostReports bounds how often a datagram is sent before an error is taken for its
// own: earlier ones are told in its place, one for each that is put into the error
// queue and one for each that is taken out meanwhile (sock_dequeue_err_skb).
const mostReports = 16

// isReport says whether an error of sendmsg may be one that ICMP brought and that
// the error queue tells of too.
func isReport(err error) bool {
	return err == unix.ECONNREFUSED || err == unix.EHOSTUNREACH || err == unix.ENETUNREACH || err == unix.EPROTO ||
		err == unix.ENOPROTOOPT || err == unix.EACCES
}

func sendmsg(fd int, p, oob []byte, to netip.AddrPort, dual bool) error {
	a := to.Addr()
	if a.Is4() && !dual {
		return unix.Sendmsg(fd, p, oob, &unix.SockaddrInet4{Port: int(to.Port()), Addr: a.As4()}, unix.MSG_DONTWAIT)
	}
	sa := &unix.SockaddrInet6{Port: int(to.Port()), Addr: a.As16()}
	if zone := a.Zone(); zone != "" {
		if ifi, err := net.InterfaceByName(zone); err == nil {
			sa.ZoneId = uint32(ifi.Index)
		}
	}
	return unix.Sendmsg(fd, p, oob, sa, unix.MSG_DONTWAIT)
}

// dual reports whether the socket is IPv6's and serves IPv4 as well.
func (f *flow) dual() bool { return f.key.dns }

// setWhole has the kernel keep datagrams whole, or fragment them where it has to.
func (f *flow) setWhole(fd int, whole bool) {
	if f.whole == whole || f.dual() {
		return
	}
	f.whole = whole
	how := unix.IP_PMTUDISC_WANT
	if whole {
		how = unix.IP_PMTUDISC_DO
	}
	unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_MTU_DISCOVER, how)
}

// defaultHops is the time to live of a packet that began with 64: a stack that
// sends that has no wish, and the machine's default will do.
const defaultHops = defaultTTL - 1

// control returns the ancillary data of a datagram.
func (f *flow) control(o outgoing) (oob []byte) {
	if f.dual() {
		return nil
	}
	level, ttl, tos := unix.SOL_IPV6, unix.IPV6_HOPLIMIT, unix.IPV6_TCLASS
	if f.key.src.Addr().Is4() {
		level, ttl, tos = unix.SOL_IP, unix.IP_TTL, unix.IP_TOS
	}
	if o.ttl != defaultHops && o.ttl > 0 {
		oob = appendInt(oob, level, ttl, int32(o.ttl))
	}
	if o.tos != 0 {
		oob = appendInt(oob, level, tos, int32(o.tos))
	}
	switch {
	case !o.from.IsValid():
	case o.from.Is4():
		a := o.from.As4()
		oob, info := appendMessage(oob, unix.SOL_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		(*unix.Inet4Pktinfo)(info).Spec_dst = a
		return oob
	default:
		a := o.from.As16()
		oob, info := appendMessage(oob, unix.SOL_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
		(*unix.Inet6Pktinfo)(info).Addr = a
		return oob
	}
	return oob
}

// appendInt appends a control message with one int.
func appendInt(oob []byte, level, typ int, v int32) []byte {
	oob, data := appendMessage(oob, level, typ, 4)
	*(*int32)(data) = v
	return oob
}

// appendMessage appends a control message of zeroes, and returns where they are.
func appendMessage(oob []byte, level, typ, size int) ([]byte, unsafe.Pointer) {
	at := len(oob)
	oob = append(oob, make([]byte, unix.CmsgSpace(size))...)
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[at])) // aligned: control messages come in multiples
	h.Level, h.Type = int32(level), int32(typ)
	h.SetLen(unix.CmsgLen(size))
	return oob, unsafe.Pointer(&oob[at+unix.CmsgLen(0)])
}

const controlSize = 512 // bytes: an error with its sender, and four header fields

// receive hands over what comes in until the socket's deadline or end.
func (u *Uplink) receive(f *flow) {
	raw, err := f.sock.SyscallConn()
	if err != nil {
		return
	}
	oob := make([]byte, controlSize)
	raw.Read(func(fd uintptr) bool {
		b := datagrams.get()
		defer datagrams.put(b)
		for u.receiveOne(f, int(fd), *b, oob) {
		}
		for u.receiveError(f, int(fd), *b, oob) {
		}
		return false // wait for more
	})
}

// receiveOne reads a datagram, and reports false when none is left.
func (u *Uplink) receiveOne(f *flow, fd int, b, oob []byte) bool {
	n, oobn, _, sa, err := unix.Recvmsg(fd, b, oob, unix.MSG_DONTWAIT)
	switch {
	case err == unix.EAGAIN || err == unix.EBADF:
		return false
	case err != nil:
		return true // what the error queue tells of
	}
	p := b[:n]
	if f.raw && f.key.src.Addr().Is4() {
		if len(p) < header.IPv4MinimumSize || len(p) < int(header.IPv4(p).HeaderLength()) {
			return true
		}
		p = p[header.IPv4(p).HeaderLength():]
	}
	u.received(f, addrPortOf(sa), fieldsOf(oob[:oobn]), p)
	return true
}

// receiveError reads an entry of the error queue, and reports false when none is
// left.
func (u *Uplink) receiveError(f *flow, fd int, b, oob []byte) bool {
	n, oobn, _, sa, err := unix.Recvmsg(fd, b, oob, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if err != nil {
		return false
	}
	e := netError{to: addrPortOf(sa), payload: b[:n]}
	if e.read(oob[:oobn]) && f.owns(&e) {
		u.passOn(f, e)
	}
	return true
}

// addrPortOf returns a socket address; the zero AddrPort for none.
func addrPortOf(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		a := netip.AddrFrom16(sa.Addr).Unmap()
		if sa.ZoneId != 0 {
			if ifi, err := net.InterfaceByIndex(int(sa.ZoneId)); err == nil {
				a = a.WithZone(ifi.Name)
			}
		}
		return netip.AddrPortFrom(a, uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// fieldsOf reads the header fields that came with a datagram.
func fieldsOf(oob []byte) (e envelope) {
	eachMessage(oob, func(level, typ int32, data []byte) {
		switch {
		case level == unix.SOL_IP && typ == unix.IP_TOS && len(data) > 0:
			e.tos = data[0]
		case level == unix.SOL_IP && typ == unix.IP_TTL && len(data) >= 4,
			level == unix.SOL_IPV6 && typ == unix.IPV6_HOPLIMIT && len(data) >= 4:
			e.ttl = uint8(*(*int32)(unsafe.Pointer(&data[0])))
		case level == unix.SOL_IPV6 && typ == unix.IPV6_TCLASS && len(data) >= 4:
			e.tos = uint8(*(*int32)(unsafe.Pointer(&data[0])))
		case level == unix.SOL_IP && typ == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			e.at = netip.AddrFrom4((*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0])).Addr)
		case level == unix.SOL_IPV6 && typ == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			e.at = netip.AddrFrom16((*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0])).Addr)
		}
	})
	return e
}

// eachMessage walks control messages without an allocation.
func eachMessage(oob []byte, each func(level, typ int32, data []byte)) {
	for len(oob) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
		size := int(h.Len)
		if size < unix.CmsgLen(0) || size > len(oob) {
			return
		}
		each(h.Level, h.Type, oob[unix.CmsgLen(0):size])
		oob = oob[min(unix.CmsgSpace(size-unix.CmsgLen(0)), len(oob)):]
	}
}

// read takes an error from the control messages of an entry of the error queue,
// and reports whether there is one that the stack should hear.
func (e *netError) read(oob []byte) (ok bool) {
	eachMessage(oob, func(level, typ int32, data []byte) {
		v6 := level == unix.SOL_IPV6 && typ == unix.IPV6_RECVERR
		if !v6 && (level != unix.SOL_IP || typ != unix.IP_RECVERR) || len(data) < int(unsafe.Sizeof(unix.SockExtendedErr{})) {
			return
		}
		x := (*unix.SockExtendedErr)(unsafe.Pointer(&data[0]))
		switch x.Origin {
		case unix.SO_EE_ORIGIN_ICMP, unix.SO_EE_ORIGIN_ICMP6:
			e.message = icmpMessage{x.Type, x.Code}
			e.sender = offender(data[unsafe.Sizeof(*x):])
			ok = true
		case unix.SO_EE_ORIGIN_LOCAL:
			ok = x.Errno == uint32(unix.EMSGSIZE)
			e.message = messages[tooBig].v4
			if v6 {
				e.message = messages[tooBig].v6
			}
		}
		if x.Errno == uint32(unix.EMSGSIZE) {
			e.info = x.Info
		}
	})
	return ok
}

// offender reads the address of who sent an ICMP error (SO_EE_OFFENDER).
func offender(sa []byte) netip.Addr {
	switch {
	case len(sa) >= unix.SizeofSockaddrInet4 && (*unix.RawSockaddrInet4)(unsafe.Pointer(&sa[0])).Family == unix.AF_INET:
		return netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&sa[0])).Addr)
	case len(sa) >= unix.SizeofSockaddrInet6 && (*unix.RawSockaddrInet6)(unsafe.Pointer(&sa[0])).Family == unix.AF_INET6:
		return netip.AddrFrom16((*unix.RawSockaddrInet6)(unsafe.Pointer(&sa[0])).Addr).Unmap()
	}
	return netip.Addr{}
}
