package hostnet

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A reason is why a packet went nowhere, as an ICMP message tells it.
type reason int

const (
	silent reason = iota // nobody says anything
	netUnreachable
	hostUnreachable
	protocolUnreachable
	portUnreachable // of TCP: a reset
	adminProhibited
	timeExceeded
	tooBig
)

// An icmpMessage is the type and code of a message of one IP version.
type icmpMessage struct{ typ, code uint8 }

// messages has each reason's form in both versions (RFC 792 and RFC 1812 section
// 5.2.7.1, RFC 4443 section 3).
var messages = map[reason]struct{ v4, v6 icmpMessage }{
	netUnreachable: {
		icmpMessage{uint8(header.ICMPv4DstUnreachable), uint8(header.ICMPv4NetUnreachable)},
		icmpMessage{uint8(header.ICMPv6DstUnreachable), uint8(header.ICMPv6NetworkUnreachable)},
	},
	hostUnreachable: {
		icmpMessage{uint8(header.ICMPv4DstUnreachable), uint8(header.ICMPv4HostUnreachable)},
		icmpMessage{uint8(header.ICMPv6DstUnreachable), uint8(header.ICMPv6AddressUnreachable)},
	},
	protocolUnreachable: {
		icmpMessage{uint8(header.ICMPv4DstUnreachable), uint8(header.ICMPv4ProtoUnreachable)},
		icmpMessage{uint8(header.ICMPv6ParamProblem), uint8(header.ICMPv6UnknownHeader)},
	},
	portUnreachable: {
		icmpMessage{uint8(header.ICMPv4DstUnreachable), uint8(header.ICMPv4PortUnreachable)},
		icmpMessage{uint8(header.ICMPv6DstUnreachable), uint8(header.ICMPv6PortUnreachable)},
	},
	adminProhibited: {
		icmpMessage{uint8(header.ICMPv4DstUnreachable), uint8(header.ICMPv4AdminProhibited)},
		icmpMessage{uint8(header.ICMPv6DstUnreachable), uint8(header.ICMPv6Prohibited)},
	},
	timeExceeded: {
		icmpMessage{uint8(header.ICMPv4TimeExceeded), uint8(header.ICMPv4TTLExceeded)},
		icmpMessage{uint8(header.ICMPv6TimeExceeded), uint8(header.ICMPv6HopLimitExceeded)},
	},
	tooBig: {
		icmpMessage{uint8(header.ICMPv4DstUnreachable), uint8(header.ICMPv4FragmentationNeeded)},
		icmpMessage{uint8(header.ICMPv6PacketTooBig), 0},
	},
}

// reasons of errors of sockets. What is not here was the machine's own trouble,
// a want of descriptors or memory: then nothing is said, so that the stack tries
// again.
var reasons = []struct {
	errno  syscall.Errno
	reason reason
}{
	{syscall.ECONNREFUSED, portUnreachable},
	{syscall.ECONNRESET, portUnreachable},
	{syscall.ENETUNREACH, netUnreachable},
	{syscall.ENETDOWN, netUnreachable},
	{syscall.EADDRNOTAVAIL, netUnreachable}, // no source address for it, or no port is free
	{syscall.EAFNOSUPPORT, netUnreachable},  // a machine without IPv6
	{syscall.EINVAL, netUnreachable},        // a destination that the kernel does not route
	{syscall.EHOSTUNREACH, hostUnreachable},
	{syscall.EHOSTDOWN, hostUnreachable},
	{syscall.ENOPROTOOPT, protocolUnreachable},
	{syscall.EACCES, adminProhibited},
	{syscall.EPERM, adminProhibited}, // a firewall's output chain
	{syscall.EMSGSIZE, tooBig},
}

// reasonOf reads an error of a socket.
func reasonOf(err error) reason {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return silent
	}
	errno = unixErrno(errno)
	for _, r := range reasons {
		if r.errno == errno {
			return r.reason
		}
	}
	return silent
}

// Sizes of what an ICMP error quotes of the packet that caused it: all that fits
// into what every host takes, in bytes with the IP header (RFC 1812 section
// 4.3.2.3, RFC 4443 section 3.1).
const (
	maxError4 = 576
	maxError6 = 1280
)

// complain sends an ICMP error about a packet of the stack's, which begins with
// its IP header. The sender is the router or host that found it.
func (u *Uplink) complain(sender netip.Addr, about []byte, to netip.Addr, m icmpMessage, info uint32) {
	limit := maxError4 - header.IPv4MinimumSize
	if to.Is6() {
		limit = maxError6 - header.IPv6MinimumSize
	}
	about = about[:min(len(about), limit-header.ICMPv4MinimumSize)]
	b := make([]byte, header.ICMPv4MinimumSize, header.ICMPv4MinimumSize+len(about)) // 8 bytes, as in ICMPv6
	b[0], b[1] = m.typ, m.code
	binary.BigEndian.PutUint32(b[4:], info)
	u.stats.errorsIn.Add(1)
	u.sendICMP(envelope{from: sender, to: to}, append(b, about...))
}

// reject tells the stack, as its gateway, why a packet went nowhere.
func (u *Uplink) reject(from netip.Addr, about []byte, why reason) {
	m, ok := messages[why]
	if !ok {
		return
	}
	if from.Is4() {
		u.complain(u.cfg.Gateway4, about, from, m.v4, 0)
	} else {
		u.complain(u.cfg.Gateway6, about, from, m.v6, 0)
	}
}

// quote returns the headers of a packet and the beginning of its payload, as an
// ICMP error quotes it.
func quote(pkt *stack.PacketBuffer) []byte {
	net, transport := pkt.NetworkHeader().Slice(), pkt.TransportHeader().Slice()
	q := make([]byte, 0, maxError6)
	q = append(append(q, net...), transport...)
	w := tcpip.SliceWriter(q[len(q):cap(q)])
	n, _ := pkt.Data().ReadTo(&w, true) // it stops where q is full
	return q[:len(q)+n]
}
