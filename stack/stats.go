package stack

// Stats are counters of a whole stack since it was made.
type Stats struct {
	IP  IPStats
	TCP TCPStats
	UDP UDPStats
}

// IPStats counts IPv4 and IPv6 packets together.
type IPStats struct {
	Received, Sent, Delivered uint64
	Malformed                 uint64 // headers that made no sense
	NotForUs                  uint64 // destination is not an address of the stack
}

// TCPStats counts connections and segments.
type TCPStats struct {
	ActiveOpens, PassiveOpens uint64 // connections made by connect and by accept
	Established               uint64 // open now
	Received, Sent            uint64 // segments
	Retransmits, Timeouts     uint64
	Resets                    uint64 // sent and received
	BadSegments               uint64 // malformed or with a wrong checksum
}

// UDPStats counts datagrams.
type UDPStats struct {
	Received, Sent uint64
	NoPort         uint64 // nobody listened
	Dropped        uint64 // the socket's receive buffer was full
	BadDatagrams   uint64 // malformed or with a wrong checksum
}

// Stats returns the counters as they are now. They are read one by one, so
// sums across fields need not be exact while packets flow.
func (s *Stack) Stats() Stats {
	g := s.gv.Stats()
	return Stats{
		IP: IPStats{
			Received:  g.IP.PacketsReceived.Value(),
			Sent:      g.IP.PacketsSent.Value(),
			Delivered: g.IP.PacketsDelivered.Value(),
			Malformed: g.IP.MalformedPacketsReceived.Value(),
			NotForUs:  g.IP.InvalidDestinationAddressesReceived.Value(),
		},
		TCP: TCPStats{
			ActiveOpens:  g.TCP.ActiveConnectionOpenings.Value(),
			PassiveOpens: g.TCP.PassiveConnectionOpenings.Value(),
			Established:  g.TCP.CurrentEstablished.Value(),
			Received:     g.TCP.ValidSegmentsReceived.Value(),
			Sent:         g.TCP.SegmentsSent.Value(),
			Retransmits:  g.TCP.Retransmits.Value(),
			Timeouts:     g.TCP.Timeouts.Value(),
			Resets:       g.TCP.ResetsSent.Value() + g.TCP.ResetsReceived.Value(),
			BadSegments:  g.TCP.InvalidSegmentsReceived.Value() + g.TCP.ChecksumErrors.Value(),
		},
		UDP: UDPStats{
			Received:     g.UDP.PacketsReceived.Value(),
			Sent:         g.UDP.PacketsSent.Value(),
			NoPort:       g.UDP.UnknownPortErrors.Value(),
			Dropped:      g.UDP.ReceiveBufferErrors.Value(),
			BadDatagrams: g.UDP.MalformedPacketsReceived.Value() + g.UDP.ChecksumErrors.Value(),
		},
	}
}
