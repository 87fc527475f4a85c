package link

import (
	"gvisor.dev/gvisor/pkg/buffer"
)

// frameSizes are the pooled buffers that one frame is read into, in order, in
// bytes. Each is a size that gVisor pools, so that it comes filled to the
// brim. An ordinary packet takes the first one alone and a coalesced segment
// takes them all; what a packet leaves untouched serves the next one. All but
// the first, whose headers netstack wants for itself alone, come from a
// viewKeeper.
var frameSizes = [...]int{2048, 16384, 16384, 32768}

// frameCapacity is the largest frame: 65535 bytes of IP and a link header fit.
const frameCapacity = 2048 + 16384 + 16384 + 32768

// copyBelow is the size under which a packet is copied out instead of handed
// on with its buffer, in bytes: a 40-byte segment that waits in a queue must
// not hold 2 KiB (Linux drivers' rx_copybreak is 256).
const copyBelow = 256

// A frame is the memory that one frame is read into.
type frame struct {
	keep   *[len(frameSizes)]viewKeeper // of the reader; nil: none
	header [virtioHeaderSize]byte
	views  [len(frameSizes)]*buffer.View // nil: handed on
	iovecs [1 + len(frameSizes)][]byte   // header, then the views' bytes
}

// refill replaces the views that were handed on and returns the scatter list.
func (f *frame) refill() [][]byte {
	f.iovecs[0] = f.header[:]
	for i, v := range f.views {
		if v == nil {
			f.views[i] = f.view(i)
			f.iovecs[i+1] = f.views[i].AsSlice()
		}
	}
	return f.iovecs[:]
}

// view returns a new view to be the ith.
func (f *frame) view(i int) *buffer.View {
	if i == 0 || f.keep == nil {
		return buffer.NewViewSize(frameSizes[i])
	}
	return f.keep[i].view()
}

// head returns the frame's first bytes, which hold every header that is looked
// at here, for a frame of n bytes.
func (f *frame) head(n int) []byte { return f.iovecs[1][:min(n, frameSizes[0])] }

// rest returns what follows head.
func (f *frame) rest(n int) [][]byte {
	var rest [][]byte
	for i, size := range frameSizes {
		if i > 0 && n > 0 {
			rest = append(rest, f.iovecs[i+1][:min(n, size)])
		}
		n -= size
	}
	return rest
}

// pull hands on the first n bytes of the frame.
func (f *frame) pull(n int) buffer.Buffer {
	if n <= copyBelow {
		return buffer.MakeWithData(f.head(n))
	}
	var b buffer.Buffer
	for i, v := range f.views {
		if n <= 0 {
			break
		}
		f.views[i] = nil
		n -= v.Size()
		if n < 0 {
			v.CapLength(v.Size() + n)
		}
		b.Append(v)
	}
	return b
}

func (f *frame) release() {
	for i, v := range f.views {
		if v != nil {
			v.Release()
			f.views[i] = nil
		}
	}
}
