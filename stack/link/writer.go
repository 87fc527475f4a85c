package link

import (
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

const (
	// bulkPacket is the size in bytes from which a packet is worth a goroutine
	// that writes it: what a TUN device does with 64 KiB takes about 15 µs, which
	// its sender, who holds the connection's lock, spends on the next; with less
	// than a quarter of that, waking somebody takes as long.
	bulkPacket = 16 << 10

	// maxUnwritten bounds the packets that wait for one queue of the device, in
	// bytes: eight of 64 KiB, so that neither side runs dry while the other has
	// lost its processor for 100 µs.
	maxUnwritten = 512 << 10

	// writeStep is after how many bytes the writer makes room for new ones.
	writeStep = 64 << 10

	// closePatience is how long Close lets a writer finish: a device takes
	// maxUnwritten in less than a millisecond unless it is stuck.
	closePatience = 100 * time.Millisecond
)

// A writer puts packets into one queue of the device, in the order in which
// they come, one goroutine at a time.
//
//	      send, small: the caller writes     none waits
//	free ----------------------------> busy -------------> free
//	      send, bulk: a goroutine writes      (next)
//
// Who comes while it is busy leaves its packets to whoever writes, and waits only
// if there is no room. So a small packet that finds the queue free goes out at
// once, on the stack of its sender; a large one costs its sender no more than the
// hand-over; and packets that nobody waits for leave no goroutine behind.
type writer struct {
	e     *Endpoint
	queue int
	run   func() // drain, bound once: it is started often

	mu      sync.Mutex
	busy    bool                  // somebody writes
	waiting []*stack.PacketBuffer // each with a reference of ours
	bytes   int                   // of those that wait or are being written
	blocked int                   // callers who wait for room
	room    sync.Cond             // bytes has fallen to half of maxUnwritten
	spare   []*stack.PacketBuffer // memory for the next waiting
}

func (w *writer) init(e *Endpoint, queue int) {
	w.e, w.queue = e, queue
	w.run = w.drain
	w.room.L = &w.mu
}

// send writes packets, or has them written.
func (w *writer) send(pkts []*stack.PacketBuffer) {
	size, bulk := 0, false
	for _, pkt := range pkts {
		size += pkt.Size()
		bulk = bulk || pkt.Size() >= bulkPacket
	}
	w.mu.Lock()
	for w.busy && w.bytes > 0 && w.bytes+size > maxUnwritten {
		w.blocked++
		w.room.Wait()
		w.blocked--
	}
	if !w.busy {
		w.busy = true
		if !bulk || !w.e.startWriter(w.run) {
			w.mu.Unlock()
			w.write(pkts, nil)
			w.pass()
			return
		}
	}
	for _, pkt := range pkts {
		w.waiting = append(w.waiting, pkt.IncRef())
	}
	w.bytes += size
	w.mu.Unlock()
	w.e.stats.queued.Add(uint64(len(pkts)))
}

// pass ends the turn of a caller who has written its own packets. It writes what
// came meanwhile if that is little, once, and leaves the rest to a goroutine.
func (w *writer) pass() {
	for again := false; ; again = true {
		w.mu.Lock()
		w.busy = len(w.waiting) > 0
		done := !w.busy || (again || w.bytes >= bulkPacket) && w.e.startWriter(w.run)
		w.mu.Unlock()
		if done || !w.next() {
			return
		}
	}
}

// drain is the goroutine that writes what waits. It ends when nothing does.
func (w *writer) drain() {
	defer w.e.writerEnds()
	for w.next() {
	}
}

// next writes what waits; if nothing does, it ends the turn and returns false.
func (w *writer) next() bool {
	w.mu.Lock()
	pkts := w.waiting
	w.busy = len(pkts) > 0
	if w.busy {
		w.waiting, w.spare = w.spare, nil
	}
	w.mu.Unlock()
	if len(pkts) == 0 {
		return false
	}
	w.write(pkts, w.written)
	w.mu.Lock()
	w.spare = pkts[:0]
	w.mu.Unlock()
	return true
}

// written lets go of packets and makes room for others.
func (w *writer) written(pkts []*stack.PacketBuffer) {
	size := 0
	for i, pkt := range pkts {
		size += pkt.Size()
		pkt.DecRef()
		pkts[i] = nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bytes -= size
	if w.blocked > 0 && w.bytes <= maxUnwritten/2 {
		w.room.Broadcast()
	}
}

// write writes packets to the device. It calls done, if there is one, with those
// that are written, a few at a time.
func (w *writer) write(pkts []*stack.PacketBuffer, done func([]*stack.PacketBuffer)) {
	b := batches.Get().(*batch)
	defer func() { b.reset(); batches.Put(b) }()
	size := 0
	for at, i := 0, 0; i < len(pkts); i++ {
		size += pkts[i].Size()
		w.e.gather(b, pkts[i], w.queue)
		if i+1 < len(pkts) && len(b.packets) < writeBatch && (done == nil || size < writeStep) {
			continue
		}
		w.e.flush(b, w.queue)
		if done != nil {
			done(pkts[at : i+1])
			at, size = i+1, 0
		}
	}
}

// startWriter starts a goroutine that calls run, which ends with writerEnds,
// unless the endpoint is closed.
func (e *Endpoint) startWriter(run func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.writing++
	go run()
	return true
}

func (e *Endpoint) writerEnds() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.writing--
	if e.closed && e.writing == 0 {
		close(e.written)
	}
}

// finishWriting waits for the writers of a closed endpoint, but no longer than
// patience.
func (e *Endpoint) finishWriting() {
	t := time.NewTimer(e.patience)
	defer t.Stop()
	select {
	case <-e.written:
	case <-t.C:
	}
}
