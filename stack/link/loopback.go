package link

import (
	"gvisor.dev/gvisor/pkg/tcpip/link/loopback"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// NewLoopback returns a link that hands every packet back to the stack that
// sent it, for an interface like "lo". Its MTU is 65536, its Close and Wait do
// nothing, and it may be shared with nothing.
//
// It is gVisor's own: netstack calls it with no lock that receiving needs, and
// recognises CapabilityLoopback, without which 127.0.0.1 is a martian.
func NewLoopback() stack.LinkEndpoint { return loopback.New() }
