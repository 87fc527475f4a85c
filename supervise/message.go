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
	sent        uint32 // that number
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
	return c.parseHeader(addr, h[:], nil)
}

// parseHeader is header for one that was read, with the pieces of its message if
// they were read as well.
func (c *call) parseHeader(addr uint64, h []byte, pieces *pieces) (*place, error) {
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
	if p.data = pieces.at(word(headerVectors), word(headerCount)); p.data != nil {
		return p, nil
	}
	var err error
	p.data, err = seccomp.ReadVectors(int(c.n.TID), word(headerVectors), word(headerCount))
	return p, err
}

// pieces are arrays of struct iovec beside each other, as programs have them that
// send or receive many messages at once.
type pieces struct {
	addr  uint64
	bytes []byte
}

// Of struct iovec, in bytes.
const (
	pieceSize  = 16
	mostPieces = 16 << 10 // read on the chance that they are close to each other
)

// readPieces reads the arrays that headers name, nil if they are far apart.
func (c *call) readPieces(headers []byte) *pieces {
	first, last := uint64(math.MaxUint64), uint64(0)
	for ; len(headers) >= headersSize; headers = headers[headersSize:] {
		addr := binary.NativeEndian.Uint64(headers[headerVectors:])
		count := min(binary.NativeEndian.Uint64(headers[headerCount:]), mostPieces)
		first, last = min(first, addr), max(last, addr+count*pieceSize)
	}
	if last <= first || last-first > mostPieces {
		return nil
	}
	p := &pieces{addr: first, bytes: make([]byte, last-first)}
	if _, err := seccomp.ReadMemory(int(c.n.TID), first, p.bytes); err != nil {
		return nil
	}
	return p
}

// at returns an array, nil if it was not read or is not as it has to be.
func (p *pieces) at(addr, count uint64) seccomp.Vectors {
	if p == nil || count == 0 || count > mostPieces/pieceSize || addr < p.addr {
		return nil
	}
	offset, size := addr-p.addr, uint64(len(p.bytes))
	if offset > size || count*pieceSize > size-offset {
		return nil
	}
	v := make(seccomp.Vectors, count)
	total := 0
	for i := range v {
		b := p.bytes[offset+uint64(i)*pieceSize:]
		v[i].Base, v[i].Len = uintptr(binary.NativeEndian.Uint64(b)), int(binary.NativeEndian.Uint64(b[8:]))
		if v[i].Len < 0 || v[i].Len > math.MaxInt32-total {
			return nil // ReadVectors says what of it is good
		}
		total += v[i].Len
	}
	return v
}

// messageFlags returns the flags of sendmsg(2), recvmsg(2) and their kin, which
// refuse one that is the kernel's own: MSG_CMSG_COMPAT.
func messageFlags(arg uint64) (int, error) {
	flags := int32(arg)
	if flags < 0 {
		return 0, syscall.EINVAL
	}
	return int(flags), nil
}

// headers reads an array of struct mmsghdr, up to the first that is not as it has
// to be. The error is that of the first one.
func (c *call) headers(addr, count uint64) ([]*place, error) {
	count = min(uint64(uint32(count)), mostHeaders)
	places := make([]*place, 0, count)
	all := make([]byte, count*headersSize)
	n, _ := seccomp.ReadMemory(int(c.n.TID), addr, all)
	near := c.readPieces(all[:n])
	for i := range count {
		at := i * headersSize
		if int(at)+headersSize > n {
			return places, partlyRead(len(places), syscall.EFAULT)
		}
		p, err := c.parseHeader(addr+at, all[at:], near)
		if err != nil {
			return places, partlyRead(len(places), err)
		}
		p.transfer = addr + at + headerTransfer
		places = append(places, p)
	}
	return places, nil
}

func partlyRead(n int, err error) error {
	if n > 0 {
		return nil
	}
	return err
}

// put writes a received message to its place and returns its length, as flags
// want it.
func (c *call) put(p *place, m *message, flags int) (int64, error) {
	room := p.data.Len()
	data := m.data[:min(len(m.data), room)]
	size := int64(len(data))
	if flags&unix.MSG_TRUNC != 0 {
		size = int64(len(m.data))
	}
	control, out := cutControl(m.control, p.controlRoom)
	out |= int(m.flags) | flags&unix.MSG_CMSG_CLOEXEC
	if len(m.data) > room {
		out |= unix.MSG_TRUNC
	}
	if !c.s.listener.Alive(c.n.ID) {
		return 0, errGone
	}
	return size, c.putParts(p, data, m.from, control, out, size)
}

// putParts writes the parts of a message and what a receiving call returns beside
// them, in one go where that is possible.
func (c *call) putParts(p *place, data, from, control []byte, flags int, size int64) error {
	var words [4 + 8 + 4 + 4]byte
	word := func(at, size int) []byte { return words[at : at+size] }
	tid, s := int(c.n.TID), make([]seccomp.Segment, 0, 6)
	if len(p.data) == 1 {
		s = append(s, seccomp.Segment{Addr: uint64(p.data[0].Base), Data: data})
	} else if _, err := p.data.Scatter(tid, data); err != nil {
		return syscall.EFAULT
	}
	if p.name != 0 {
		binary.NativeEndian.PutUint32(word(0, 4), uint32(len(from)))
		s = append(s, seccomp.Segment{Addr: p.name, Data: from[:min(len(from), p.nameRoom)]},
			seccomp.Segment{Addr: p.nameLen, Data: word(0, 4)})
	}
	if p.header != 0 {
		binary.NativeEndian.PutUint64(word(4, 8), uint64(len(control)))
		binary.NativeEndian.PutUint32(word(12, 4), uint32(flags))
		s = append(s, seccomp.Segment{Addr: p.control, Data: control},
			seccomp.Segment{Addr: p.header + headerControlLen, Data: word(4, 8)},
			seccomp.Segment{Addr: p.header + headerFlags, Data: word(12, 4)})
	}
	if p.transfer != 0 {
		binary.NativeEndian.PutUint32(word(16, 4), uint32(size))
		s = append(s, seccomp.Segment{Addr: p.transfer, Data: word(16, 4)})
	}
	if _, err := seccomp.WriteSegments(tid, s...); err != nil {
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
