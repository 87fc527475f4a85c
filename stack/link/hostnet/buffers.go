package hostnet

import "sync"

// bufferPool lends buffers of one size.
type bufferPool struct {
	size int
	pool sync.Pool
}

func newBufferPool(size int) *bufferPool {
	p := &bufferPool{size: size}
	p.pool.New = func() any {
		b := make([]byte, size)
		return &b
	}
	return p
}

func (p *bufferPool) get() *[]byte  { return p.pool.Get().(*[]byte) }
func (p *bufferPool) put(b *[]byte) { p.pool.Put(b) }

// Sizes of buffers in bytes. A connection waits for the network with a small
// one, which is all that it costs while it is idle, and takes larger ones while
// they come back full.
const (
	smallBuffer  = 4 << 10
	mediumBuffer = 32 << 10
	largeBuffer  = 256 << 10
)

var (
	largeBuffers = newBufferPool(largeBuffer)
	sizes        = [...]*bufferPool{newBufferPool(smallBuffer), newBufferPool(mediumBuffer), largeBuffers}
)

// datagrams are buffers that any UDP datagram fits into.
var datagrams = newBufferPool(maxMTU)

// nextSize chooses the size of the next buffer by how much of this one was used.
func nextSize(size, used, of int) int {
	switch {
	case used == of && size+1 < len(sizes):
		return size + 1
	case used < of/4 && size > 0:
		return size - 1
	}
	return size
}
