package link

const (
	// readBatch is how many packets one Read may bring, at first.
	readBatch = 8

	// mergeBatch is how many it may bring where packets are merged, once a Read
	// has brought as many as it might: a packet of 64 KiB makes 46 for an MTU of
	// 1500. Their buffers are 4 MiB.
	mergeBatch = 64
)

// A frameBatch is what one Read fills.
type frameBatch struct {
	frames  []frame
	packets [][][]byte // the scatter list of each frame
	sizes   []int
	keep    [len(frameSizes)]viewKeeper
}

// grow adds n frames. All are to be refilled.
func (b *frameBatch) grow(n int) {
	n += len(b.frames)
	b.frames = append(make([]frame, 0, n), b.frames...)[:n]
	b.packets, b.sizes = make([][][]byte, n), make([]int, n)
	for i, size := range frameSizes {
		b.keep[i].size = size
	}
	for i := range b.frames {
		b.frames[i].keep = &b.keep
	}
}

// refill makes the first n frames ready for the next Read; it is enough for
// those that the last Read has filled.
func (b *frameBatch) refill(n int) {
	for i := range n {
		b.packets[i] = b.frames[i].refill()
	}
}

func (b *frameBatch) release() {
	for i := range b.frames {
		b.frames[i].release()
	}
	for i := range b.keep {
		b.keep[i].release()
	}
}
