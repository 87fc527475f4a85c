package rtnetlink

// Types of control messages (<linux/netlink.h>).
const (
	msgError   = 2
	msgDone    = 3
	msgMinType = 0x10 // what is below is for the protocol itself
)

// Flags of messages.
const (
	flagRequest      = 0x1
	flagMulti        = 0x2
	flagAck          = 0x4
	flagDumpFiltered = 0x20
	flagDump         = 0x300 // NLM_F_ROOT|NLM_F_MATCH; the kernel takes either for a dump
	flagCapped       = 0x100 // in an NLMSG_ERROR: the request's payload is left out
	flagAckTLVs      = 0x200 // in an NLMSG_ERROR or NLMSG_DONE: attributes follow
)

// Attributes of an extended acknowledgement.
const (
	errAttrMessage = 1
	errAttrOffset  = 2
)

// Types of requests (<linux/rtnetlink.h>). Each group of four has NEW, DEL, GET and
// SET in this order; a reply has the type NEW.
const (
	getLink     = 18
	getAddr     = 22
	getRoute    = 26
	getNeigh    = 30
	getRule     = 34
	getQdisc    = 38
	getTclass   = 42
	getTfilter  = 46
	getNsid     = 90
	getNexthop  = 106
	maxType     = 123 // RTM_MAX of Linux 6.18
	kindMask    = 3
	kindGet     = 2
	replyOffset = -2 // from a GET to its NEW
)

// Address families, which are Linux's whatever system this runs on.
const (
	familyUnspec = 0
	familyInet   = 2
	familyBridge = 7
	familyInet6  = 10
	familyMax    = 129 // RTNL_FAMILY_MAX: families beyond are taken for AF_UNSPEC
)

// Error numbers of Linux that the answers carry.
const (
	errPerm          = 1
	errNoEntry       = 2
	errBusy          = 16
	errNoDevice      = 19
	errInvalid       = 22
	errRange         = 34
	errNotSupported  = 95
	errFamily        = 97
	errAddrNotAvail  = 99
	errNetUnreach    = 101
	errHostUnreach   = 113
	unspecifiedIndex = 0
)

// Attributes of links (<linux/if_link.h>).
const (
	iflaAddress        = 1
	iflaBroadcast      = 2
	iflaIfname         = 3
	iflaMTU            = 4
	iflaQdisc          = 6
	iflaStats          = 7
	iflaMaster         = 10
	iflaMap            = 14
	iflaTxqlen         = 13
	iflaOperstate      = 16
	iflaLinkmode       = 17
	iflaLinkinfo       = 18
	iflaStats64        = 23
	iflaGroup          = 27
	iflaExtMask        = 29
	iflaPromiscuity    = 30
	iflaNumTxQueues    = 31
	iflaNumRxQueues    = 32
	iflaCarrier        = 33
	iflaCarrierChanges = 35
	iflaProtoDown      = 39
	iflaGSOMaxSegs     = 40
	iflaGSOMaxSize     = 41
	iflaTargetNetnsid  = 46
	iflaCarrierUp      = 47
	iflaCarrierDown    = 48
	iflaMinMTU         = 50
	iflaMaxMTU         = 51
	iflaAltIfname      = 53
	iflaMax            = 69
)

// Types of hardware (<net/if_arp.h>) and states of operation (RFC 2863).
const (
	arphrdEther    = 1
	arphrdLoopback = 772
	arphrdNone     = 0xfffe

	operUnknown = 0 // the loopback's, on Linux
	operDown    = 2
	operUp      = 6

	iffLowerUp = 0x10000
)

// Attributes and flags of addresses (<linux/if_addr.h>).
const (
	ifaAddress       = 1
	ifaLocal         = 2
	ifaLabel         = 3
	ifaBroadcast     = 4
	ifaCacheinfo     = 6
	ifaFlags         = 8
	ifaTargetNetnsid = 10
	ifaProto         = 11
	ifaMax           = 11

	ifaSecondary = 0x01
	ifaPermanent = 0x80

	protoKernelLo = 1 // IFAPROT_KERNEL_LO

	forever = 0xffffffff // a lifetime, in seconds
)

// Attributes and values of routes (<linux/rtnetlink.h>).
const (
	rtaDst       = 1
	rtaSrc       = 2
	rtaIif       = 3
	rtaOif       = 4
	rtaGateway   = 5
	rtaPriority  = 6
	rtaPrefsrc   = 7
	rtaCacheinfo = 12
	rtaTable     = 15
	rtaPref      = 20
	rtaMax       = 30

	tableDefault = 253
	tableMain    = 254
	tableLocal   = 255

	protKernel = 2
	protBoot   = 3 // what ip(8) gives routes by default, and hides

	scopeUniverse = 0
	scopeLink     = 253
	scopeHost     = 254

	typeUnicast   = 1
	typeLocal     = 2
	typeBroadcast = 3
	typeMulticast = 5

	flagCloned    = 0x200      // RTM_F_CLONED
	flagPrefix    = 0x800      // RTM_F_PREFIX
	flagFibMatch  = 0x2000     // RTM_F_FIB_MATCH
	flagBroadcast = 0x10000000 // RTCF_BROADCAST
	flagMulticast = 0x20000000 // RTCF_MULTICAST
	flagLocal     = 0x80000000 // RTCF_LOCAL

	metricKernel6 = 256  // IP6_RT_PRIO_ADDRCONF
	metricUser6   = 1024 // IP6_RT_PRIO_USER
)

// Attributes of rules (<linux/fib_rules.h>).
const (
	fraPriority          = 6
	fraSuppressPrefixlen = 14
	fraTable             = 15
	fraProtocol          = 21
	fraToTable           = 1 // the action FR_ACT_TO_TBL
)
