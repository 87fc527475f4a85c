package load

import "sync/atomic"

// Counts is what an end has counted since it began. Bytes are those of the application, in the direction seen from the
// end that counts.
type Counts struct {
	BytesIn    uint64    `json:"bytes_in,omitempty"`
	BytesOut   uint64    `json:"bytes_out,omitempty"`
	PacketsIn  uint64    `json:"packets_in,omitempty"` // datagrams
	PacketsOut uint64    `json:"packets_out,omitempty"`
	Done       uint64    `json:"done,omitempty"` // round trips, or connections that were served and closed
	Idle       uint64    `json:"idle,omitempty"` // connections that wait
	Failed     uint64    `json:"failed,omitempty"`
	Error      string    `json:"error,omitempty"` // the first failure
	Latency    Latencies `json:"latency,omitzero"`
}

// counter is Counts in the making.
type counter struct {
	bytesIn, bytesOut, packetsIn, packetsOut, done, idle, failed atomic.Uint64
	first                                                        atomic.Pointer[string]
	latency                                                      Histogram
}

func (c *counter) fail(err error) {
	c.failed.Add(1)
	text := err.Error()
	c.first.CompareAndSwap(nil, &text)
}

func (c *counter) counts() Counts {
	n := Counts{
		BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		PacketsIn: c.packetsIn.Load(), PacketsOut: c.packetsOut.Load(),
		Done: c.done.Load(), Idle: c.idle.Load(), Failed: c.failed.Load(),
		Latency: c.latency.Snapshot(),
	}
	if first := c.first.Load(); first != nil {
		n.Error = *first
	}
	return n
}
