package sockets

import (
	"gvisor.dev/gvisor/pkg/tcpip"

	"github.com/userstack/userstack/stack/internal/translate"
)

// viaGateway reports whether the route to dst leads through a gateway, which
// SO_DONTROUTE does not want.
func (d *description) viaGateway(dst tcpip.FullAddress) bool {
	addr := translate.Addr(translate.NetipAddr(dst.Addr).Unmap())
	for _, r := range d.host.gv.GetRouteTable() { // the first that matches is taken
		if r.Destination.Contains(addr) && (dst.NIC == 0 || dst.NIC == r.NIC) {
			return r.Gateway.Len() > 0
		}
	}
	return false
}
