package sockets

import (
	"math/bits"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/waiter"
)

// A message is what one send put into a queue: a datagram, a record, or a piece
// of a stream.
type message struct {
	next *message
	body *letter // nil when empty
	at   int     // bytes of a stream that have been read

	peeked bool // was looked at with MSG_PEEK

	from   *unixSocket // whose buffer it occupies
	charge int         // how much of that

	when    int64          // nanoseconds since 1970, if the receiver wanted to know
	hasCred bool           // the sender said, or was asked, who it is
	rights  []*description // references, which the message owns
}

// rest returns the bytes that have not been read.
func (m *message) rest() []byte { return m.body.bytes()[m.at:] }

var messages = sync.Pool{New: func() any { return new(message) }}

// A messageQueue is a list of messages, oldest first.
type messageQueue struct {
	first, last *message
	n           int // messages
	bytes       int // of theirs that have not been read
}

func (q *messageQueue) push(m *message) {
	if q.first == nil {
		q.first = m
	} else {
		q.last.next = m
	}
	q.last = m
	q.n++
	q.bytes += len(m.rest())
}

func (q *messageQueue) pop() {
	m := q.first
	q.first = m.next
	if q.first == nil {
		q.last = nil
	}
	q.n--
	q.bytes -= len(m.rest())
}

// unread reports whether closing now loses something. Linux does not count an
// empty record that is the next.
func (q *messageQueue) unread() bool {
	m := q.first
	if m != nil && len(m.rest()) == 0 {
		m = m.next
	}
	return m != nil
}

// newMessage takes the next size bytes of r.
func newMessage(r *gather, size int) *message {
	m := messages.Get().(*message)
	if size == 0 {
		return m
	}
	m.body = newLetter(size)
	if cap(m.body.data) < size {
		m.body.data = make([]byte, size)
	}
	m.body.data = m.body.data[:size]
	r.Read(m.body.data)
	return m
}

// deliverLocked puts a message of u's into the queue of another socket.
func (u *unixSocket) deliverLocked(to *unixSocket, m *message, c *unixControl) {
	m.from = u
	if to.d.wantsTimes() {
		m.when = time.Now().UnixNano()
	}
	u.charged += m.charge
	m.hasCred = u.passCred || to.passCred || to.embryo
	if c != nil {
		m.hasCred = m.hasCred || c.hasCred
		u.net.boardLocked(m, c)
	}
	to.queue.push(m)
	to.wakeLocked(waiter.ReadableEvents)
}

// consumeLocked removes the oldest message of u, whose rights have been taken,
// and gives its sender the room back.
//
// A sender is woken, as in Linux, once it has used no more than a quarter of its
// buffer; but also when the reader has nothing left, or a sender whose other
// messages stay in another queue would wait for ever.
func (u *unixSocket) consumeLocked(m *message) {
	u.queue.pop()
	from := m.from
	from.charged -= m.charge
	if from.writableLocked() || u.queue.n == 0 {
		from.wakeLocked(waiter.WritableEvents)
	}
	if !u.connects() && !u.fullLocked() {
		u.unblockLocked()
	}
	m.body.free()
	*m = message{}
	messages.Put(m)
}

// writableLocked is Linux's measure for POLLOUT: three quarters of the buffer
// are free. A message being sent occupies at least one byte.
func (u *unixSocket) writableLocked() bool {
	return u.state != unixListening && 4*(u.charged+1) <= u.sndbuf
}

// What Linux charges for a message: the memory of the packet that carries it.
// The beginning of a datagram is in one piece, which comes in powers of two,
// and what does not fit is in pages; of a long piece of a stream nearly all is
// in pages. TestUnixCharges compares with the kernel.
const (
	cacheLine     = 64
	maxPiece      = 4*pageSize - trailer // SKB_MAX_ALLOC: bytes of a datagram in one piece
	maxFirst      = pageSize - trailer   // SKB_MAX_HEAD: bytes of a stream in one piece
	maxPageBytes  = 17 * pageSize        // MAX_SKB_FRAGS
	maxStreamUnit = maxFirst + 8*pageSize
)

// pieceCharge is the cost of n bytes in one piece.
func pieceCharge(n int) int {
	size := roundUp(n, cacheLine) + trailer
	return descriptor + 1<<bits.Len(uint(size-1))
}

func roundUp(n, unit int) int { return (n + unit - 1) / unit * unit }

func datagramCharge(n int) int {
	inPages := min(roundUp(max(n-maxPiece, 0), pageSize), maxPageBytes)
	return pieceCharge(max(n-inPages, 0)) + inPages
}

func streamCharge(n int) int {
	inPages := min(roundUp(max(n-maxFirst, 0), pageSize), n)
	return pieceCharge(n-inPages) + roundUp(inPages, pageSize)
}
