package hostnet

import (
	"context"

	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// Drain waits until the machine has all bytes of the connections that the stack
// has ended. The stack's TCP has its acknowledgements from the gateway, so a
// program may have ended while its last bytes are still here. Connections that
// the stack has not ended are not waited for. The error is ctx's.
func (u *Uplink) Drain(ctx context.Context) error {
	for _, cn := range u.tcp.ending() {
		select {
		case <-cn.outDone:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// ending returns the connections whose stack's FIN has come.
func (c *connector) ending() (list []*conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for cn := range c.conns {
		switch tcp.EndpointState(cn.ep.State()) {
		case tcp.StateEstablished, tcp.StateFinWait1, tcp.StateFinWait2:
		default:
			list = append(list, cn)
		}
	}
	return list
}
