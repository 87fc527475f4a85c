package sockets

// Options of SOL_TCP (tcp(7), <linux/tcp.h>).
const (
	TCP_NODELAY              = 1
	TCP_MAXSEG               = 2
	TCP_CORK                 = 3
	TCP_KEEPIDLE             = 4
	TCP_KEEPINTVL            = 5
	TCP_KEEPCNT              = 6
	TCP_SYNCNT               = 7
	TCP_LINGER2              = 8
	TCP_DEFER_ACCEPT         = 9
	TCP_WINDOW_CLAMP         = 10
	TCP_INFO                 = 11
	TCP_QUICKACK             = 12
	TCP_CONGESTION           = 13
	TCP_MD5SIG               = 14
	TCP_THIN_LINEAR_TIMEOUTS = 16
	TCP_THIN_DUPACK          = 17
	TCP_USER_TIMEOUT         = 18
	TCP_REPAIR               = 19
	TCP_REPAIR_QUEUE         = 20
	TCP_QUEUE_SEQ            = 21
	TCP_REPAIR_OPTIONS       = 22
	TCP_FASTOPEN             = 23
	TCP_TIMESTAMP            = 24
	TCP_NOTSENT_LOWAT        = 25
	TCP_CC_INFO              = 26
	TCP_SAVE_SYN             = 27
	TCP_SAVED_SYN            = 28
	TCP_REPAIR_WINDOW        = 29
	TCP_FASTOPEN_CONNECT     = 30
	TCP_ULP                  = 31
	TCP_MD5SIG_EXT           = 32
	TCP_FASTOPEN_KEY         = 33
	TCP_FASTOPEN_NO_COOKIE   = 34
	TCP_ZEROCOPY_RECEIVE     = 35
	TCP_INQ                  = 36
	TCP_TX_DELAY             = 37
	TCP_AO_ADD_KEY           = 38
	TCP_AO_DEL_KEY           = 39
	TCP_AO_INFO              = 40
	TCP_AO_GET_KEYS          = 41
	TCP_AO_REPAIR            = 42
	TCP_IS_MPTCP             = 43
	TCP_RTO_MAX_MS           = 44
	TCP_RTO_MIN_US           = 45
	TCP_DELACK_MAX_US        = 46
)

// States of a connection, as TCP_INFO has them (<netinet/tcp.h>).
const (
	TCP_ESTABLISHED = 1
	TCP_SYN_SENT    = 2
	TCP_SYN_RECV    = 3
	TCP_FIN_WAIT1   = 4
	TCP_FIN_WAIT2   = 5
	TCP_TIME_WAIT   = 6
	TCP_CLOSE       = 7
	TCP_CLOSE_WAIT  = 8
	TCP_LAST_ACK    = 9
	TCP_LISTEN      = 10
	TCP_CLOSING     = 11
)

// Options of SOL_UDP (udp(7), <linux/udp.h>) and of UDP-Lite (udplite(7)), which
// there are no sockets of.
const (
	UDP_CORK           = 1
	UDP_ENCAP          = 100
	UDP_NO_CHECK6_TX   = 101
	UDP_NO_CHECK6_RX   = 102
	UDP_SEGMENT        = 103
	UDP_GRO            = 104
	UDPLITE_SEND_CSCOV = 10
	UDPLITE_RECV_CSCOV = 11
)
