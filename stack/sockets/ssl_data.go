package sockets

import "io"

// sslRecord is the largest payload of a TLS record, in bytes (RFC 8446 section
// 5.1): what is encrypted at once.
const sslRecord = 16 << 10

// Write encrypts p and sends it. On an error n bytes of p are sent or will be
// with the next call: the socket ran out of time, would have blocked, or has
// failed.
func (o *SSLObject) Write(p []byte) (n int, err error) {
	s := o.pipe.s
	if o.closed.Load() {
		return 0, &Error{Op: "write", Num: EPIPE}
	}
	for {
		// What waits of the last record goes first, and bounds what can wait.
		if err := o.pipe.flush(); err != nil {
			return n, s.sslError("write", err)
		}
		if len(p) == 0 {
			return n, nil
		}
		k, err := o.conn.Write(p[:min(len(p), sslRecord)])
		if n, p = n+k, p[k:]; err != nil {
			return n, s.sslError("write", err)
		}
	}
}

// Read implements io.Reader: at least one byte, or io.EOF after the peer has
// said that it sends no more. A connection that ends without that is
// io.ErrUnexpectedEOF.
func (o *SSLObject) Read(p []byte) (int, error) {
	o.reading.Lock()
	defer o.reading.Unlock()
	if len(o.held) > 0 {
		n := copy(p, o.held)
		o.held = o.held[n:]
		return n, nil
	}
	return o.read(p)
}

// read needs o.reading.
func (o *SSLObject) read(p []byte) (int, error) {
	if err := o.pipe.tryFlush(); err != nil && !passing(err) {
		return 0, o.pipe.s.sslError("read", err)
	}
	n, err := o.conn.Read(p)
	switch {
	case n > 0:
		return n, nil // the error, if there is one, comes again
	case err == io.EOF && o.pipe.eof.Load():
		err = io.ErrUnexpectedEOF
	}
	return 0, o.pipe.s.sslError("read", err)
}

// ReadN returns the next n bytes: fewer only before the end, io.EOF when there
// are none. When time runs out, or a non-blocking socket has no more, the bytes
// that came stay for the next call. EINVAL for n < 0.
func (o *SSLObject) ReadN(n int) ([]byte, error) {
	if n < 0 {
		return nil, &Error{Op: "read", Num: EINVAL, Msg: "the size is negative"}
	}
	return o.collect(n)
}

// ReadAll returns what comes up to the end, without a bound.
func (o *SSLObject) ReadAll() ([]byte, error) {
	p, err := o.collect(-1)
	if err == io.EOF {
		return []byte{}, nil
	}
	return p, err
}

// collect returns n bytes, or for a negative n all that come.
func (o *SSLObject) collect(n int) ([]byte, error) {
	o.reading.Lock()
	defer o.reading.Unlock()
	buf := make([]byte, sslRecord)
	for n < 0 || len(o.held) < n {
		want := buf
		if n >= 0 {
			want = buf[:min(len(buf), n-len(o.held))]
		}
		k, err := o.read(want)
		o.held = append(o.held, want[:k]...)
		switch {
		case err == io.EOF && len(o.held) > 0:
			n = len(o.held)
		case err != nil:
			return nil, err
		}
	}
	p := o.held[:n:n]
	o.held = o.held[n:]
	return p, nil
}
