package sockets

import (
	"encoding/binary"
	"os"
	"time"
)

// A ucred is struct ucred (unix(7)): who is at the other end. Everybody on a Host
// is this process; systems without user ids have -1 there.
type ucred struct{ pid, uid, gid int }

const ucredSize = 12 // bytes

var (
	ownCred = ucred{os.Getpid(), os.Getuid(), os.Getgid()}

	// noPeerCred is SO_PEERCRED without a peer.
	noPeerCred = ucred{0, -1, -1}
	// unknownCred comes with a message that was sent when nobody had asked.
	unknownCred = ucred{0, overflowID, overflowID}
)

const overflowID = 65534 // kernel.overflowuid

// cred returns whom the message says it is from.
func (m *message) cred() ucred {
	if m.hasCred {
		return ownCred
	}
	return unknownCred
}

func (c ucred) bytes() []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(c.pid))
	b = binary.LittleEndian.AppendUint32(b, uint32(c.uid))
	return binary.LittleEndian.AppendUint32(b, uint32(c.gid))
}

// sendMessageUnix is SendMsg. References of ancillary data that were not sent are
// dropped.
func (s *Socket) sendMessageUnix(r *gather, m *Msg, c *call) (int, error) {
	ctl, errno := s.unixControl(m.Control)
	defer s.host.unix.dropUnsent(ctl)
	if errno != 0 {
		return 0, errno
	}
	return s.sendUnix(r, m.Addr, ctl, c)
}

func (n *unixNet) dropUnsent(ctl *unixControl) {
	if ctl != nil {
		n.drop(ctl.rights)
	}
}

// unixControl reads ancillary data as Linux's scm_send does. The result may hold
// references also when there is an error.
func (s *Socket) unixControl(ms []ControlMessage) (*unixControl, Errno) {
	if len(ms) == 0 {
		return nil, 0
	}
	ctl := &unixControl{}
	for _, m := range ms {
		errno := Errno(0)
		switch {
		case m.Level != SOL_SOCKET: // ignored, as on Linux
		case m.Type == SCM_RIGHTS:
			errno = s.host.addRights(ctl, m.Data)
		case m.Type == SCM_CREDENTIALS:
			errno = checkCred(m.Data)
			ctl.hasCred = true
		default:
			errno = EINVAL
		}
		if errno != 0 {
			return ctl, errno
		}
	}
	return ctl, 0
}

// checkCred accepts only the truth: Linux lets a privileged process claim to be
// another one.
func checkCred(data []byte) Errno {
	if len(data) != ucredSize {
		return EINVAL
	}
	if string(data) != string(ownCred.bytes()) {
		return EPERM
	}
	return 0
}

// addRights takes a reference for each descriptor number.
func (h *Host) addRights(ctl *unixControl, data []byte) Errno {
	n := len(data) / 4
	if len(ctl.rights)+n > maxRights {
		return EINVAL
	}
	if h.unix.tooManyRiding(n) {
		return ETOOMANYREFS
	}
	for i := range n {
		d, errno := h.table.reference(int(int32(binary.LittleEndian.Uint32(data[4*i:]))))
		if errno != 0 {
			return errno
		}
		ctl.rights = append(ctl.rights, d)
	}
	return 0
}

// recvMessageUnix is RecvMsg.
func (s *Socket) recvMessageUnix(m *Msg, w *scatter, oobLen int, c *call) error {
	if s.dead() {
		return ErrClosed
	}
	defer c.done()
	var a unixAncillary
	r := s.recvUnix(w, c, &a)
	if r.err != nil {
		s.host.unix.drop(a.rights)
		return r.err
	}
	m.Addr, m.N, m.Flags, m.Control = s.sender(r), r.count(c.flags), 0, nil
	if r.total > r.n {
		m.Flags |= MSG_TRUNC
	}
	room := controlRoom{left: oobLen}
	if s.d.typ != SOCK_STREAM && a.started && s.d.wantsTimes() {
		if a.when == 0 {
			a.when = time.Now().UnixNano() // asked for too late
		}
		var l controlList
		s.d.times(&l, ask(s.d.asks.Load()), a.when)
		for _, cm := range l.messages {
			room.add(cm)
		}
	}
	if a.asked {
		room.add(ControlMessage{SOL_SOCKET, SCM_CREDENTIALS, a.cred.bytes()})
	}
	if len(a.rights) > 0 {
		s.host.disembark(a.rights, &room)
	}
	if room.cut {
		m.Flags |= MSG_CTRUNC
	}
	m.Control = room.messages
	return nil
}

// wantsTimes reports whether an option asks when datagrams came.
func (d *description) wantsTimes() bool { return d.asked(askTimestamp) || d.extras() != nil }

// disembark gives each reference a descriptor, as far as there is room to tell
// of it, and drops the others.
func (h *Host) disembark(rights []*description, room *controlRoom) {
	var fds []byte
	given := 0
	for fit := (room.left - cmsgHeaderSize) / 4; given < min(fit, len(rights)); given++ {
		fd, errno := h.number(rights[given])
		if errno != 0 {
			break
		}
		fds = binary.LittleEndian.AppendUint32(fds, uint32(fd))
	}
	h.unix.drop(rights[given:])
	if given > 0 {
		room.add(ControlMessage{SOL_SOCKET, SCM_RIGHTS, fds})
	}
	room.cut = room.cut || given < len(rights)
}

// Rights returns the ancillary message that passes sockets to the reader of an
// AF_UNIX socket of the same Host (SCM_RIGHTS in unix(7)): at most 253 in one
// message. The reader gets descriptors of its own, as Dup makes them: FDs has
// their numbers, and Host.Adopt makes Sockets of them.
// The sender may close its own once SendMsg has returned.
func Rights(socks ...*Socket) ControlMessage {
	var fds []byte
	for _, s := range socks {
		fd := -1 // of no socket: sending it is EBADF
		if s != nil {
			fd = s.Fileno()
		}
		fds = binary.LittleEndian.AppendUint32(fds, uint32(fd))
	}
	return ControlMessage{SOL_SOCKET, SCM_RIGHTS, fds}
}

// FDs returns the descriptor numbers in an SCM_RIGHTS message, for Host.Adopt or
// Host.CloseFD. The error is EINVAL for another message.
func (m ControlMessage) FDs() ([]int, error) {
	if m.Level != SOL_SOCKET || m.Type != SCM_RIGHTS || len(m.Data)%4 != 0 {
		return nil, &Error{Op: "control message", Num: EINVAL, Msg: "it is not SCM_RIGHTS"}
	}
	var fds []int
	for data := m.Data; len(data) > 0; data = data[4:] {
		fds = append(fds, int(int32(binary.LittleEndian.Uint32(data))))
	}
	return fds, nil
}
