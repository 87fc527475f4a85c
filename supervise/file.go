//go:build linux && (amd64 || arm64)

package supervise

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/userstack/userstack/stack/sockets"
)

// A file is a socket of the program, whatever descriptors it has for it: what
// POSIX calls an open file description. The kernel tells sockets apart by their
// cookies, which it never uses twice.
type file struct {
	s      *supervisor
	cookie uint64
	sock   *sockets.Socket // what the socket does
	kind   kind
	last   atomic.Uint64 // thread and descriptor of the last call
}

// A kind is what differs between streams, datagrams and netlink.
type kind interface {
	// stale ends the file if the program has closed it and the kernel did not
	// say so. It reports whether it did. The roll is for those that a sweep
	// looks at.
	stale(*roll) bool
	// flushed returns a channel that is closed when what the program sent
	// before it closed the socket has been handed to the stack, nil if there
	// is nothing to wait for.
	flushed() <-chan struct{}
	// end closes everything at once.
	end()
}

// seen remembers where the program had the socket last.
func (f *file) seen(tid uint32, fd int) { f.last.Store(uint64(tid)<<32 | uint64(uint32(fd))) }

// where returns the thread and descriptor of the last call.
func (f *file) where() (tid uint32, fd int) {
	v := f.last.Load()
	return uint32(v >> 32), int(int32(uint32(v)))
}

// forget closes the file's Socket and takes the file out of the registry.
func (f *file) forget() {
	f.s.files.ends.begin()
	defer f.s.files.ends.finish()
	if f.sock != nil {
		f.sock.Close() // first: who finds the file waits here for its port to be free
	}
	if f.s.files.remove(f) {
		f.s.counts.closes()
	}
}

// A registry holds the files of a program by their cookies.
type registry struct {
	mu    sync.RWMutex
	files map[uint64]*file
	ends  ends
}

func (r *registry) init() { r.files = make(map[uint64]*file) }

func (r *registry) find(cookie uint64) *file {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.files[cookie]
}

func (r *registry) add(f *file) {
	r.mu.Lock()
	r.files[f.cookie] = f
	r.mu.Unlock()
	f.s.counts.opens()
}

// identify gives a file its cookie. It may end meanwhile.
func (r *registry) identify(f *file, cookie uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f.cookie = cookie
}

func (r *registry) remove(f *file) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.files[f.cookie] != f {
		return false
	}
	delete(r.files, f.cookie)
	return true
}

// rename gives a file of the registry another cookie.
func (r *registry) rename(f *file, cookie uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.files, f.cookie)
	f.cookie = cookie
	r.files[cookie] = f
}

func (r *registry) all() []*file {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]*file, 0, len(r.files))
	for _, f := range r.files {
		all = append(all, f)
	}
	return all
}

// sweep ends the files that the program has closed unnoticed, and returns how
// many those were.
func (r *registry) sweep() (ended int) {
	var roll roll
	for _, f := range r.all() {
		if f.kind.stale(&roll) {
			ended++
		}
	}
	return ended
}

// settle sweeps, and waits until what others are ending has ended too.
func (r *registry) settle() {
	r.sweep()
	r.ends.wait()
}

// drain waits until the stack has taken what the program sent, or until ctx is
// done.
func (r *registry) drain(ctx context.Context) {
	r.sweep()
	for _, f := range r.all() {
		done := f.kind.flushed()
		if done == nil {
			continue
		}
		select {
		case <-done:
		case <-ctx.Done():
			return
		}
	}
}

func (r *registry) closeAll() {
	for _, f := range r.all() {
		f.kind.end()
	}
}
