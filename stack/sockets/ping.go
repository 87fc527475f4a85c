package sockets

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/ports"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack/internal/translate"
)

// connectEndpointLocked is the endpoint's Connect. A raw or ping socket keeps the
// port, which only getpeername(2) has a use for.
func (d *description) connectEndpointLocked(ep tcpip.Endpoint, full tcpip.FullAddress) tcpip.Error {
	if d.raw == nil {
		return ep.Connect(full)
	}
	connect := ep.Connect
	if d.kind == onPing {
		connect = func(full tcpip.FullAddress) tcpip.Error { return d.connectPing(ep, full) }
	}
	terr := connect(full)
	if terr == nil {
		d.raw.peer.Store(&full)
	}
	return terr
}

// connectPing connects a ping socket. Netstack registers it for each peer that
// it was ever connected to and never takes that back: a second connect to one
// peer fails, and a closed socket keeps its identifiers for ever. So the
// registration before is taken back here.
func (d *description) connectPing(ep tcpip.Endpoint, full tcpip.FullAddress) tcpip.Error {
	before, version, registered := d.pingID(ep)
	t, ok := d.endpoint().(gstack.TransportEndpoint)
	if !ok || !registered {
		return ep.Connect(full)
	}
	gv, versions := d.host.gv, []tcpip.NetworkProtocolNumber{version}
	device := tcpip.NICID(ep.SocketOptions().GetBindToDevice())
	gv.UnregisterTransportEndpoint(versions, d.transport, before, t, ports.Flags{}, device)
	terr := ep.Connect(full)
	if terr != nil {
		// Nobody else can have taken the identifier with these addresses but in
		// this moment; then the socket hears nothing until it is connected.
		gv.RegisterTransportEndpoint(versions, d.transport, before, t, ports.Flags{}, device)
	}
	return terr
}

// pingID returns what netstack has registered a ping socket for, if anything.
func (d *description) pingID(ep tcpip.Endpoint) (gstack.TransportEndpointID, tcpip.NetworkProtocolNumber, bool) {
	info := endpointInfo(ep)
	if info.ID.LocalPort == 0 {
		return gstack.TransportEndpointID{}, 0, false
	}
	version := d.network()
	if info.ID.RemoteAddress.BitLen() > 0 {
		version = translate.Protocol(translate.NetipAddr(info.ID.RemoteAddress))
	}
	return info.ID, version, true
}
