package sockets

import (
	"io"
	"iter"
	"slices"

	"gvisor.dev/gvisor/pkg/waiter"
)

var _ io.ReadWriteCloser = (*Socket)(nil)

// Read implements io.Reader: it is RecvInto, except that the end of the stream
// is io.EOF. An empty datagram is 0 bytes without an error.
func (s *Socket) Read(p []byte) (int, error) {
	c := s.receiving(nil)
	r := s.recv(p, &c)
	if r.eof {
		return 0, io.EOF
	}
	return r.n, s.error("read", r.err)
}

// Write implements io.Writer: it sends all of p, or says how much of it with the
// error that kept it from going on, EAGAIN on a non-blocking socket. A datagram
// goes whole or not at all.
func (s *Socket) Write(p []byte) (int, error) {
	c := s.newCall(waiter.WritableEvents, s.d.sndLimit(), nil)
	c.whole = true
	n, err := s.send(p, nil, &c)
	return n, s.error("write", err)
}

// ReadN returns the next n bytes of the stream: fewer only before its end, and
// io.EOF when there are none. The socket's timeout holds for the whole call.
//
// A non-blocking socket gives what there is, or EAGAIN. In all other errors,
// ErrTimeout among them, what was read so far stays in the socket for the next
// call of whatever kind. This goes for ReadInto, ReadAll, ReadLine and ReadLines
// too. Errors beside Recv's: EINVAL for n < 0; EOPNOTSUPP unless the socket is
// SOCK_STREAM.
func (s *Socket) ReadN(n int) ([]byte, error) {
	switch {
	case n < 0:
		return nil, &Error{Op: "read", Num: EINVAL, Msg: "the size is negative"}
	case n == 0:
		return []byte{}, nil
	}
	p, err := s.collect(portion{most: n})
	return p, s.readError("read", err)
}

// ReadAll returns the stream up to its end, without a bound: a peer decides how
// much that is. After the end it is empty. See ReadN for the errors.
func (s *Socket) ReadAll() ([]byte, error) {
	p, err := s.collect(portion{most: -1})
	if err == io.EOF {
		return []byte{}, nil
	}
	return p, s.readError("read", err)
}

// ReadInto fills p with the next bytes of the stream: less only before its end,
// which is 0 bytes and io.EOF. See ReadN for the errors.
func (s *Socket) ReadInto(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r := s.fill(p); r.err != nil || r.n == len(p) {
		return r.n, s.error("readinto", r.err)
	}
	got, err := s.collect(portion{most: len(p)})
	return copy(p, got), s.readError("readinto", err)
}

// ReadLine returns the next line with its '\n', at most limit bytes of it, or
// without a bound, which leaves it to the peer, if limit is not positive. The
// last line may lack the '\n'; then comes io.EOF. Bytes of 0 are kept. See ReadN
// for the errors; a non-blocking socket gives EAGAIN until the line is complete.
func (s *Socket) ReadLine(limit int) ([]byte, error) {
	if limit <= 0 {
		limit = -1
	}
	p, err := s.collect(portion{most: limit, line: true})
	return p, s.readError("readline", err)
}

// ReadLines returns the lines of the stream up to its end or, if hint is
// positive, up to the line that makes them hint bytes together. With an error
// come the lines before it.
func (s *Socket) ReadLines(hint int) ([][]byte, error) {
	return readLines(hint, s.ReadLine)
}

func readLines(hint int, next func(limit int) ([]byte, error)) ([][]byte, error) {
	var lines [][]byte
	for size := 0; hint <= 0 || size < hint; {
		line, err := next(0)
		if err == io.EOF {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
		lines, size = append(lines, line), size+len(line)
	}
	return lines, nil
}

// Lines ranges over the lines of the stream up to its end. An error other than
// that ends the range and comes with a nil line; another range goes on where
// this one ended.
func (s *Socket) Lines() iter.Seq2[[]byte, error] { return lines(s.ReadLine) }

func lines(next func(limit int) ([]byte, error)) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for {
			line, err := next(0)
			if err == io.EOF || !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// readError is error for the reads whose end is io.EOF.
func (s *Socket) readError(op string, err error) error {
	if e, ok := err.(*Error); ok {
		e.Op = op
	}
	if err == io.EOF {
		return err
	}
	return s.error(op, err)
}

// AcceptRead is Accept and the first Recv, of at most n bytes, on the new socket
// (NSPR's PR_AcceptRead). A Within and MsgFlags are for the receive alone:
// accepting takes as long as the socket's timeout or the context allows. When
// the peer has closed without sending, the bytes are empty.
//
// When the receive fails the new socket is closed. Errors: those of Accept and
// Recv, and EINVAL for n < 0 or when the listener is non-blocking.
func (s *Socket) AcceptRead(n int, opts ...CallOption) (*Socket, Sockaddr, []byte, error) {
	if n < 0 || !s.Blocking() && !s.closed() {
		return nil, nil, nil, &Error{Op: "acceptread", Num: EINVAL, Msg: "needs a size and a socket that blocks"}
	}
	accepting := slices.DeleteFunc(slices.Clone(opts), func(o CallOption) bool {
		_, isContext := o.(contextOption)
		return !isContext
	})
	conn, peer, err := s.Accept(accepting...)
	if err != nil {
		return nil, nil, nil, err
	}
	p, err := conn.Recv(n, opts...)
	if err != nil {
		conn.Close()
		return nil, nil, nil, err
	}
	return conn, peer, p, nil
}
