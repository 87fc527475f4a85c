package sockets

import (
	"net/netip"
	"runtime"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/userstack/userstack/stack/internal/translate"
	"github.com/userstack/userstack/stack/internal/udpflow"
)

// Datagrams of flows that netstack has shown to be a socket's come straight into
// its inbox; see package udpflow. What a socket is given is the same on both
// ways.

// flowEvent is what is notified of them: whoever waits to read hears it, the inbox
// does not.
const flowEvent = waiter.EventRdNorm

// joinFlows is for a new socket. One that sees the datagrams of others needs them
// to go through netstack.
func (d *description) joinFlows() {
	if d.seesOthers() {
		d.host.stack.UDPFlows().Pause()
	}
}

// leaveFlows is for a socket that is closed.
func (d *description) leaveFlows() {
	switch {
	case d.seesOthers():
		d.host.stack.UDPFlows().Resume()
	case d.kind == onUDP:
		d.host.stack.UDPFlows().Drop(d.in)
	}
}

func (d *description) seesOthers() bool {
	return d.kind == onPacket || d.kind == onRaw && d.transport == header.UDPProtocolNumber
}

// forgetFlows follows whatever changes which datagrams come to the socket, or to
// others in its place.
func (d *description) forgetFlows() {
	if d.kind == onUDP {
		d.host.stack.UDPFlows().Forget()
	}
}

// learn confirms the flow of a datagram that netstack has delivered, or offers to
// take it from the second datagram of one sender on: most senders of one have
// nothing more to say.
func (in *inbox) learn(dg *datagram) {
	key := udpflow.Key{NIC: dg.nic, From: flowAddress(dg.from), To: flowAddress(dg.dst)}
	flows := in.d.host.stack.UDPFlows()
	if in.learned && flows.Confirm(key, in) {
		return
	}
	again := dg.from == in.fed
	in.fed = dg.from
	if again && isUnicast(key.To.Addr()) && !needsZone(key.From.Addr()) && in.d.host.isOwn(translate.Addr(key.To.Addr())) {
		in.learned = true
		flows.Offer(key, in)
	}
}

func flowAddress(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// ReceiveFlow implements udpflow.Receiver.
func (in *inbox) ReceiveFlow(f *udpflow.Flow, ds udpflow.Datagrams) bool {
	d := in.d
	if d.rdShut.Load() || in.filter.Load() != nil {
		return false
	}
	dg := datagram{
		from: f.From, dst: f.To, nic: f.NIC, v6: f.To.Addr().Is6(),
		tos: ds.TOS, ttl: ds.TTL, when: ds.When.UnixNano(),
	}
	in.feeding.Lock() // what netstack was given before goes first
	taken, full := in.putFlow(&dg, &ds)
	in.feeding.Unlock()
	if !taken {
		return false
	}
	d.wq.Notify(flowEvent)
	if full {
		runtime.Gosched() // to whoever reads, before what comes next has to be dropped
	}
	return true
}

// putFlow queues what there is room for. With UDP_GRO datagrams that came in one
// piece stay so, and are charged so, as on Linux. It reports whether the socket is
// open, and whether more than half of SO_RCVBUF is in use.
func (in *inbox) putFlow(dg *datagram, ds *udpflow.Datagrams) (taken, full bool) {
	step := ds.Size
	if ds.Segment > 0 && !in.d.asked(askTogether) {
		step = ds.Segment
	} else {
		dg.segment = ds.Segment
	}
	payload := pieces{rest: ds.Payload}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.ended {
		return false, false
	}
	for left := ds.Size; ; {
		size := min(step, left)
		many := 1
		if dg.segment > 0 {
			many = ds.Count()
		}
		if in.hasRoomLocked(size, many) {
			dg.body = payload.letter(size)
			in.pushLocked(dg)
		} else {
			payload.skip(size)
		}
		if left -= size; left == 0 {
			return true, in.used > in.d.inboxSize()/2
		}
	}
}

// pieces reads a payload that is in several places.
type pieces struct{ rest [][]byte }

// letter returns the next n bytes in a letter, nil for none.
func (p *pieces) letter(n int) *letter {
	if n == 0 {
		return nil
	}
	l := newLetter(n)
	p.each(n, func(b []byte) { l.data = append(l.data, b...) })
	return l
}

func (p *pieces) skip(n int) { p.each(n, func([]byte) {}) }

// each hands the next n bytes on.
func (p *pieces) each(n int, use func([]byte)) {
	for n > 0 && len(p.rest) > 0 {
		b := p.rest[0]
		b = b[:min(n, len(b))]
		use(b)
		n -= len(b)
		if p.rest[0] = p.rest[0][len(b):]; len(p.rest[0]) == 0 {
			p.rest = p.rest[1:]
		}
	}
}
