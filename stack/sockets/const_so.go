package sockets

// Option levels: the first argument of SetSockOpt and GetSockOpt.
const (
	SOL_IP      = 0
	SOL_SOCKET  = 1
	SOL_TCP     = 6
	SOL_UDP     = 17
	SOL_IPV6    = 41
	SOL_ICMPV6  = 58
	SOL_UDPLITE = 136
	SOL_RAW     = 255
	SOL_PACKET  = 263
)

// Levels of protocols that no socket here has (<linux/socket.h>).
const (
	SOL_HCI       = 0
	SOL_L2CAP     = 6
	SOL_SCO       = 17
	SOL_RFCOMM    = 18
	SOL_BLUETOOTH = 274
	SOL_CAN_BASE  = 100
	SOL_CAN_RAW   = 101
	SOL_DECNET    = 261
	SOL_X25       = 262
	SOL_ATM       = 264
	SOL_AAL       = 265
	SOL_IRDA      = 266
	SOL_NETBEUI   = 267
	SOL_LLC       = 268
	SOL_DCCP      = 269
	SOL_NETLINK   = 270
	SOL_TIPC      = 271
	SOL_RXRPC     = 272
	SOL_PPPOL2TP  = 273
	SOL_PNPIPE    = 275
	SOL_RDS       = 276
	SOL_IUCV      = 277
	SOL_CAIF      = 278
	SOL_ALG       = 279
	SOL_NFC       = 280
	SOL_KCM       = 281
	SOL_TLS       = 282
	SOL_XDP       = 283
	SOL_MPTCP     = 284
	SOL_MCTP      = 285
	SOL_SMC       = 286
	SOL_VSOCK     = 287
)

// Options of SOL_SOCKET (socket(7), <asm-generic/socket.h>).
const (
	SO_DEBUG                         = 1
	SO_REUSEADDR                     = 2
	SO_TYPE                          = 3
	SO_ERROR                         = 4
	SO_DONTROUTE                     = 5
	SO_BROADCAST                     = 6
	SO_SNDBUF                        = 7
	SO_RCVBUF                        = 8
	SO_KEEPALIVE                     = 9
	SO_OOBINLINE                     = 10
	SO_NO_CHECK                      = 11
	SO_PRIORITY                      = 12
	SO_LINGER                        = 13
	SO_BSDCOMPAT                     = 14
	SO_REUSEPORT                     = 15
	SO_PASSCRED                      = 16
	SO_PEERCRED                      = 17
	SO_RCVLOWAT                      = 18
	SO_SNDLOWAT                      = 19
	SO_RCVTIMEO                      = 20
	SO_SNDTIMEO                      = 21
	SO_SECURITY_AUTHENTICATION       = 22
	SO_SECURITY_ENCRYPTION_TRANSPORT = 23
	SO_SECURITY_ENCRYPTION_NETWORK   = 24
	SO_BINDTODEVICE                  = 25
	SO_ATTACH_FILTER                 = 26
	SO_DETACH_FILTER                 = 27
	SO_PEERNAME                      = 28
	SO_TIMESTAMP                     = 29
	SO_ACCEPTCONN                    = 30
	SO_PEERSEC                       = 31
	SO_SNDBUFFORCE                   = 32
	SO_RCVBUFFORCE                   = 33
	SO_PASSSEC                       = 34
	SO_TIMESTAMPNS                   = 35
	SO_MARK                          = 36
	SO_TIMESTAMPING                  = 37
	SO_PROTOCOL                      = 38
	SO_DOMAIN                        = 39
	SO_RXQ_OVFL                      = 40
	SO_WIFI_STATUS                   = 41
	SO_PEEK_OFF                      = 42
	SO_NOFCS                         = 43
	SO_LOCK_FILTER                   = 44
	SO_SELECT_ERR_QUEUE              = 45
	SO_BUSY_POLL                     = 46
	SO_MAX_PACING_RATE               = 47
	SO_BPF_EXTENSIONS                = 48
	SO_INCOMING_CPU                  = 49
	SO_ATTACH_BPF                    = 50
	SO_ATTACH_REUSEPORT_CBPF         = 51
	SO_ATTACH_REUSEPORT_EBPF         = 52
	SO_CNX_ADVICE                    = 53
	SO_MEMINFO                       = 55
	SO_INCOMING_NAPI_ID              = 56
	SO_COOKIE                        = 57
	SO_PEERGROUPS                    = 59
	SO_ZEROCOPY                      = 60
	SO_TXTIME                        = 61
	SO_BINDTOIFINDEX                 = 62
	SO_TIMESTAMP_NEW                 = 63
	SO_TIMESTAMPNS_NEW               = 64
	SO_TIMESTAMPING_NEW              = 65
	SO_RCVTIMEO_NEW                  = 66
	SO_SNDTIMEO_NEW                  = 67
	SO_DETACH_REUSEPORT_BPF          = 68
	SO_PREFER_BUSY_POLL              = 69
	SO_BUSY_POLL_BUDGET              = 70
	SO_NETNS_COOKIE                  = 71
	SO_BUF_LOCK                      = 72
	SO_RESERVE_MEM                   = 73
	SO_TXREHASH                      = 74
	SO_RCVMARK                       = 75
	SO_PASSPIDFD                     = 76
	SO_PEERPIDFD                     = 77
	SO_DEVMEM_LINEAR                 = 78
	SO_DEVMEM_DMABUF                 = 79
	SO_DEVMEM_DONTNEED               = 80
	SO_RCVPRIORITY                   = 82
	SO_PASSRIGHTS                    = 83
	SO_INQ                           = 84

	SO_GET_FILTER    = SO_ATTACH_FILTER // the name that getsockopt uses
	SO_TIMESTAMP_OLD = SO_TIMESTAMP
	SO_RCVTIMEO_OLD  = SO_RCVTIMEO
	SO_SNDTIMEO_OLD  = SO_SNDTIMEO

	SO_TIMESTAMPNS_OLD  = SO_TIMESTAMPNS
	SO_TIMESTAMPING_OLD = SO_TIMESTAMPING
	SO_DETACH_BPF       = SO_DETACH_FILTER
)

// Ancillary messages of SOL_SOCKET (cmsg(3)).
const (
	SCM_RIGHTS      = 1
	SCM_CREDENTIALS = 2
	SCM_SECURITY    = 3
	SCM_PIDFD       = 4

	SCM_TIMESTAMP              = SO_TIMESTAMP
	SCM_TIMESTAMPNS            = SO_TIMESTAMPNS
	SCM_TIMESTAMPING           = SO_TIMESTAMPING
	SCM_WIFI_STATUS            = SO_WIFI_STATUS
	SCM_TIMESTAMPING_OPT_STATS = 54
	SCM_TIMESTAMPING_PKTINFO   = 58
	SCM_TXTIME                 = SO_TXTIME
)

// Bits of SO_BUF_LOCK (<linux/socket.h>).
const (
	SOCK_SNDBUF_LOCK = 1
	SOCK_RCVBUF_LOCK = 2
)
