package hostnet

import "sync/atomic"

// Stats counts what an uplink has done, and what it has open.
type Stats struct {
	Conns          int    // TCP connections open
	Dials          int    // TCP connections being made
	Flows          int    // UDP and ICMP flows open
	Connects       uint64 // TCP connections made
	ConnectsFailed uint64 // TCP connections that the network or the policy did not let be made
	Abandoned      uint64 // TCP connections made that the stack no longer wanted
	Accepted       uint64 // TCP connections that came in by Publish
	Resets         uint64 // TCP connections that a reset ended
	ConnsFull      uint64 // SYNs dropped: MaxConns
	DialsEvicted   uint64 // attempts ended to make room: MaxDials
	FlowsEvicted   uint64 // flows ended to make room: MaxFlows
	BytesOut       uint64 // of TCP, from the stack
	BytesIn        uint64 // of TCP, to the stack
	DatagramsOut   uint64 // of UDP and ICMP, from the stack
	DatagramsIn    uint64 // of UDP and ICMP, to the stack
	DatagramsLost  uint64 // datagrams of the stack that no socket took
	ErrorsIn       uint64 // ICMP errors sent to the stack
	Refused        uint64 // destinations that the policy refused
}

type counters struct {
	connects, connectsFailed, abandoned, accepted, resets, connsFull, dialsEvicted, flowsEvicted atomic.Uint64
	bytesOut, bytesIn, datagramsOut, datagramsIn, datagramsLost, errorsIn, refused               atomic.Uint64
}

// Stats returns the counters so far.
func (u *Uplink) Stats() Stats {
	c := &u.stats
	s := Stats{
		Connects: c.connects.Load(), ConnectsFailed: c.connectsFailed.Load(), Abandoned: c.abandoned.Load(),
		Accepted: c.accepted.Load(), Resets: c.resets.Load(), ConnsFull: c.connsFull.Load(),
		DialsEvicted: c.dialsEvicted.Load(), FlowsEvicted: c.flowsEvicted.Load(),
		BytesOut: c.bytesOut.Load(), BytesIn: c.bytesIn.Load(),
		DatagramsOut: c.datagramsOut.Load(), DatagramsIn: c.datagramsIn.Load(), DatagramsLost: c.datagramsLost.Load(),
		ErrorsIn: c.errorsIn.Load(), Refused: c.refused.Load(),
	}
	s.Conns, s.Dials = u.tcp.count()
	s.Flows = u.udp.count()
	return s
}
