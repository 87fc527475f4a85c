package link

import "gvisor.dev/gvisor/pkg/tcpip/stack"

// promiscuous is a link that can hand up frames to other hosts, for packet
// sockets.
type promiscuous interface {
	EnterPromiscuous()
	LeavePromiscuous()
}

var (
	_ promiscuous = (*Ethernet)(nil)
	_ promiscuous = (*Capture)(nil)
	_ promiscuous = (*Impair)(nil)
)

// EnterPromiscuous lets frames to other hosts in until LeavePromiscuous has been
// called as often. Packet sockets alone see them (packet(7),
// PACKET_MR_PROMISC): to the protocols they are none of this host's business.
func (e *Ethernet) EnterPromiscuous() { e.others.Add(1) }

// LeavePromiscuous undoes one EnterPromiscuous.
func (e *Ethernet) LeavePromiscuous() { e.others.Add(-1) }

// EnterPromiscuous and LeavePromiscuous pass the request on to the link below,
// if it knows of it.
func (c *Capture) EnterPromiscuous() { enterPromiscuous(c.lower) }
func (c *Capture) LeavePromiscuous() { leavePromiscuous(c.lower) }

// EnterPromiscuous and LeavePromiscuous pass the request on to the link below,
// if it knows of it. Frames to other hosts are not impaired.
func (i *Impair) EnterPromiscuous() { enterPromiscuous(i.lower) }
func (i *Impair) LeavePromiscuous() { leavePromiscuous(i.lower) }

func enterPromiscuous(lower stack.LinkEndpoint) {
	if l, ok := lower.(promiscuous); ok {
		l.EnterPromiscuous()
	}
}

func leavePromiscuous(lower stack.LinkEndpoint) {
	if l, ok := lower.(promiscuous); ok {
		l.LeavePromiscuous()
	}
}
