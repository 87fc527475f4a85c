//go:build linux && (amd64 || arm64)

package supervise

import (
	"encoding/binary"
	"math"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/supervise/internal/seccomp"
)

// struct msghdr and struct mmsghdr of a 64-bit Linux, in bytes (recvmsg(2),
// recvmmsg(2)).
const (
	headerName       = 0
	headerNameLen    = 8
	headerVectors    = 16
	headerCount      = 24
	headerControl    = 32
	headerControlLen = 40
	headerFlags      = 48
	headerSize       = 56
	headerTransfer   = 56 // msg_len of struct mmsghdr
	headersSize      = 64
)

// mostHeaders bounds the messages of one call (UIO_MAXIOV of linux/uio.h).
const mostHeaders = 1024

// A place is where the parts of a message are in the program's memory.
type place struct {
	data        seccomp.Vectors
	header      uint64 // struct msghdr, 0 where there is none
	name        uint64 // 0 for no name
	nameRoom    int
	nameLen     uint64 // where the length of the name goes
	control     uint64
	controlRoom int
	transfer    uint64 // where the number of bytes goes, 0 for nowhere
}

// plain returns the place that the arguments of sendto(2) and recvfrom(2) name.
func (c *call) plain() (*place, error) {
	size := min(c.arg(2), math.MaxInt32)
	return &place{
		data: seccomp.Vectors{{Base: uintptr(c.arg(1)), Len: int(size)}},
		name: c.arg(4),
	}, nil
}

// header reads struct msghdr. Errors: EFAULT; EINVAL for a negative length;
// EMSGSIZE for too many pieces.
func (c *call) header(addr uint64) (*place, error) {
	var h [headerSize]byte
	if err := c.read(addr, h[:]); err != nil {
		return nil, err
	}
	word := func(at int) uint64 { return binary.NativeEndian.Uint64(h[at:]) }
	p := &place{
		header: addr, nameLen: addr + headerNameLen,
		name: word(headerName), nameRoom: int(int32(binary.NativeEndian.Uint32(h[headerNameLen:]))),
		control: word(headerControl), controlRoom: int(min(word(headerControlLen), math.MaxInt32+1)),
	}
	if p.nameRoom < 0 {
		return nil, syscall.EINVAL
	}
	p.nameRoom = min(p.nameRoom, mostSockaddr)
	if p.name == 0 {
		p.nameRoom = 0
	}
	var err error
	p.data, err = seccomp.ReadVectors(int(c.n.TID), word(headerVectors), word(headerCount))
	return p, err
}

// headers reads an array of struct mmsghdr.
func (c *call) headers(addr, count uint64) ([]*place, error) {
	places := make([]*place, 0, min(count, mostHeaders))
	for i := range min(uint64(uint32(count)), mostHeaders) {
		p, err := c.header(addr + i*headersSize)
		if err != nil {
			if i > 0 {
				return places, nil
			}
			return nil, err
		}
		p.transfer = addr + i*headersSize + headerTransfer
		places = append(places, p)
	}
	return places, nil
}

// put writes a received message to its place and returns its length, as flags
// want it.
func (c *call) put(p *place, m *message, flags int) (int64, error) {
	if !c.s.listener.Alive(c.n.ID) {
		return 0, errGone
	}
	tid := int(c.n.TID)
	room := p.data.Len()
	if n := min(len(m.data), room); n > 0 {
		if _, err := p.data.Scatter(tid, m.data[:n]); err != nil {
			return 0, syscall.EFAULT
		}
	}
	size := int64(min(len(m.data), room))
	if flags&unix.MSG_TRUNC != 0 {
		size = int64(len(m.data))
	}
	if p.header == 0 {
		if p.name == 0 {
			return size, nil
		}
		return size, c.putBytes(m.from, p.name, p.nameLen)
	}
	control, out := cutControl(m.control, p.controlRoom)
	out |= int(m.flags) | flags&unix.MSG_CMSG_CLOEXEC
	if len(m.data) > room {
		out |= unix.MSG_TRUNC
	}
	return size, c.putHeader(p, m.from, control, out, size)
}

// putHeader writes what a receiving call returns in struct msghdr.
func (c *call) putHeader(p *place, from, control []byte, flags int, size int64) error {
	word := binary.NativeEndian
	s := []seccomp.Segment{
		{Addr: p.header + headerControlLen, Data: word.AppendUint64(nil, uint64(len(control)))},
		{Addr: p.header + headerFlags, Data: word.AppendUint32(nil, uint32(flags))},
	}
	if p.name != 0 {
		s = append(s, seccomp.Segment{Addr: p.name, Data: from[:min(len(from), p.nameRoom)]},
			seccomp.Segment{Addr: p.nameLen, Data: word.AppendUint32(nil, uint32(len(from)))})
	}
	if len(control) > 0 {
		s = append(s, seccomp.Segment{Addr: p.control, Data: control})
	}
	if p.transfer != 0 {
		s = append(s, seccomp.Segment{Addr: p.transfer, Data: word.AppendUint32(nil, uint32(size))})
	}
	if _, err := seccomp.WriteSegments(int(c.n.TID), s...); err != nil {
		return syscall.EFAULT
	}
	return nil
}

// cutControl returns the bytes of control messages for a buffer with that much
// room, and MSG_CTRUNC if they do not fit, as put_cmsg of Linux does it.
func cutControl(messages []sockets.ControlMessage, room int) (b []byte, flags int) {
	const header = 16 // struct cmsghdr
	for _, m := range messages {
		left := room - len(b)
		if left < header {
			return b, unix.MSG_CTRUNC
		}
		if len(m.Data) > left-header {
			m.Data, flags = m.Data[:left-header], unix.MSG_CTRUNC
		}
		whole := sockets.MarshalControl([]sockets.ControlMessage{m})
		b = append(b, whole[:min(len(whole), left)]...)
	}
	return b, flags
}
