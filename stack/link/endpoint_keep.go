package link

import (
	"gvisor.dev/gvisor/pkg/buffer"
)

// keptViews is how many views of each of the large sizes in frameSizes a reader
// keeps, 1 MiB in all. With more of them a view has left the processor's cache
// when its turn comes, which costs as much as clearing it.
const keptViews = 16

// A viewKeeper gives out views of one size, again and again: gVisor clears a
// view that comes from its pool, which took longer than handing the packet to
// netstack. What it gives out, it has a share of, and gives out anew when nobody
// else has one left. Only a reader uses it, so it has no lock.
//
// The bytes of a view are those of an earlier packet of the same device until
// they are overwritten; netstack sees no more of them than arrived.
type viewKeeper struct {
	size  int
	views []*keptView // the longest in use is at next
	next  int
}

// view returns a view of the keeper's size, which is the caller's to release.
// The views are used in turn: packets leave netstack about in the order of their
// arrival. One that stays, with data that nobody reads, is passed over.
func (k *viewKeeper) view() *buffer.View {
	if len(k.views) == 0 {
		return k.add()
	}
	v := k.views[k.next]
	if v.free(k.size) {
		k.next = (k.next + 1) % len(k.views)
		return v.share()
	}
	if len(k.views) < keptViews {
		return k.add()
	}
	k.next = (k.next + 1) % len(k.views)
	return buffer.NewViewSize(k.size)
}

// add makes a view and keeps it, behind those that were given out before.
func (k *viewKeeper) add() *buffer.View {
	v := new(keptView)
	v.view = buffer.NewViewSize(k.size)
	v.view.CapLength(k.size - 1)
	v.buffer = buffer.MakeWithView(v.view)
	k.views = append(k.views, nil)
	copy(k.views[k.next+1:], k.views[k.next:])
	k.views[k.next] = v
	k.next = (k.next + 1) % len(k.views)
	return v.share()
}

// release gives up the keeper's shares.
func (k *viewKeeper) release() {
	for _, v := range k.views {
		v.buffer.Release()
	}
	k.views, k.next = nil, 0
}

// A keptView is the keeper's share of a view: all but its last byte.
type keptView struct {
	buffer buffer.Buffer
	view   *buffer.View // the only one in buffer
}

// share returns another share, of all bytes.
func (v *keptView) share() *buffer.View {
	s := v.view.Clone()
	s.Grow(1) // there is capacity
	return s
}

// free reports whether nobody else has a share. gVisor does not tell, but it
// appends to a view in place only if so.
func (v *keptView) free(size int) bool {
	v.buffer.Append(buffer.NewViewSize(1))
	free := v.view.Size() == size
	v.buffer.Truncate(int64(size - 1))
	return free
}
