package sockets_test

import (
	"context"
	"crypto/tls"
	"iter"
	"net"
	"net/netip"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// The whole API by its signatures: what the documents name, and in what shape.
// A change here is a change that programs see.

// short names for the list
type (
	host   = *sockets.Host
	socket = *sockets.Socket
	opt    = sockets.CallOption
	addr   = sockets.Sockaddr
	family = sockets.Family
	proto  = sockets.Protocol
	naddr  = *sockets.NetworkAddress
)

// Creating sockets.
var (
	_ func(host, family, sockets.Type, proto) (socket, error)                                = host.Socket
	_ func(host) (socket, error)                                                             = host.TCP
	_ func(host) (socket, error)                                                             = host.UDP
	_ func(host, family, sockets.Type, proto) (a, b socket, err error)                       = host.SocketPair
	_ func(host) (a, b socket, err error)                                                    = host.NewTCPPair
	_ func(host, int, family, sockets.Type, proto) (socket, error)                           = host.FromFD
	_ func(host, int) (socket, error)                                                        = host.ImportTCPSocket
	_ func(host, sockets.HostPort, *sockets.ConnectOptions) (socket, error)                  = host.CreateConnection
	_ func(host, context.Context, sockets.HostPort, *sockets.ConnectOptions) (socket, error) = host.CreateConnectionContext
	_ func(host, socket, *sockets.SSLOptions) (*sockets.SSLObject, error)                    = host.SSL
	_ *sockets.SocketType                                                                    = socket(nil)
)

// Names and services.
var (
	_ func(host, string, string, *sockets.AddrInfoHints) ([]sockets.AddrInfoEntry, error)                  = host.GetAddrInfo
	_ func(host, context.Context, string, string, *sockets.AddrInfoHints) ([]sockets.AddrInfoEntry, error) = host.GetAddrInfoContext
	_ func(host, string) string                                                                            = host.GetFQDN
	_ func(host, string) (string, error)                                                                   = host.GetHostByName
	_ func(host, string) (sockets.HostEnt, error)                                                          = host.GetHostByNameEx
	_ func(host) string                                                                                    = host.GetHostName
	_ func(host, string) error                                                                             = host.SetHostName
	_ func(host, string) (sockets.HostEnt, error)                                                          = host.GetHostByAddr
	_ func(host, addr, sockets.NI) (host, service string, err error)                                       = host.GetNameInfo
	_ func(host, string) (proto, error)                                                                    = host.GetProtoByName
	_ func(host, proto) (name string, aliases []string, err error)                                         = host.GetProtoByNumber
	_ func(host, string, string) (int, error)                                                              = host.GetServByName
	_ func(host, int, string) (string, error)                                                              = host.GetServByPort
	_ func(host, context.Context, addr) (addr, error)                                                      = host.ResolveSockaddr
	_                                                                                                      = sockets.HostEnt{Name: "", Aliases: []string{}, Addrs: []string{}}
	_                                                                                                      = sockets.AddrInfoEntry{Family: 0, Type: 0, Proto: 0, CanonName: "", Addr: addr(nil)}
)

// Byte order, addresses as text, defaults.
var (
	_ func(uint32) uint32                  = sockets.Ntohl
	_ func(uint16) uint16                  = sockets.Ntohs
	_ func(uint32) uint32                  = sockets.Htonl
	_ func(uint16) uint16                  = sockets.Htons
	_ func(string) ([4]byte, error)        = sockets.InetAton
	_ func([]byte) (string, error)         = sockets.InetNtoa
	_ func(family, string) ([]byte, error) = sockets.InetPton
	_ func(family, []byte) (string, error) = sockets.InetNtop
	_ func(family) string                  = sockets.AddrFamilyName
	_ func(family) string                  = family.String
	_ func(host) time.Duration             = host.DefaultTimeout
	_ func(host, time.Duration) error      = host.SetDefaultTimeout
	_ func(host) bool                      = host.HasIPv6
	_ func(sockets.Config) (host, error)   = sockets.New
	_ func(host) error                     = host.Close
	_ func(float64) (time.Duration, error) = sockets.Seconds
	_ func(context.Context) opt            = sockets.WithContext
	_ opt                                  = sockets.Within(0)
	_ opt                                  = sockets.MSG_PEEK
)

// Addresses and connections.
var (
	_ func(socket, addr) error                                = socket.Bind
	_ func(socket, int) error                                 = socket.Listen
	_ func(socket, ...opt) (socket, addr, error)              = socket.Accept
	_ func(socket, int, ...opt) (socket, addr, []byte, error) = socket.AcceptRead
	_ func(socket, addr, ...opt) error                        = socket.Connect
	_ func(socket, addr, ...opt) (sockets.Errno, error)       = socket.ConnectEx
	_ func(socket) (addr, error)                              = socket.GetPeerName
	_ func(socket) (addr, error)                              = socket.GetSockName
	_ func(socket) naddr                                      = socket.NetAddr
	_ func(socket) int                                        = socket.Fileno
	_ func(socket, sockets.How) error                         = socket.Shutdown
	_ func(socket) error                                      = socket.Close
	_ func(socket) int                                        = socket.Detach
	_ func(socket) (socket, error)                            = socket.Dup
	_ func(socket) family                                     = socket.Family
	_ func(socket) sockets.Type                               = socket.Type
	_ func(socket) proto                                      = socket.Proto
	_ func(socket) sockets.DescType                           = socket.DescType
)

// Data.
var (
	_ func(socket, []byte, ...opt) (int, error)                               = socket.Send
	_ func(socket, []byte, ...opt) (int, error)                               = socket.SendAll
	_ func(socket, []byte, addr, ...opt) (int, error)                         = socket.SendTo
	_ func(socket, int, ...opt) ([]byte, error)                               = socket.Recv
	_ func(socket, int, ...opt) ([]byte, addr, error)                         = socket.RecvFrom
	_ func(socket, []byte, ...opt) (int, error)                               = socket.RecvInto
	_ func(socket, []byte, ...opt) (int, addr, error)                         = socket.RecvFromInto
	_ func(socket, *sockets.Msg, ...opt) (int, error)                         = socket.SendMsg
	_ func(socket, [][]byte, int, ...opt) (*sockets.Msg, error)               = socket.RecvMsg
	_ func(socket, []byte) (int, error)                                       = socket.Read
	_ func(socket, int) ([]byte, error)                                       = socket.ReadN
	_ func(socket) ([]byte, error)                                            = socket.ReadAll
	_ func(socket, []byte) (int, error)                                       = socket.ReadInto
	_ func(socket, int) ([]byte, error)                                       = socket.ReadLine
	_ func(socket, int) ([][]byte, error)                                     = socket.ReadLines
	_ func(socket) iter.Seq2[[]byte, error]                                   = socket.Lines
	_ func(socket, []byte) (int, error)                                       = socket.Write
	_ func(socket, string, int, ...sockets.FileOption) (*sockets.File, error) = socket.MakeFile
	_ func(*sockets.File, []byte) (int, error)                                = (*sockets.File).Read
	_ func(*sockets.File, int) ([]byte, error)                                = (*sockets.File).ReadLine
	_ func(*sockets.File, int) ([][]byte, error)                              = (*sockets.File).ReadLines
	_ func(*sockets.File, []byte) (int, error)                                = (*sockets.File).Write
	_ func(*sockets.File, [][]byte) error                                     = (*sockets.File).WriteLines
	_ func(*sockets.File) error                                               = (*sockets.File).Flush
	_ func(*sockets.File) error                                               = (*sockets.File).Close
	_ func(*sockets.File) int                                                 = (*sockets.File).Fileno
	_ func(*sockets.File) string                                              = (*sockets.File).Name
	_ func(*sockets.File) string                                              = (*sockets.File).Mode
	_                                                                         = sockets.Msg{Buffers: [][]byte{}, Control: []sockets.ControlMessage{}, Flags: sockets.MsgFlags(0), Addr: addr(nil), N: 0}
)

// Modes, options, control.
var (
	_ func(socket, bool)                                                               = socket.SetBlocking
	_ func(socket) bool                                                                = socket.Blocking
	_ func(socket, time.Duration) error                                                = socket.SetTimeout
	_ func(socket) time.Duration                                                       = socket.Timeout
	_ func(s socket, level, name, v int) error                                         = socket.SetSockOptInt
	_ func(s socket, level, name int, v []byte) error                                  = socket.SetSockOpt
	_ func(s socket, level, name int) (int, error)                                     = socket.GetSockOptInt
	_ func(s socket, level, name, buflen int) ([]byte, error)                          = socket.GetSockOpt
	_ func(socket, sockets.Option) error                                               = socket.SetOption
	_ func(socket) (sockets.Linger, error)                                             = sockets.GetOption[sockets.Linger]
	_ func(socket, uint32, any) (any, error)                                           = socket.Ioctl
	_ func(host, []sockets.PollDesc, time.Duration) (ready int, err error)             = host.Poll
	_ func(sockets.PollEvents) sockets.NSPRPoll                                        = sockets.PollEvents.NSPR
	_ func(sockets.NSPRPoll) sockets.PollEvents                                        = sockets.FromNSPR
	_ func(host) (*sockets.Poller, error)                                              = host.NewPoller
	_ func(*sockets.Poller, socket, sockets.PollEvents) error                          = (*sockets.Poller).Register
	_ func(*sockets.Poller, socket, sockets.PollEvents) error                          = (*sockets.Poller).Modify
	_ func(*sockets.Poller, socket) error                                              = (*sockets.Poller).Unregister
	_ func(*sockets.Poller, time.Duration) ([]sockets.PollDesc, error)                 = (*sockets.Poller).Poll
	_ func(h host, r, w, x []socket, d time.Duration) (rr, ww, xx []socket, err error) = host.Select
	_                                                                                  = sockets.PollDesc{Sock: socket(nil), In: sockets.POLLIN, Out: sockets.POLLOUT}
)

// Package net's interfaces.
var (
	_ func(socket) (net.Conn, error)                                = socket.Conn
	_ func(socket) (net.Listener, error)                            = socket.Listener
	_ func(socket) (net.PacketConn, error)                          = socket.PacketConn
	_ func(host, context.Context, string, string) (net.Conn, error) = host.DialContext
	_ func(host, string, string) (net.Listener, error)              = host.Listen
	_ func(host, string, string) (net.PacketConn, error)            = host.ListenPacket
)

// NSPR's address objects.
var (
	_ func(host, string, family, sockets.AI) (*sockets.AddrInfo, error) = host.NewAddrInfo
	_ func(*sockets.AddrInfo) iter.Seq2[int, naddr]                     = (*sockets.AddrInfo).All
	_ func(*sockets.AddrInfo, int) naddr                                = (*sockets.AddrInfo).At
	_ func(*sockets.AddrInfo) int                                       = (*sockets.AddrInfo).Len
	_ func(*sockets.AddrInfo) string                                    = (*sockets.AddrInfo).CanonicalName
	_ func(*sockets.AddrInfo) string                                    = (*sockets.AddrInfo).Hostname
	_ func(host, string) (*sockets.HostEntry, error)                    = host.NewHostEntry
	_ func(host, naddr) (*sockets.HostEntry, error)                     = host.NewHostEntryFromAddr
	_ func(*sockets.HostEntry) []string                                 = (*sockets.HostEntry).Aliases
	_ func(*sockets.HostEntry) family                                   = (*sockets.HostEntry).Family
	_ func(*sockets.HostEntry, int) naddr                               = (*sockets.HostEntry).NetworkAddress
	_ func(*sockets.HostEntry, int) []naddr                             = (*sockets.HostEntry).NetworkAddresses
	_ func(*sockets.HostEntry) string                                   = (*sockets.HostEntry).Hostname
	_ func(host, string, int, family) (naddr, error)                    = host.NewNetworkAddress
	_ func(host, sockets.IPConst, int, family) (naddr, error)           = host.NetworkAddressOf
	_ func(naddr) string                                                = naddr.Address
	_ func(naddr) family                                                = naddr.Family
	_ func(naddr) (*sockets.HostEntry, error)                           = naddr.HostEntry
	_ func(naddr) string                                                = naddr.Hostname
	_ func(naddr) int                                                   = naddr.Port
	_ func(naddr, int) error                                            = naddr.SetPort
	_ func(naddr, string, family) error                                 = naddr.SetFromString
	_ func(naddr) string                                                = naddr.String
	_                                                                   = []sockets.IPConst{sockets.IPNull, sockets.IPAny, sockets.IPLoopback, sockets.IPV4Mapped}
)

// NSPR's intervals and options.
var (
	_ func() sockets.Interval              = sockets.IntervalNow
	_ func(sockets.Interval) uint32        = sockets.Interval.Microseconds
	_ func(sockets.Interval) uint32        = sockets.Interval.Milliseconds
	_ func(sockets.Interval) uint32        = sockets.Interval.Seconds
	_ func(uint32) sockets.Interval        = sockets.IntervalFromMicroseconds
	_ func(uint32) sockets.Interval        = sockets.IntervalFromMilliseconds
	_ func(uint32) sockets.Interval        = sockets.IntervalFromSeconds
	_ func() uint32                        = sockets.TicksPerSecond
	_ func(sockets.Interval) time.Duration = sockets.Interval.Duration
	_ func(time.Duration) sockets.Interval = sockets.IntervalFromDuration
	_                                      = []sockets.Option{
		sockets.Nonblocking(true), sockets.Linger{On: true, Timeout: time.Second}, sockets.ReuseAddr(true),
		sockets.KeepAlive(true), sockets.RecvBuffer(1), sockets.SendBuffer(1), sockets.TTL(1), sockets.TOS(1),
		sockets.AddMember{Group: naddr(nil), Interface: naddr(nil)}, sockets.DropMember{Group: naddr(nil), Interface: naddr(nil)},
		sockets.McastInterface{Interface: naddr(nil)}, sockets.McastTTL(1), sockets.McastLoop(true), sockets.NoDelay(true),
		sockets.MaxSegment(1), sockets.Broadcast(true),
	}
)

// Errors.
var (
	_                                       = []sockets.SocketError{(*sockets.Error)(nil), (*sockets.GAIError)(nil), (*sockets.HError)(nil)}
	_                                       = sockets.Error{Op: "", Num: sockets.EINVAL, Local: addr(nil), Remote: addr(nil), Msg: "", Err: error(nil)}
	_                                       = sockets.GAIError{Code: sockets.EAI_NONAME, Name: "", Err: error(nil)}
	_                                       = sockets.HError{Code: sockets.HOST_NOT_FOUND, Name: "", Err: error(nil)}
	_                                       = []error{sockets.ErrTimeout, sockets.ErrClosed, sockets.ErrUnsupported}
	_ func(*sockets.Error) sockets.NSPRCode = (*sockets.Error).NSPR
	_ func(sockets.EAI) string              = sockets.GAIStrError
	_ func(sockets.HErr) string             = sockets.HStrError
	_ func(sockets.Errno) string            = sockets.StrError
)

// Forms of addresses.
var (
	_ = []addr{
		sockets.Inet4{Host: "", Port: 0}, sockets.Inet6{Host: "", Port: 0, FlowInfo: uint32(0), ScopeID: uint32(0)},
		sockets.UnixAddr{Name: ""}, sockets.LinkAddr{}, naddr(nil), sockets.NetlinkAddr{PID: uint32(0), Groups: uint32(0)},
		sockets.TIPCAddr{AddrType: 0, V1: 0, V2: 0, V3: 0, Scope: 0},
	}
	_ func(sockets.Inet4) (netip.AddrPort, bool) = sockets.Inet4.AddrPort
	_ func(sockets.Inet6) (netip.AddrPort, bool) = sockets.Inet6.AddrPort
)

// SSL objects.
var (
	_ func(*sockets.SSLObject, []byte) (int, error) = (*sockets.SSLObject).Write
	_ func(*sockets.SSLObject, []byte) (int, error) = (*sockets.SSLObject).Read
	_ func(*sockets.SSLObject, int) ([]byte, error) = (*sockets.SSLObject).ReadN
	_ func(*sockets.SSLObject) ([]byte, error)      = (*sockets.SSLObject).ReadAll
	_ func(*sockets.SSLObject) string               = (*sockets.SSLObject).Server
	_ func(*sockets.SSLObject) string               = (*sockets.SSLObject).Issuer
	_ func(*sockets.SSLObject) error                = (*sockets.SSLObject).Close
	_                                               = sockets.SSLOptions{KeyFile: "", CertFile: "", ServerName: "", RootCAs: nil, InsecureSkipVerify: false, Config: (*tls.Config)(nil)}
)
