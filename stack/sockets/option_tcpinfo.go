package sockets

import (
	"encoding/binary"
	"math"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/userstack/userstack/stack/internal/flow"
)

// sizeofTCPInfo is that of struct tcp_info in <linux/tcp.h> of Linux 6.18.
const sizeofTCPInfo = 280

// Values of tcpi_ca_state (<linux/tcp.h>).
const (
	caOpen     = 0
	caDisorder = 1
	caRecovery = 3
	caLoss     = 4
)

var caStates = map[tcpip.CongestionControlState]byte{
	tcpip.Open: caOpen, tcpip.Disorder: caDisorder, tcpip.RTORecovery: caLoss,
	tcpip.FastRecovery: caRecovery, tcpip.SACKRecovery: caRecovery,
}

// Bits of tcpi_options (<linux/tcp.h>).
const (
	tcpiTimestamps = 1
	tcpiSACK       = 2
	tcpiWScale     = 4
)

// initialReordering is Linux's net.ipv4.tcp_reordering.
const initialReordering = 3

// getTCPInfo is struct tcp_info. What netstack does not know is 0.
func getTCPInfo(d *description, ep tcpip.Endpoint) ([]byte, Errno) {
	var info tcpip.TCPInfoOption
	if terr := ep.GetSockOpt(&info); terr != nil {
		return nil, errnoOf(terr)
	}
	b := make([]byte, sizeofTCPInfo)
	put := func(offset int, v uint64) { binary.LittleEndian.PutUint32(b[offset:], uint32(min(v, math.MaxUint32))) }
	b[0] = linuxTCPState(ep)
	b[1] = caStates[info.CcState]
	put(8, microseconds(info.RTO))
	put(68, microseconds(info.RTT))
	put(72, microseconds(info.RTTVar))
	put(76, uint64(info.SndSsthresh))
	put(80, uint64(info.SndCwnd))
	put(88, initialReordering)
	put(220, uint64(oneIf(info.ReorderSeen)))
	binary.LittleEndian.PutUint64(b[112:], math.MaxUint64) // tcpi_max_pacing_rate: none
	if tcpConnected(ep) {
		b[5] = tcpiTimestamps | tcpiSACK | tcpiWScale // what netstack always offers
		d.putPath(ep, put)
	} else {
		put(16, defaultMSS)
	}
	if stats, ok := ep.Stats().(*tcp.Stats); ok {
		put(100, stats.SendErrors.Retransmits.Value())
		put(136, stats.SegmentsSent.Value())
		put(140, stats.SegmentsReceived.Value())
	}
	if t := d.traffic.Load(); t != nil {
		binary.LittleEndian.PutUint64(b[128:], t.received.Load())
		binary.LittleEndian.PutUint64(b[200:], t.sent.Load())
	}
	return b, 0
}

// putPath fills in what follows from the route.
func (d *description) putPath(ep tcpip.Endpoint, put func(int, uint64)) {
	set := intValue(d.recorded(optionKey{SOL_TCP, TCP_MAXSEG}))
	mtu, errno := d.peerMTU(ep)
	if errno != 0 {
		return
	}
	put(16, uint64(d.sendMSS(ep, set)))
	put(60, uint64(mtu))
	put(84, uint64(mtu-d.peerHeaders(ep)))
}

func microseconds(t time.Duration) uint64 { return uint64(max(t, 0) / time.Microsecond) }

// linuxTCPState returns Linux's number of the endpoint's state. Netstack's are
// the same for the states that TCP has, and more for its own.
func linuxTCPState(ep tcpip.Endpoint) byte {
	state := tcp.EndpointState(ep.State())
	if state < tcp.StateEstablished || state > tcp.StateClosing || state == tcp.StateTimeWait {
		return TCP_CLOSE // in TIME_WAIT something else holds the place, and the socket is closed
	}
	return byte(state)
}

// timestampSize is what the timestamps option takes of each segment, with its
// padding (RFC 7323 appendix A).
const timestampSize = 12

// sendMSS is how many bytes of data a segment of the connection carries. What
// the peer asked for is known to netstack alone, and is taken to be what the
// path allows.
func (d *description) sendMSS(ep tcpip.Endpoint, set int) int {
	mtu, errno := d.peerMTU(ep)
	if errno != 0 {
		return defaultMSS
	}
	mss := mtu - d.peerHeaders(ep)
	if set != 0 {
		mss = min(mss, set)
	}
	return mss - timestampSize
}

// peerHeaders is the size of the IP and TCP headers without options.
func (d *description) peerHeaders(ep tcpip.Endpoint) int {
	if d.speaksIPv4(ep) {
		return header.IPv4MinimumSize + header.TCPMinimumSize
	}
	return header.IPv6MinimumSize + header.TCPMinimumSize
}

// traffic is how many bytes a stream has carried, for TCP_INFO, and who watches
// it.
type traffic struct {
	sent, received atomic.Uint64
	watch          atomic.Pointer[flow.Flow] // nil: nobody
}

// wrote notes bytes that the connection has taken from the application.
func (t *traffic) wrote(n int64) {
	total := t.sent.Add(uint64(n))
	if f := t.watch.Load(); f != nil {
		f.Wrote(total)
	}
}

// count returns the stream's counters, which idle ones do not have.
func (d *description) count() *traffic {
	t := d.traffic.Load()
	if t == nil {
		t = new(traffic)
		if !d.traffic.CompareAndSwap(nil, t) {
			t = d.traffic.Load()
		}
	}
	return t
}
