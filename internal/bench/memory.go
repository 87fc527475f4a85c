package bench

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/userstack/userstack/internal/bench/load"
)

// settle is how long memory is given to come to rest after connections were made.
const settle = 200 * time.Millisecond

// measureMemory makes idle connections and says what each costs, both its ends and whatever is between them: the heap and
// the stacks of the near end, the pages of those between, the kernel's objects. What the far end's program keeps in mind of
// its kernel's sockets is not counted.
func measureMemory(ctx context.Context, into *Sample, w *session, l Load, most int) error {
	before, err := w.look(ctx, swept)
	if err != nil {
		return err
	}
	slabBefore, pagesBefore := slab(), w.pages()
	job := w.job(l.job)
	job.Conns = min(job.Conns, most)
	if _, err := w.near.ask(ctx, load.Ask{Start: &job}); err != nil {
		return err
	}
	for {
		if err := wait(ctx, settle); err != nil {
			return err
		}
		now, err := w.far.ask(ctx, load.Ask{})
		if err != nil {
			return err
		}
		if now.Far.Idle >= uint64(job.Conns) {
			break
		}
	}
	after, err := w.look(ctx, swept)
	if err != nil {
		return err
	}
	heap := float64(after.near.Memory) - float64(before.near.Memory)
	kernel := float64(slab()) - float64(slabBefore)
	pages := float64(w.pages()) - float64(pagesBefore)
	n := float64(job.Conns)
	into.Values = map[string]float64{"bytes": (heap + kernel + pages) / n}
	into.Limit = fmt.Sprintf("%s connections: near end's program %.0f B, kernel %.0f B", grouped(int64(job.Conns)), heap/n, kernel/n)
	if len(w.between) > 0 {
		into.Limit += fmt.Sprintf(", between %.0f B", pages/n)
	}
	return nil
}

// spareFiles are the descriptors that a process wants besides those of its connections.
const spareFiles = 500

// room is how many idle connections a wire has room for: the limit of descriptors allows so many to each process, and a
// process with both ends needs two for each. Stacks of ours need none.
func (w Wire) room() int {
	room := maxFiles() - spareFiles
	switch w.Name {
	case overMemory:
		room = math.MaxInt
	case overLoopback:
		room /= 2
	}
	if w.most > 0 {
		room = min(room, w.most)
	}
	return max(room, 1)
}

// pages is the memory of the processes between the ends.
func (s *session) pages() (sum uint64) {
	for _, h := range s.between {
		sum += resident(h.pid)
	}
	return sum
}
