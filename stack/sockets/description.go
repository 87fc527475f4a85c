package sockets

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// A description is what POSIX calls an open file description: the state that
// descriptors made by Dup share. It outlives its endpoints: netstack's cannot be
// used again after a failed connect or listen, Linux's can, so the description
// replaces its endpoint and plays back what was set on it (T3).
type description struct {
	host        *Host
	*socketKind // as given to Host.Socket
	transport   tcpip.TransportProtocolNumber
	kind        sockets // exactly one bit: what options and calls it has

	// Small fields stand together; see TestIdleSocketIsSmall.
	phase          phase     // what connect(2) has told; guarded by mu
	path           pathState // guarded by mu; see shortpath.go
	refs           atomic.Int32
	soErr          atomic.Int32  // an Errno that no call has told yet; see pending.go
	rdShut, wrShut atomic.Bool   // Shutdown
	ghost          atomic.Uint32 // port that the socket had before it was unbound; see localAddr
	sendRules      atomic.Uint32 // options that sending asks for; see sendrules.go

	wq *waiter.Queue // the same for every endpoint of the description
	ep atomic.Pointer[endpoint]

	timeout atomic.Int64 // time.Duration: NoTimeout, 0 = non-blocking, or the limit

	in   *inbox      // received datagrams; nil for a socket of streams
	unix *unixSocket // of an AF_UNIX socket, which has no endpoint

	messageState // what option_message.go has set

	reading readahead            // of a stream
	rare    atomic.Pointer[rare] // nil until something of it is set

	raw   *rawState                 // of raw and ping sockets, else nil
	multi atomic.Pointer[multicast] // nil until a multicast option is set

	traffic atomic.Pointer[traffic] // of a stream, once there was any

	mu     sync.Mutex
	bound  netip.AddrPort // explicit Bind, with the port that it got
	kept   *netip.Addr    // of an accepted connection, nil for none; see keptAddr
	record []setOption    // options set, to replay on a new endpoint
}

// endpoint makes an interface fit for an atomic pointer.
type endpoint struct{ tcpip.Endpoint }

func (d *description) isTCP() bool { return d.kind == onTCP }

// network returns the protocol of the endpoint itself. An AF_INET6 endpoint
// carries IPv4 as well unless IPV6_V6ONLY is set.
func (d *description) network() tcpip.NetworkProtocolNumber {
	if d.family == AF_INET {
		return header.IPv4ProtocolNumber
	}
	return header.IPv6ProtocolNumber
}

// socketKind is a row of the table of sockets that a Host can make.
type socketKind struct {
	family Family
	typ    Type
	proto  Protocol // the number that 0 stands for as well
}

// kinds are the sockets that exist. Ping sockets (icmp(7)) must be asked for by
// number.
var kinds = map[socketKind]struct {
	kind      sockets
	transport tcpip.TransportProtocolNumber
}{
	{AF_INET, SOCK_STREAM, IPPROTO_TCP}:    {onTCP, tcp.ProtocolNumber},
	{AF_INET6, SOCK_STREAM, IPPROTO_TCP}:   {onTCP, tcp.ProtocolNumber},
	{AF_INET, SOCK_STREAM, IPPROTO_SEC}:    {onTCP, tcp.ProtocolNumber},
	{AF_INET6, SOCK_STREAM, IPPROTO_SEC}:   {onTCP, tcp.ProtocolNumber},
	{AF_INET, SOCK_DGRAM, IPPROTO_UDP}:     {onUDP, udp.ProtocolNumber},
	{AF_INET6, SOCK_DGRAM, IPPROTO_UDP}:    {onUDP, udp.ProtocolNumber},
	{AF_INET, SOCK_DGRAM, IPPROTO_ICMP}:    {onPing, icmp.ProtocolNumber4},
	{AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6}: {onPing, icmp.ProtocolNumber6},
}

// sharedKinds are the kinds of most sockets, which share them.
var sharedKinds = func() map[socketKind]*socketKind {
	shared := make(map[socketKind]*socketKind)
	for k := range kinds {
		asDefault := socketKind{k.family, k.typ, 0}
		shared[k], shared[asDefault] = &k, &asDefault
	}
	return shared
}()

func kindOf(f Family, t Type, p Protocol) *socketKind {
	k := socketKind{f, t, p}
	if shared := sharedKinds[k]; shared != nil {
		return shared
	}
	own := k // on the heap only here
	return &own
}

var defaultProtocol = map[Type]Protocol{SOCK_STREAM: IPPROTO_TCP, SOCK_DGRAM: IPPROTO_UDP}

// checkKind checks the arguments of socket(2) in Linux's order and completes d.
func (d *description) checkKind() error {
	f, t, p := d.family, d.typ, d.proto
	switch {
	case f < 0 || f >= maxFamily:
		return refuseFamily(f)
	case t < 0 || t >= maxType:
		return &Error{Op: "socket", Num: EINVAL}
	case f == AF_UNIX:
		return d.checkUnix()
	case f == AF_PACKET:
		return d.checkPacketKind()
	case f != AF_INET && f != AF_INET6:
		return refuseFamily(f)
	case p < 0 || p >= maxProtocol:
		return &Error{Op: "socket", Num: EINVAL}
	case t == SOCK_RAW:
		return d.checkRawKind()
	case t != SOCK_STREAM && t != SOCK_DGRAM:
		return &Error{Op: "socket", Num: ESOCKTNOSUPPORT}
	}
	if p == 0 {
		p = defaultProtocol[t]
	}
	k, ok := kinds[socketKind{f, t, p}]
	if !ok {
		return &Error{Op: "socket", Num: EPROTONOSUPPORT}
	}
	d.kind, d.transport = k.kind, k.transport
	if d.kind == onPing {
		d.raw = new(rawState)
	}
	return nil
}

// newDescription returns a description with one reference and a fresh
// endpoint.
func (h *Host) newDescription(f Family, t Type, p Protocol) (*description, error) {
	d := &description{host: h, socketKind: kindOf(f, t, p), wq: new(waiter.Queue)}
	if err := d.checkKind(); err != nil {
		return nil, err
	}
	if f == AF_UNIX {
		return h.newUnix(t, p), nil
	}
	ep, terr := d.newEndpoint()
	if terr != nil {
		return nil, &Error{Op: "socket", Num: errnoOf(terr)}
	}
	d.init(ep)
	return d, nil
}

// adopt returns a description for an endpoint that Accept gave, with the
// listener's options, as Linux's accepted sockets have them.
func (d *description) adopt(ep tcpip.Endpoint, wq *waiter.Queue) *description {
	n := &description{host: d.host, socketKind: d.socketKind, kind: d.kind, transport: d.transport, wq: wq}
	n.phase, n.kept = connected, d.keptAddr(ep)
	n.rdShut.Store(d.rdShut.Load()) // set before it listened
	n.setRule(noDelay, d.rules(noDelay))
	n.init(ep)
	n.record = d.inherited()
	n.replay(ep)
	return n
}

// keptAddr is the address that an accepted connection keeps without its port:
// the local one, if the listener was bound to an address.
func (d *description) keptAddr(ep tcpip.Endpoint) *netip.Addr {
	d.mu.Lock()
	defer d.mu.Unlock()
	local, terr := ep.GetLocalAddress()
	if terr != nil || !d.bound.IsValid() || d.bound.Addr().Unmap().IsUnspecified() {
		return nil
	}
	addr := addrPort(local).Addr()
	return &addr
}

func (d *description) init(ep tcpip.Endpoint) {
	d.refs.Store(1)
	d.timeout.Store(d.host.defaultTimeout.Load())
	d.setDefaults(ep)
	d.ep.Store(&endpoint{ep})
	if d.kind&onDatagram != 0 {
		d.newInbox()
		d.joinFlows()
		d.in.NotifyEvent(waiter.ReadableEvents) // raw and packet endpoints receive since they were made
	}
}

func (d *description) newEndpoint() (tcpip.Endpoint, tcpip.Error) {
	switch d.kind {
	case onRaw:
		return d.newRawEndpoint()
	case onPacket:
		return d.newPacketEndpoint()
	}
	return d.host.gv.NewEndpoint(d.transport, d.network(), d.wq)
}

// setDefaults gives a fresh endpoint Linux's defaults where netstack's differ.
func (d *description) setDefaults(ep tcpip.Endpoint) {
	if d.isTCP() {
		ep.SocketOptions().SetDelayOption(!d.rules(noDelay)) // Nagle is on unless turned off (T17)
	} else {
		askForEverything(ep.SocketOptions())
		d.host.tap.add(ep, d)
	}
	if d.raw != nil {
		ep.SocketOptions().SetReuseAddress(true) // so Linux's raw and ping sockets start
	}
}

// replaceLocked puts a fresh endpoint in the place of one that cannot be used
// again, bound as the socket was and with its options, and resets the connection
// that the old one has. Waiters stay in the queue, and the pending error stays.
// When the port has been taken meanwhile, a TCP socket stays without it until
// reclaimLocked succeeds, and others become unbound.
func (d *description) replaceLocked() { d.replaceAsLocked(0) }

// replaceAsLocked is replaceLocked that leaves a pending error, unless errno
// is 0.
func (d *description) replaceAsLocked(errno Errno) {
	if d.refs.Load() <= 0 {
		return // closed meanwhile: release has closed the endpoint, or is about to
	}
	old := d.ep.Load()
	ep, terr := d.newEndpoint()
	if terr != nil {
		return // only an unregistered protocol: cannot happen after init
	}
	if errno != 0 {
		d.soErr.Store(int32(errno))
	}
	d.setDefaults(ep)
	d.replay(ep)
	d.phase, d.path = unconnected, 0
	d.rdShut.Store(false)
	d.wrShut.Store(false)
	// From here on the old endpoint's end, which it notifies, is nobody's
	// business: who is woken by it must find the new one.
	d.ep.Store(&endpoint{ep})
	local, _ := old.GetLocalAddress()
	d.host.tap.remove(old.Endpoint)
	if d.isTCP() {
		old.Abort()
	}
	old.Close()
	if d.bound.IsValid() && d.reclaimLocked() != 0 && !d.isTCP() {
		d.bound = netip.AddrPort{}
	}
	if !d.bound.IsValid() && local.Port != 0 {
		d.ghost.Store(uint32(local.Port))
	}
	d.forgetFlows()
	if d.in != nil {
		d.in.NotifyEvent(waiter.ReadableEvents) // what has come since it was bound
	}
	d.wq.Notify(lookAgain)
}

// release drops a reference. The last one closes the endpoint, after the time
// that SO_LINGER asks for.
func (d *description) release() {
	left := d.refs.Add(-1)
	if d.unix != nil {
		d.unix.released(left == 0)
		return
	}
	if left > 0 {
		return
	}
	d.mu.Lock() // from here on replaceLocked leaves the endpoint alone
	ep := d.ep.Load()
	d.leaveAll()
	if d.kind == onPacket {
		d.leaveAllPackets()
	}
	d.wrShut.Store(true)
	d.mu.Unlock()
	d.letGo(ep.Endpoint)
	d.host.tap.remove(ep.Endpoint)
	if d.ahead() > 0 {
		ep.Abort() // as for unread data that the endpoint still has
	}
	ep.Close()
	d.host.closedFirst.add(ep.Endpoint)
	if d.in != nil {
		d.in.close()
		d.leaveFlows()
	}
	if l := ep.SocketOptions().GetLinger(); d.isTCP() && l.Enabled && l.Timeout > 0 && d.timeout.Load() != 0 {
		d.linger(ep, l.Timeout)
	}
}

// abort is release without grace, whoever else has a reference.
func (d *description) abort() {
	if d.unix == nil {
		d.ep.Load().Abort()
	}
	d.release()
}

// tcpConnected reports whether the endpoint has a connection, in any state from
// ESTABLISHED to TIME_WAIT.
func tcpConnected(ep tcpip.Endpoint) bool {
	switch tcp.EndpointState(ep.State()) {
	case tcp.StateEstablished, tcp.StateFinWait1, tcp.StateFinWait2, tcp.StateTimeWait,
		tcp.StateCloseWait, tcp.StateLastAck, tcp.StateClosing:
		return true
	}
	return false
}

// tcpGone reports whether both sides have closed, after which Linux has no peer
// name (T16).
func tcpGone(ep tcpip.Endpoint) bool {
	return tcp.EndpointState(ep.State()) == tcp.StateTimeWait
}
