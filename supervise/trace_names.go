//go:build linux && (amd64 || arm64)

package supervise

import "golang.org/x/sys/unix"

// A bitName is the name of a flag.
type bitName struct {
	bit  uint64
	name string
}

// typeMask is the part of the type argument of socket(2) that is not flags.
const typeMask = 0xf

var typeNames = [typeMask + 1]string{
	unix.SOCK_STREAM: "SOCK_STREAM", unix.SOCK_DGRAM: "SOCK_DGRAM", unix.SOCK_RAW: "SOCK_RAW", unix.SOCK_SEQPACKET: "SOCK_SEQPACKET",
}

var typeFlagNames = []bitName{{unix.SOCK_NONBLOCK, "SOCK_NONBLOCK"}, {unix.SOCK_CLOEXEC, "SOCK_CLOEXEC"}}

var protocolNames = map[uint64]string{
	unix.IPPROTO_IP: "IPPROTO_IP", unix.IPPROTO_ICMP: "IPPROTO_ICMP", unix.IPPROTO_TCP: "IPPROTO_TCP",
	unix.IPPROTO_UDP: "IPPROTO_UDP", unix.IPPROTO_ICMPV6: "IPPROTO_ICMPV6", unix.IPPROTO_UDPLITE: "IPPROTO_UDPLITE",
	unix.IPPROTO_RAW: "IPPROTO_RAW",
}

var levelNames = map[uint64]string{
	unix.SOL_SOCKET: "SOL_SOCKET", unix.SOL_IP: "SOL_IP", unix.SOL_IPV6: "SOL_IPV6", unix.SOL_TCP: "SOL_TCP",
	unix.SOL_UDP: "SOL_UDP", unix.SOL_ICMPV6: "SOL_ICMPV6", unix.SOL_RAW: "SOL_RAW", unix.SOL_NETLINK: "SOL_NETLINK",
}

var messageFlagNames = []bitName{
	{unix.MSG_OOB, "MSG_OOB"}, {unix.MSG_PEEK, "MSG_PEEK"}, {unix.MSG_DONTROUTE, "MSG_DONTROUTE"},
	{unix.MSG_CTRUNC, "MSG_CTRUNC"}, {unix.MSG_TRUNC, "MSG_TRUNC"}, {unix.MSG_DONTWAIT, "MSG_DONTWAIT"},
	{unix.MSG_EOR, "MSG_EOR"}, {unix.MSG_WAITALL, "MSG_WAITALL"}, {unix.MSG_CONFIRM, "MSG_CONFIRM"},
	{unix.MSG_ERRQUEUE, "MSG_ERRQUEUE"}, {unix.MSG_NOSIGNAL, "MSG_NOSIGNAL"}, {unix.MSG_MORE, "MSG_MORE"},
	{unix.MSG_WAITFORONE, "MSG_WAITFORONE"}, {unix.MSG_ZEROCOPY, "MSG_ZEROCOPY"}, {unix.MSG_FASTOPEN, "MSG_FASTOPEN"},
	{unix.MSG_CMSG_CLOEXEC, "MSG_CMSG_CLOEXEC"},
}

var requestNames = map[uint64]string{
	unix.SIOCGIFNAME: "SIOCGIFNAME", unix.SIOCGIFCONF: "SIOCGIFCONF", unix.SIOCGIFFLAGS: "SIOCGIFFLAGS",
	unix.SIOCSIFFLAGS: "SIOCSIFFLAGS", unix.SIOCGIFADDR: "SIOCGIFADDR", unix.SIOCSIFADDR: "SIOCSIFADDR",
	unix.SIOCGIFDSTADDR: "SIOCGIFDSTADDR", unix.SIOCGIFBRDADDR: "SIOCGIFBRDADDR", unix.SIOCGIFNETMASK: "SIOCGIFNETMASK",
	unix.SIOCGIFMETRIC: "SIOCGIFMETRIC", unix.SIOCGIFMTU: "SIOCGIFMTU", unix.SIOCGIFHWADDR: "SIOCGIFHWADDR",
	unix.SIOCGIFINDEX: "SIOCGIFINDEX", unix.SIOCGIFTXQLEN: "SIOCGIFTXQLEN", unix.SIOCGIFMAP: "SIOCGIFMAP",
	unix.SIOCETHTOOL: "SIOCETHTOOL", unix.SIOCGSTAMP: "SIOCGSTAMP", unix.SIOCATMARK: "SIOCATMARK",
	unix.SIOCGPGRP: "SIOCGPGRP", unix.SIOCSPGRP: "SIOCSPGRP", unix.SIOCADDRT: "SIOCADDRT", unix.SIOCDELRT: "SIOCDELRT",
}
