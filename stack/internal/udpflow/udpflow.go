// Package udpflow takes the datagrams of known flows past netstack.
//
// Netstack needs more time for a received datagram than everything else
// together: it makes a packet, walks through IP, raw and packet sockets, tables
// of filters and endpoints, and queues the packet, only for the socket to take
// it out again at once. What it finds is the same for each datagram of a flow.
//
// A Link goes between a stack and a link, and remembers where netstack delivers:
//
//	flows := udpflow.NewTable(gv)
//	gv.CreateNIC(2, flows.NewLink(lower, 2))
//
// A socket that has been given a datagram by netstack offers to take the flow's
// next ones itself (Table.Offer), and the Link then hands them over as they come
// (Receiver), several at once where the link below has them in one piece.
//
// # How it works
//
// A flow is an interface and both addresses and ports. It is confirmed when
// netstack has delivered one of its datagrams to the socket that offered. The
// confirmation is good for a second, and for as long as nothing changes that
// netstack's answer depends on: whatever binds, connects, replaces or closes a
// UDP socket calls Table.Forget, which ends all confirmations. Then one datagram
// of each flow goes through netstack again.
//
// Only what is simple is taken past: unicast datagrams that are not fragments,
// over IPv4 without options or IPv6 without extension headers, whose lengths and
// checksums are right, and which no filter, raw or packet socket wants to see
// (Table.Pause). Everything else is netstack's.
//
// # Limits
//
// A second is how long it may go unnoticed that somebody has changed netstack
// itself, past this module: an endpoint of his own on the same port, iptables, an
// address that is gone.
package udpflow

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	buckets = 256         // a power of two
	ways    = 4           // flows in a bucket
	trusted = time.Second // how long a confirmation is good
)

// A Key names a flow as the receiving host sees it. Addresses are not IPv4-mapped
// and have no zones.
type Key struct {
	NIC  tcpip.NICID
	From netip.AddrPort
	To   netip.AddrPort
}

// A Receiver takes datagrams of a flow that it has offered to take.
type Receiver interface {
	// ReceiveFlow takes them, or reports that netstack is to have them. It must
	// not keep the payload, nor wait.
	ReceiveFlow(f *Flow, d Datagrams) bool
}

// Datagrams are one or several of one flow, with equal headers.
type Datagrams struct {
	Payload [][]byte // in pieces
	Size    int      // of the payload, in bytes
	Segment int      // bytes of each datagram but the last; 0 when there is only one
	TOS     uint8    // or the traffic class
	TTL     uint8    // or the hop limit
	When    time.Time
}

// Count is how many datagrams there are.
func (d *Datagrams) Count() int {
	if d.Segment == 0 {
		return 1
	}
	return (d.Size + d.Segment - 1) / d.Segment
}

// A Flow is a flow that somebody has offered to take.
type Flow struct {
	Key
	receiver Receiver
	armed    atomic.Uint64 // generation of the table when a datagram last went to netstack
	good     atomic.Uint64 // generation that the confirmation is of, 0 = none
	until    atomic.Int64  // end of the confirmation, nanoseconds since 1970
}

// A Table is the flows of one stack.
type Table struct {
	gv         *stack.Stack
	seed       maphash.Seed
	generation atomic.Uint64 // never 0
	paused     atomic.Int32
	flows      atomic.Int32 // how many places are taken
	taken      atomic.Uint64
	next       atomic.Uint32
	table      [buckets][ways]atomic.Pointer[Flow]

	packets []*tcpip.StatCounter // netstack's, that count received datagrams
	bytes   *tcpip.StatCounter
}

// NewTable returns the table of a stack.
func NewTable(gv *stack.Stack) *Table {
	t := &Table{gv: gv, seed: maphash.MakeSeed()}
	t.generation.Store(1)
	s := gv.Stats()
	t.packets = []*tcpip.StatCounter{
		s.NICs.Rx.Packets, s.IP.PacketsReceived, s.IP.ValidPacketsReceived, s.IP.PacketsDelivered, s.UDP.PacketsReceived,
	}
	t.bytes = s.NICs.Rx.Bytes
	return t
}

// Taken returns how many datagrams went past netstack.
func (t *Table) Taken() uint64 { return t.taken.Load() }

// Forget ends all confirmations: netstack may deliver elsewhere from now on.
func (t *Table) Forget() { t.generation.Add(1) }

// Pause sends everything through netstack until Resume is called as often.
func (t *Table) Pause() { t.paused.Add(1) }

// Resume ends a Pause.
func (t *Table) Resume() {
	t.Forget()
	t.paused.Add(-1)
}

func (t *Table) bucket(k Key) *[ways]atomic.Pointer[Flow] {
	return &t.table[maphash.Comparable(t.seed, k)%buckets]
}

// find returns a flow, or nil.
func (t *Table) find(k Key) *Flow {
	bucket := t.bucket(k)
	for i := range bucket {
		if f := bucket[i].Load(); f != nil && f.Key == k {
			return f
		}
	}
	return nil
}

// Confirm is called by a socket for each datagram that netstack delivers to it,
// and reports whether it has offered to take the flow's.
func (t *Table) Confirm(k Key, r Receiver) bool {
	f := t.find(k)
	if f == nil || f.receiver != r {
		return false
	}
	if armed := f.armed.Load(); armed != 0 {
		f.until.Store(t.gv.Clock().Now().Add(trusted).UnixNano())
		f.good.Store(armed)
	}
	return true
}

// Offer makes a flow a socket's to receive, once it is confirmed. The local
// address must be one of the stack's own.
func (t *Table) Offer(k Key, r Receiver) {
	bucket := t.bucket(k)
	f := &Flow{Key: k, receiver: r}
	place := int(t.next.Add(1) % ways)
	for i := range bucket {
		if old := bucket[i].Load(); old == nil || old.Key == k {
			place = i
			break
		}
	}
	if bucket[place].Swap(f) == nil {
		t.flows.Add(1)
	}
}

// Drop forgets the flows of a receiver, which is going away.
func (t *Table) Drop(r Receiver) {
	t.Forget()
	if t.flows.Load() == 0 {
		return
	}
	for b := range t.table {
		for i := range t.table[b] {
			if f := t.table[b][i].Load(); f != nil && f.receiver == r && t.table[b][i].CompareAndSwap(f, nil) {
				t.flows.Add(-1)
			}
		}
	}
}
