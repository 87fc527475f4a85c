package link

import (
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A packetQueue holds packets between the stack that sent them and the one
// goroutine that delivers them. Pushing never waits.
type packetQueue struct {
	limit int           // bytes
	wake  chan struct{} // capacity 1: something was pushed

	mu     sync.Mutex // guards the rest
	items  []queuedPacket
	spare  []queuedPacket // the batch the reader had before, emptied
	bytes  int            // of items and of the batch that the reader has
	taken  int            // of which the reader has
	closed bool
}

type queuedPacket struct {
	pkt     *stack.PacketBuffer // owned
	proto   tcpip.NetworkProtocolNumber
	vouched bool // its checksums need no verification, and may be partial
}

func (q *packetQueue) init(limit int) {
	q.limit = limit
	q.wake = make(chan struct{}, 1)
}

// push appends a packet, or returns false and leaves it with the caller when
// the queue is full or shut. An empty queue takes a packet of any size.
func (q *packetQueue) push(p queuedPacket) bool {
	size := p.pkt.Size()
	q.mu.Lock()
	if q.closed || q.bytes > 0 && q.bytes+size > q.limit {
		q.mu.Unlock()
		return false
	}
	q.bytes += size
	q.items = append(q.items, p)
	first := len(q.items) == 1
	q.mu.Unlock()
	if first {
		select {
		case q.wake <- struct{}{}:
		default: // the reader is already told
		}
	}
	return true
}

// take returns everything queued. The slice is the reader's until its next
// take; the packets are its own.
func (q *packetQueue) take() []queuedPacket {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= q.taken
	q.taken = q.bytes
	batch := q.items
	clear(q.spare)
	q.items, q.spare = q.spare[:0], batch
	return batch
}

// wait blocks until something is queued and returns true, or until done is
// closed and returns false.
func (q *packetQueue) wait(done <-chan struct{}) bool {
	select {
	case <-done:
		return false
	default:
	}
	select {
	case <-q.wake:
		return true
	case <-done:
		return false
	}
}

// shut refuses packets from now on, drops those that wait and says how many.
func (q *packetQueue) shut() (dropped int) {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	rest := q.take()
	for _, p := range rest {
		p.pkt.DecRef()
	}
	return len(rest)
}
