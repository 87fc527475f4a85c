package sockets

import "gvisor.dev/gvisor/pkg/tcpip"

// QueuedIn returns how many registrations the next Poll of p looks at.
func QueuedIn(p *Poller) int { return p.queued() }

// EndpointOf returns netstack's endpoint under a socket.
func EndpointOf(s *Socket) tcpip.Endpoint { return s.d.endpoint() }

// An OptionRow is what a test must know of a row of the table of options.
type OptionRow struct {
	Level, Name int
	Label       string
	Size        int
	Inherit     bool
	Settable    bool
	Gettable    bool
	Reason      string
}

// OptionRows returns the table of options.
func OptionRows() (rows []OptionRow) {
	for key, o := range options {
		rows = append(rows, OptionRow{key.level, key.name, o.name, o.size, o.target.inherit, o.settable(), o.gettable(), o.reason})
	}
	return rows
}
