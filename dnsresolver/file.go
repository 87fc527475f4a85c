package dnsresolver

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// fileCheckInterval is how often a configuration file is looked at for changes,
// at most: once a second costs one stat(2) a second and no more.
const fileCheckInterval = time.Second

// file is a configuration file that is read again when it changes. Readers
// never wait: one of them looks at the file, at most once a second, and swaps
// the parsed contents in; the others use what is there. A file that cannot be
// read any more keeps its last good contents.
type file[T any] struct {
	path   string
	limit  int64 // bytes
	parse  func([]byte) T
	reload func(T) bool // whether these contents may be replaced

	current atomic.Pointer[fileContents[T]]
	next    atomic.Int64 // UnixNano of the next look
	mu      sync.Mutex   // held by whoever looks
}

// fileContents is one reading of a file.
type fileContents[T any] struct {
	value T
	info  fs.FileInfo
	// settled: the file had not been changed for some time when it was read,
	// so another change must show in its time stamp.
	settled bool
}

// open reads the file for the first time. It fails when the file cannot be
// read: a path that the caller gave and that is not there is a mistake.
func (f *file[T]) open(now time.Time) error {
	c, err := f.read(now)
	if err != nil {
		return err
	}
	f.current.Store(c)
	f.next.Store(now.Add(fileCheckInterval).UnixNano())
	return nil
}

// get returns the contents, after a look at the file when one is due. It
// returns a non-nil error, beside the last good contents, when that look found
// a file that cannot be read.
func (f *file[T]) get(now time.Time) (value T, changed bool, err error) {
	c := f.current.Load()
	if now.UnixNano() < f.next.Load() || !f.mu.TryLock() {
		return c.value, false, nil
	}
	defer f.mu.Unlock()
	f.next.Store(now.Add(fileCheckInterval).UnixNano())
	c = f.current.Load()
	if f.reload != nil && !f.reload(c.value) || f.unchanged(c) {
		return c.value, false, nil
	}
	fresh, err := f.read(now)
	if err != nil {
		return c.value, false, err
	}
	f.current.Store(fresh)
	return fresh.value, true, nil
}

// unchanged reports whether the file is the one that c was read from.
func (f *file[T]) unchanged(c *fileContents[T]) bool {
	info, err := os.Stat(f.path)
	return err == nil && c.settled && os.SameFile(info, c.info) &&
		info.Size() == c.info.Size() && info.ModTime().Equal(c.info.ModTime())
}

func (f *file[T]) read(now time.Time) (*fileContents[T], error) {
	// Opening a pipe would wait for its writer.
	if info, err := os.Stat(f.path); err != nil {
		return nil, err
	} else if info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket|fs.ModeDir) != 0 {
		return nil, &fs.PathError{Op: "open", Path: f.path, Err: errors.New("not a file")}
	}
	h, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	info, err := h.Stat()
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(h, f.limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > f.limit {
		return nil, fmt.Errorf("%s: larger than %d bytes", f.path, f.limit)
	}
	return &fileContents[T]{
		value:   f.parse(text),
		info:    info,
		settled: now.Sub(info.ModTime()) > fileCheckInterval,
	}, nil
}
