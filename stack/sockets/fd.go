package sockets

import (
	"log/slog"
	"runtime"
)

// Descriptor numbers belong to a Host and mean nothing to the operating system.
// A number is owned by the Socket that has it, or, after Detach and when it came
// in a message, by whoever knows it: such a one must be given to Adopt or
// CloseFD.

// SocketType is the type of socket objects, as Python's documents call it.
type SocketType = Socket

// Dup returns another descriptor of the same socket (dup(2)): both share the
// timeout, the options and the connection, which ends when both are closed.
// Errors: EMFILE, ErrClosed.
func (s *Socket) Dup() (*Socket, error) {
	d, errno := s.reference()
	if errno != 0 {
		return nil, s.error("dup", ErrClosed)
	}
	return s.host.newSocketAs("dup", d, s.as)
}

// reference takes a reference to what s is a descriptor of.
func (s *Socket) reference() (*description, Errno) {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if s.closed() {
		return nil, EBADF
	}
	s.d.refs.Add(1)
	return s.d, 0
}

// reference is the same by number.
func (t *table) reference(fd int) (*description, Errno) {
	s := t.get(fd)
	if s == nil {
		return nil, EBADF
	}
	return s.reference()
}

// FromFD returns a new descriptor of the socket that has the number, as Dup does
// (Python's socket.fromfd). The family, the type and the protocol are not
// checked: they are what the Socket's methods of these names report, and calls
// that do not fit what it really is fail later. The timeout is the shared one.
// Errors: EBADF for a number that is not a socket of the Host, EMFILE.
func (h *Host) FromFD(fd int, f Family, t Type, p Protocol) (*Socket, error) {
	d, errno := h.table.reference(fd)
	if errno != 0 {
		return nil, &Error{Op: "fromfd", Num: errno}
	}
	return h.newSocketAs("fromfd", d, &socketKind{f, t &^ (SOCK_NONBLOCK | SOCK_CLOEXEC), p})
}

// Detach gives the Socket up and returns its number, under which the socket
// stays open: for Adopt, FromFD or CloseFD. Calls that are blocked on this
// Socket return ErrClosed, as do later ones. The result is -1 if the Socket was
// closed or detached before.
func (s *Socket) Detach() int {
	fd := -1
	n := &Socket{host: s.host, d: s.d, as: s.as}
	s.shut(func(*Socket) { fd = s.host.table.exchange(s, n) }, func(*description) {})
	return fd
}

// Adopt returns the Socket that owns the number: the one that has it already, or
// a new one for a number that Detach returned or that came with SCM_RIGHTS
// (Python's socket.socket(fileno=fd)). The error is EBADF when the number is not
// a socket of the Host.
func (h *Host) Adopt(fd int) (*Socket, error) {
	s := h.table.take(fd)
	if s == nil {
		return nil, &Error{Op: "adopt", Num: EBADF}
	}
	return s, nil
}

// CloseFD closes a number, as Close does its Socket (close(2)). The error is
// EBADF when the number is not a socket of the Host.
func (h *Host) CloseFD(fd int) error {
	s := h.table.get(fd)
	if s == nil {
		return &Error{Op: "close", Num: EBADF}
	}
	return s.Close()
}

// ImportTCPSocket returns the Socket of a TCP socket's number: Adopt with a
// check (NSPR's PR_ImportTCPSocket). Errors: EBADF for a number that is not a
// socket of the Host, such as one of the operating system's, and ENOTSOCK for one
// that is not TCP.
func (h *Host) ImportTCPSocket(fd int) (*Socket, error) {
	s := h.table.get(fd)
	if s == nil {
		return nil, &Error{Op: "import", Num: EBADF, Msg: "only sockets of the Host can be imported", Err: ErrUnsupported}
	}
	if !s.d.isTCP() {
		return nil, &Error{Op: "import", Num: ENOTSOCK, Msg: "the descriptor is not a TCP socket", Err: ErrUnsupported}
	}
	return h.Adopt(fd)
}

// number gives a reference a descriptor that no Socket of the program's owns.
func (h *Host) number(d *description) (int, Errno) {
	s := &Socket{host: h, d: d}
	if h.table.add(s, true) != nil {
		return -1, EMFILE
	}
	return s.Fileno(), 0
}

// watchLocked makes the garbage collector close s if the program forgets it. The
// table's lock is held. It is a finalizer, which takes no memory of the heap; a
// runtime.Cleanup takes 48 bytes of each socket.
func (s *Socket) watchLocked() { runtime.SetFinalizer(s, (*Socket).forgotten) }

// unwatch ends that.
func (s *Socket) unwatch() { runtime.SetFinalizer(s, nil) }

// forgotten is Close by nobody.
func (s *Socket) forgotten() {
	fd, d := s.Fileno(), s.d
	if !d.host.table.forget(fd, d) {
		return // the Host was closed first
	}
	slog.Warn("sockets: a socket was forgotten without being closed", "fd", fd)
	go d.release() // SO_LINGER may take its time, and other finalizers wait for this one
}
