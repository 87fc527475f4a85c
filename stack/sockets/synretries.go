package sockets

import (
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// startConnectLocked calls the endpoint's Connect, after what must precede its
// first SYN.
func (d *description) startConnectLocked(ep tcpip.Endpoint, full tcpip.FullAddress) tcpip.Error {
	if d.phase != connecting {
		if terr := d.takePortLocked(); terr != nil {
			return terr
		}
		d.connectsToLocked(ep, full.Addr)
		d.host.tap.add(d.ep.Load().Endpoint, d) // for the errors that netstack does not know
	}
	terr := d.connectEndpointLocked(ep, full)
	if _, started := terr.(*tcpip.ErrConnectStarted); started {
		d.limitSynsLocked()
	}
	return terr
}

// limitSynsLocked ends a connect after the retries of TCP_SYNCNT. Netstack
// itself sends six, which is Linux's default, and takes no fewer; more have no
// effect.
func (d *description) limitSynsLocked() {
	v := d.recordedLocked(optionKey{SOL_TCP, TCP_SYNCNT})
	if v == nil || intValue(v) >= defaultSynCount {
		return
	}
	// The first SYN is repeated after a second, then each time after twice as
	// long (RFC 6298): n retries last 2^(n+1)-1 seconds.
	limit := time.Duration(1<<(intValue(v)+1)-1) * time.Second
	ep := d.ep.Load()
	d.host.gv.Clock().AfterFunc(limit, func() { d.endSyns(ep) })
}

// endSyns fails the connect that ep is still busy with.
func (d *description) endSyns(ep *endpoint) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ep.Load() != ep || d.phase != connecting || tcp.EndpointState(ep.State()) != tcp.StateSynSent {
		return
	}
	d.setError(ETIMEDOUT)
	ep.Abort()
	d.wq.Notify(waiter.ReadableEvents | waiter.WritableEvents | waiter.EventErr | waiter.EventHUp)
}
