package sockets

import "gvisor.dev/gvisor/pkg/tcpip"

// A refusedOption is an option of Linux's that userstack does not have. Reading
// it says what Linux says of a socket that does not use it, and setting it to
// just that is accepted if it is an int; everything else is refused, with the
// errno of a Linux that was built without it.
type refusedOption struct {
	level, name int
	label       string
	only        sockets
	get         refusedGet
	set         Errno // instead of ENOPROTOOPT
	absent      Errno // on other sockets, instead of ENOPROTOOPT
	reason      string
}

// refusedGet is how an unused option reads.
type refusedGet int

const (
	getRefused refusedGet = iota // ENOPROTOOPT
	getZero                      // an int of 0
	getZero8                     // 8 bytes of 0
	getEmpty                     // no bytes
	getEINVAL                    // EINVAL
	getENODATA                   // ENODATA
)

// Why options are refused.
const (
	noBPF       = "SO_ATTACH_FILTER alone takes a program of BPF"
	noIPsec     = "there is no IPsec"
	noSecurity  = "there is no security module"
	noRepair    = "netstack cannot save and restore a connection"
	noMD5       = "netstack does not sign segments (RFC 2385, RFC 5925)"
	noSpoofing  = "sockets send from the stack's own addresses alone"
	noMinTTL    = "netstack does not filter by the TTL"
	noZeroCopy  = "there are no pages to share"
	noPIDFD     = "there are no process descriptors"
	noPromise   = "Linux does not have it either"
	noNetfilter = "there are no tables of netfilter's; gVisor's are at stack.Stack.GVisor"
	noAnycast   = "netstack has no IPv6 anycast addresses"
	noFragments = "netstack does not tell the size of fragments"
	onlyCmsg    = "it is a control message, not an option"
)

var refused = []refusedOption{
	{SOL_SOCKET, SO_SECURITY_AUTHENTICATION, "SO_SECURITY_AUTHENTICATION", onAll, getRefused, 0, 0, noPromise},
	{SOL_SOCKET, SO_SECURITY_ENCRYPTION_TRANSPORT, "SO_SECURITY_ENCRYPTION_TRANSPORT", onAll, getRefused, 0, 0, noPromise},
	{SOL_SOCKET, SO_SECURITY_ENCRYPTION_NETWORK, "SO_SECURITY_ENCRYPTION_NETWORK", onAll, getRefused, 0, 0, noPromise},
	{SOL_SOCKET, SO_PEERSEC, "SO_PEERSEC", onAll, getRefused, 0, 0, noSecurity},
	{SOL_SOCKET, SO_PASSSEC, "SO_PASSSEC", onUnix, getZero, 0, EOPNOTSUPP, noSecurity},
	{SOL_SOCKET, SO_ATTACH_BPF, "SO_ATTACH_BPF", onAll, getRefused, 0, 0, noBPF},
	{SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, "SO_ATTACH_REUSEPORT_CBPF", onAll, getRefused, 0, 0, noBPF},
	{SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, "SO_ATTACH_REUSEPORT_EBPF", onAll, getRefused, 0, 0, noBPF},
	{SOL_SOCKET, SCM_TIMESTAMPING_OPT_STATS, "SCM_TIMESTAMPING_OPT_STATS", onAll, getRefused, 0, 0, onlyCmsg},
	{SOL_SOCKET, SCM_TIMESTAMPING_PKTINFO, "SCM_TIMESTAMPING_PKTINFO", onAll, getRefused, 0, 0, onlyCmsg},
	{SOL_SOCKET, SO_ZEROCOPY, "SO_ZEROCOPY", onAll, getZero, EOPNOTSUPP, 0, noZeroCopy},
	{SOL_SOCKET, SO_TXTIME, "SO_TXTIME", onAll, getZero8, 0, 0, "nothing sends packets at a set time"},
	{SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, "SO_DETACH_REUSEPORT_BPF", onAll, getRefused, 0, 0, noBPF},
	{SOL_SOCKET, SO_RCVMARK, "SO_RCVMARK", onAll, getZero, 0, 0, "received packets carry no mark"},
	{SOL_SOCKET, SO_PASSPIDFD, "SO_PASSPIDFD", onUnix, getZero, 0, EOPNOTSUPP, noPIDFD},
	{SOL_SOCKET, SO_PEERPIDFD, "SO_PEERPIDFD", onAll, getENODATA, 0, 0, noPIDFD},
	{SOL_SOCKET, SO_DEVMEM_LINEAR, "SO_DEVMEM_LINEAR", onAll, getRefused, 0, 0, noZeroCopy},
	{SOL_SOCKET, SO_DEVMEM_DMABUF, "SO_DEVMEM_DMABUF", onAll, getRefused, 0, 0, noZeroCopy},
	{SOL_SOCKET, SO_DEVMEM_DONTNEED, "SO_DEVMEM_DONTNEED", onAll, getRefused, 0, 0, noZeroCopy},
	{SOL_SOCKET, SO_RCVPRIORITY, "SO_RCVPRIORITY", onAll, getZero, 0, 0, "received packets carry no priority"},
	{SOL_SOCKET, SO_INQ, "SO_INQ", onAll, getRefused, 0, 0, "Linux 6.18 does not have it either"},

	{SOL_IP, IP_RECVOPTS, "IP_RECVOPTS", onInet, getZero, 0, 0, noHeaders},
	{SOL_IP, IP_RETOPTS, "IP_RETOPTS", onInet, getZero, 0, 0, noHeaders},
	{SOL_IP, IP_FREEBIND, "IP_FREEBIND", onInet, getZero, 0, 0, noSpoofing},
	{SOL_IP, IP_IPSEC_POLICY, "IP_IPSEC_POLICY", onInet, getRefused, 0, 0, noIPsec},
	{SOL_IP, IP_XFRM_POLICY, "IP_XFRM_POLICY", onInet, getRefused, 0, 0, noIPsec},
	{SOL_IP, IP_PASSSEC, "IP_PASSSEC", onInet, getZero, 0, 0, noSecurity},
	{SOL_IP, IP_TRANSPARENT, "IP_TRANSPARENT", onInet, getZero, 0, 0, noSpoofing},
	{SOL_IP, IP_MINTTL, "IP_MINTTL", onInet, getZero, 0, 0, noMinTTL},
	{SOL_IP, IP_CHECKSUM, "IP_CHECKSUM", onInet, getZero, 0, 0, "netstack does not tell checksums"},
	{SOL_IP, IP_RECVERR_RFC4884, "IP_RECVERR_RFC4884", onInet, getZero, 0, 0, "extensions of ICMP are not told"},
	{SOL_IP, IPT_SO_GET_INFO, "IPT_SO_GET_INFO", onInet, getRefused, 0, 0, noNetfilter},
	{SOL_IP, IPT_SO_GET_ENTRIES, "IPT_SO_GET_ENTRIES", onInet, getRefused, 0, 0, noNetfilter},
	{SOL_IP, IPT_SO_GET_REVISION_MATCH, "IPT_SO_GET_REVISION_MATCH", onInet, getRefused, 0, 0, noNetfilter},
	{SOL_IP, IPT_SO_GET_REVISION_TARGET, "IPT_SO_GET_REVISION_TARGET", onInet, getRefused, 0, 0, noNetfilter},

	{SOL_IPV6, IPV6_2292PKTINFO, "IPV6_2292PKTINFO", onInet | on6, getZero, 0, 0, noRFC2292},
	{SOL_IPV6, IPV6_2292HOPOPTS, "IPV6_2292HOPOPTS", onInet | on6, getZero, 0, 0, noHeaders},
	{SOL_IPV6, IPV6_2292DSTOPTS, "IPV6_2292DSTOPTS", onInet | on6, getZero, 0, 0, noHeaders},
	{SOL_IPV6, IPV6_2292RTHDR, "IPV6_2292RTHDR", onInet | on6, getZero, 0, 0, noHeaders},
	{SOL_IPV6, IPV6_2292PKTOPTIONS, "IPV6_2292PKTOPTIONS", onTCP | on6, getEmpty, 0, 0, noRFC2292},
	{SOL_IPV6, IPV6_2292HOPLIMIT, "IPV6_2292HOPLIMIT", onInet | on6, getZero, 0, 0, noRFC2292},
	{SOL_IPV6, IPV6_NEXTHOP, "IPV6_NEXTHOP", onInet | on6, getRefused, 0, 0, "routes are the stack's"},
	{SOL_IPV6, IPV6_AUTHHDR, "IPV6_AUTHHDR", onInet | on6, getRefused, 0, 0, noPromise},
	{SOL_IPV6, IPV6_FLOWINFO, "IPV6_FLOWINFO", onInet | on6, getZero, 0, 0, noFlowLabels},
	{SOL_IPV6, IPV6_ROUTER_ALERT, "IPV6_ROUTER_ALERT", onInet | on6, getZero, 0, 0, noHeaders},
	{SOL_IPV6, IPV6_JOIN_ANYCAST, "IPV6_JOIN_ANYCAST", onInet | on6, getRefused, 0, 0, noAnycast},
	{SOL_IPV6, IPV6_LEAVE_ANYCAST, "IPV6_LEAVE_ANYCAST", onInet | on6, getRefused, 0, 0, noAnycast},
	{SOL_IPV6, IPV6_ROUTER_ALERT_ISOLATE, "IPV6_ROUTER_ALERT_ISOLATE", onInet | on6, getZero, 0, 0, noHeaders},
	{SOL_IPV6, IPV6_RECVERR_RFC4884, "IPV6_RECVERR_RFC4884", onInet | on6, getZero, 0, 0, "extensions of ICMP are not told"},
	{SOL_IPV6, IPV6_FLOWINFO_SEND, "IPV6_FLOWINFO_SEND", onInet | on6, getZero, 0, 0, noFlowLabels},
	{SOL_IPV6, IPV6_IPSEC_POLICY, "IPV6_IPSEC_POLICY", onInet | on6, getRefused, 0, 0, noIPsec},
	{SOL_IPV6, IPV6_XFRM_POLICY, "IPV6_XFRM_POLICY", onInet | on6, getRefused, 0, 0, noIPsec},
	{SOL_IPV6, IPV6_HOPLIMIT, "IPV6_HOPLIMIT", onInet | on6, getRefused, 0, 0, onlyCmsg},
	{SOL_IPV6, IPV6_RECVHOPOPTS, "IPV6_RECVHOPOPTS", onInet | on6, getZero, 0, 0, noHeaders},
	{SOL_IPV6, IPV6_HOPOPTS, "IPV6_HOPOPTS", onInet | on6, getEmpty, 0, 0, noHeaders},
	{SOL_IPV6, IPV6_RTHDRDSTOPTS, "IPV6_RTHDRDSTOPTS", onInet | on6, getEmpty, 0, 0, noHeaders},
	{SOL_IPV6, IPV6_RECVRTHDR, "IPV6_RECVRTHDR", onInet | on6, getZero, 0, 0, noHeaders},
	{SOL_IPV6, IPV6_RTHDR, "IPV6_RTHDR", onInet | on6, getEmpty, 0, 0, noHeaders},
	{SOL_IPV6, IPV6_RECVDSTOPTS, "IPV6_RECVDSTOPTS", onInet | on6, getZero, 0, 0, noHeaders},
	{SOL_IPV6, IPV6_DSTOPTS, "IPV6_DSTOPTS", onInet | on6, getEmpty, 0, 0, noHeaders},
	{SOL_IPV6, IPV6_RECVPATHMTU, "IPV6_RECVPATHMTU", onInet | on6, getZero, 0, 0, "a smaller path MTU is told as EMSGSIZE alone"},
	{SOL_IPV6, IPV6_USE_MIN_MTU, "IPV6_USE_MIN_MTU", onInet | on6, getRefused, 0, 0, noPromise},
	{SOL_IPV6, IPV6_MINHOPCOUNT, "IPV6_MINHOPCOUNT", onInet | on6, getZero, 0, 0, noMinTTL},
	{SOL_IPV6, IPV6_TRANSPARENT, "IPV6_TRANSPARENT", onInet | on6, getZero, 0, 0, noSpoofing},
	{SOL_IPV6, IPV6_RECVFRAGSIZE, "IPV6_RECVFRAGSIZE", onInet | on6, getZero, 0, 0, noFragments},
	{SOL_IPV6, IPV6_FREEBIND, "IPV6_FREEBIND", onInet | on6, getZero, 0, 0, noSpoofing},

	{SOL_TCP, TCP_MD5SIG, "TCP_MD5SIG", onTCP, getRefused, 0, 0, noMD5},
	{SOL_TCP, TCP_REPAIR, "TCP_REPAIR", onTCP, getZero, 0, 0, noRepair},
	{SOL_TCP, TCP_REPAIR_QUEUE, "TCP_REPAIR_QUEUE", onTCP, getEINVAL, 0, 0, noRepair},
	{SOL_TCP, TCP_QUEUE_SEQ, "TCP_QUEUE_SEQ", onTCP, getEINVAL, 0, 0, noRepair},
	{SOL_TCP, TCP_REPAIR_OPTIONS, "TCP_REPAIR_OPTIONS", onTCP, getRefused, 0, 0, noRepair},
	{SOL_TCP, TCP_TIMESTAMP, "TCP_TIMESTAMP", onTCP, getRefused, 0, 0, noRepair},
	{SOL_TCP, TCP_CC_INFO, "TCP_CC_INFO", onTCP, getRefused, 0, 0, "netstack does not tell the state of its congestion control"},
	{SOL_TCP, TCP_SAVE_SYN, "TCP_SAVE_SYN", onTCP, getZero, 0, 0, "netstack does not keep the headers of a SYN"},
	{SOL_TCP, TCP_SAVED_SYN, "TCP_SAVED_SYN", onTCP, getEmpty, 0, 0, "netstack does not keep the headers of a SYN"},
	{SOL_TCP, TCP_REPAIR_WINDOW, "TCP_REPAIR_WINDOW", onTCP, getEINVAL, 0, 0, noRepair},
	{SOL_TCP, TCP_MD5SIG_EXT, "TCP_MD5SIG_EXT", onTCP, getRefused, 0, 0, noMD5},
	{SOL_TCP, TCP_FASTOPEN_KEY, "TCP_FASTOPEN_KEY", onTCP, getEmpty, 0, 0, "netstack has no TCP Fast Open"},
	{SOL_TCP, TCP_ZEROCOPY_RECEIVE, "TCP_ZEROCOPY_RECEIVE", onTCP, getRefused, 0, 0, noZeroCopy},
	{SOL_TCP, TCP_AO_ADD_KEY, "TCP_AO_ADD_KEY", onTCP, getRefused, 0, 0, noMD5},
	{SOL_TCP, TCP_AO_DEL_KEY, "TCP_AO_DEL_KEY", onTCP, getRefused, 0, 0, noMD5},
	{SOL_TCP, TCP_AO_INFO, "TCP_AO_INFO", onTCP, getRefused, 0, 0, noMD5},
	{SOL_TCP, TCP_AO_GET_KEYS, "TCP_AO_GET_KEYS", onTCP, getRefused, 0, 0, noMD5},
	{SOL_TCP, TCP_AO_REPAIR, "TCP_AO_REPAIR", onTCP, getRefused, 0, 0, noMD5},
}

// refusedValues are Linux's own bounds, where it has some. At SOL_IP these
// options do not take an empty value for 0.
var refusedValues = map[optionKey]func(int) (int, Errno){
	{SOL_SOCKET, SO_ZEROCOPY}:    between(0, 1),
	{SOL_IP, IP_FREEBIND}:        anyInt,
	{SOL_IP, IP_TRANSPARENT}:     anyInt,
	{SOL_IP, IP_MINTTL}:          between(0, 255),
	{SOL_IPV6, IPV6_MINHOPCOUNT}: between(0, 255),
	{SOL_TCP, TCP_SAVE_SYN}:      between(0, 2),
}

const noRFC2292 = "the interface of RFC 2292 is not offered; RFC 3542's is"

// refusedOptions makes rows of the table.
func refusedOptions() map[optionKey]*option {
	rows := map[optionKey]*option{}
	for _, r := range refused {
		rows[optionKey{r.level, r.name}] = r.row()
	}
	return rows
}

func (r refusedOption) row() *option {
	o := &option{name: r.label, only: r.only, refusal: r.set, absent: r.absent, reason: r.reason, set: refuse}
	if r.level != SOL_IPV6 {
		o.size = 4
	}
	switch r.get {
	case getRefused:
		// nothing to read
	case getZero:
		o.size, o.tiny = 4, r.level == SOL_IP
		o.set, o.stored = nil, true
		linux := refusedValues[optionKey{r.level, r.name}]
		if linux == nil {
			o.zero, linux = o.tiny, anyInt
		}
		o.read = readInt(onlyValueOf(0, linux))
	case getZero8:
		o.size, o.get = 8, func(*description, tcpip.Endpoint) ([]byte, Errno) { return uint64Bytes(0), 0 }
	case getEmpty:
		o.set, o.get = setNoOptions, getNothing
		if r.level == SOL_IPV6 {
			o.size = 0
		}
	case getEINVAL:
		o.get = func(*description, tcpip.Endpoint) ([]byte, Errno) { return nil, EINVAL }
	case getENODATA:
		o.set, o.get = nil, func(*description, tcpip.Endpoint) ([]byte, Errno) { return nil, ENODATA }
	}
	return o
}
