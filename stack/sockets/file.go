package sockets

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync/atomic"
)

// A File reads and writes a stream socket as a file: Python's file object of
// makefile. It has a descriptor of its own, so it and the Socket are closed
// apart. What it reads ahead stays in the socket for whoever reads next; what is
// written waits in a buffer for Flush, or until there is more than the buffer
// holds.
//
// Any method may be called from any goroutine; Close ends calls that wait. A File
// that is read and written does not flush before it reads.
type File struct {
	s         *Socket
	original  *Socket // closed as well, or nil
	name      string
	mode      string
	canRead   bool
	canWrite  bool
	size      int  // of the buffer, in bytes
	lineByOne bool // flush after each line

	turn    chan struct{} // has room for one: who uses buf puts a token in
	buf     []byte        // written and not yet sent
	sending atomic.Bool   // who has the turn may be waiting for the peer
	closing atomic.Bool
}

var _ io.ReadWriteCloser = (*File)(nil)

// FileOption changes what MakeFile makes.
type FileOption int

// FileClosesSocket makes closing the File close the Socket too, as Pycopy has it.
const FileClosesSocket FileOption = 1

// defaultFileBuffer is the size in bytes of a File's buffer (Python's
// io.DEFAULT_BUFFER_SIZE).
const defaultFileBuffer = 8192

// fileModes are the modes that MakeFile takes, without their 'b': reading,
// writing.
var fileModes = map[string][2]bool{
	"": {true, false}, "r": {true, false}, "w": {false, true},
	"rw": {true, true}, "wr": {true, true}, "r+": {true, true}, "w+": {true, true},
}

// MakeFile returns a File on the socket, which must be SOCK_STREAM. The mode is
// "r", "w", "rw", "r+" or "w+", with or without a 'b', which changes nothing;
// empty is "r". bufsize is the write buffer's size in bytes: 0 for none, 1 to
// flush after each line, negative for 8192.
//
// The socket may be in any mode: when time runs out or a call would block, what
// is buffered is kept. Errors: EINVAL for another mode or option; EOPNOTSUPP;
// EMFILE, ErrClosed.
func (s *Socket) MakeFile(mode string, bufsize int, opts ...FileOption) (*File, error) {
	can, ok := fileModes[strings.Replace(mode, "b", "", 1)]
	if !ok {
		return nil, &Error{Op: "makefile", Num: EINVAL, Msg: "no such mode: " + mode}
	}
	f := &File{mode: mode, canRead: can[0], canWrite: can[1], size: bufsize, turn: make(chan struct{}, 1)}
	for _, o := range opts {
		if o != FileClosesSocket {
			return nil, &Error{Op: "makefile", Num: EINVAL, Msg: "no such option"}
		}
		f.original = s
	}
	switch {
	case s.d.typ != SOCK_STREAM:
		return nil, &Error{Op: "makefile", Num: EOPNOTSUPP, Msg: "a file needs a stream"}
	case bufsize < 0:
		f.size = defaultFileBuffer
	case bufsize == 1:
		f.size, f.lineByOne = defaultFileBuffer, true
	}
	var err error
	if f.s, err = s.Dup(); err != nil {
		return nil, err
	}
	f.name = fmt.Sprintf("<socket %d>", f.s.Fileno())
	return f, nil
}

// Fileno returns the number of the File's own descriptor, -1 once it is closed.
func (f *File) Fileno() int { return f.s.Fileno() }

// Name returns "<socket N>" with the number that Fileno had at first.
func (f *File) Name() string { return f.name }

// Mode returns the mode given to MakeFile.
func (f *File) Mode() string { return f.mode }

// Seek fails with ESPIPE: a socket has no position.
func (f *File) Seek(int64, int) (int64, error) { return 0, f.s.error("seek", ESPIPE) }

// readable returns EBADF unless the file is open for reading, as read(2) does.
func (f *File) readable() error {
	if !f.canRead {
		return &Error{Op: "read", Num: EBADF, Msg: "the file is not open for reading"}
	}
	return nil
}

// Read, ReadN, ReadAll, ReadLine, ReadLines and Lines are those of Socket. On a
// file that is not open for reading they fail with EBADF.
func (f *File) Read(p []byte) (int, error) {
	if err := f.readable(); err != nil {
		return 0, err
	}
	return f.s.Read(p)
}
func (f *File) ReadN(n int) ([]byte, error) {
	if err := f.readable(); err != nil {
		return nil, err
	}
	return f.s.ReadN(n)
}
func (f *File) ReadAll() ([]byte, error) {
	if err := f.readable(); err != nil {
		return nil, err
	}
	return f.s.ReadAll()
}
func (f *File) ReadLine(limit int) ([]byte, error) {
	if err := f.readable(); err != nil {
		return nil, err
	}
	return f.s.ReadLine(limit)
}
func (f *File) ReadLines(hint int) ([][]byte, error) { return readLines(hint, f.ReadLine) }
func (f *File) Lines() iter.Seq2[[]byte, error]      { return lines(f.ReadLine) }

// Write puts p into the buffer and sends what does not fit. n is how much of p
// is sent or buffered: less than all of it with the error of Socket.Write that
// kept it from going on. What was in the buffer stays there.
func (f *File) Write(p []byte) (n int, err error) {
	if !f.canWrite {
		return 0, &Error{Op: "write", Num: EBADF, Msg: "the file is not open for writing"}
	}
	f.turn <- struct{}{}
	defer func() { <-f.turn }()
	if f.closing.Load() {
		return 0, f.s.error("write", ErrClosed)
	}
	if len(f.buf)+len(p) > f.size {
		if err := f.flush(); err != nil {
			return 0, err
		}
	}
	if len(p) > f.size {
		return f.send(p)
	}
	f.buf = append(f.buf, p...)
	if f.lineByOne && bytes.IndexByte(p, '\n') >= 0 {
		err = f.flush()
	}
	if err == nil {
		return len(p), nil
	}
	refused := min(len(f.buf), len(p)) // only the caller knows whether to write it again
	f.buf = f.buf[:len(f.buf)-refused]
	return len(p) - refused, err
}

// WriteLines writes the lines, to which nothing is added. It stops at the first
// error.
func (f *File) WriteLines(lines [][]byte) error {
	for _, line := range lines {
		if _, err := f.Write(line); err != nil {
			return err
		}
	}
	return nil
}

// Flush sends what the buffer holds. On an error, ErrTimeout and EAGAIN among
// them, what was not sent stays there.
func (f *File) Flush() error {
	f.turn <- struct{}{}
	defer func() { <-f.turn }()
	if f.closing.Load() {
		return f.s.error("flush", ErrClosed)
	}
	return f.flush()
}

// flush needs the turn.
func (f *File) flush() error {
	if len(f.buf) == 0 {
		return nil
	}
	n, err := f.send(f.buf)
	f.buf = f.buf[:copy(f.buf, f.buf[n:])]
	return err
}

// send needs the turn.
func (f *File) send(p []byte) (int, error) {
	f.sending.Store(true)
	defer f.sending.Store(false)
	if f.closing.Load() {
		return 0, f.s.error("write", ErrClosed) // Close has not seen that we are about to wait
	}
	return f.s.Write(p)
}

// Close flushes and closes the file; the error says how much was not sent. Other
// calls that wait return ErrClosed. The Socket stays open, unless FileClosesSocket was
// given. A second Close does nothing.
func (f *File) Close() error {
	if f.closing.Swap(true) {
		return nil
	}
	if f.sending.Load() {
		f.s.Close() // or whoever sends might never return its turn
	}
	f.turn <- struct{}{}
	defer func() { <-f.turn }()
	var err error
	if len(f.buf) > 0 {
		var n int
		n, err = f.s.Write(f.buf)
		if e, ok := err.(*Error); ok {
			e.Msg = fmt.Sprintf("%d bytes were not sent", len(f.buf)-n)
		}
	}
	f.buf = nil
	f.s.Close()
	if f.original != nil {
		f.original.Close()
	}
	return err
}
