package sockets

import "encoding/binary"

// The wire form of control messages is what CMSG_DATA and its relatives walk
// (cmsg(3)): struct cmsghdr of a 64-bit Linux, little-endian on every machine,
// each message padded to 8 bytes.
//
//	0   8          12      16
//	len (8 bytes)  level   type   data …   padding
//
// len counts the header and the data, not the padding.
const (
	cmsgHeaderSize = 16
	cmsgAlign      = 8
)

// ControlLen returns how much of a control buffer a message with n bytes of data
// takes, in bytes (CMSG_SPACE of cmsg(3)). It is what RecvMsg counts.
func ControlLen(n int) int { return cmsgHeaderSize + alignControl(n) }

func alignControl(n int) int { return (n + cmsgAlign - 1) &^ (cmsgAlign - 1) }

// MarshalControl returns messages in the form that C programs pass to sendmsg(2).
func MarshalControl(messages []ControlMessage) []byte {
	var b []byte
	for _, m := range messages {
		b = binary.LittleEndian.AppendUint64(b, uint64(cmsgHeaderSize+len(m.Data)))
		b = binary.LittleEndian.AppendUint32(b, uint32(m.Level))
		b = binary.LittleEndian.AppendUint32(b, uint32(m.Type))
		b = append(b, m.Data...)
		b = append(b, make([]byte, alignControl(len(m.Data))-len(m.Data))...)
	}
	return b
}

// putControl writes messages into a control buffer for as long as there is room,
// as controlRoom does, and returns how much of it they take and whether
// something was left out.
func putControl(b []byte, messages []ControlMessage) (n int, cut bool) {
	for _, m := range messages {
		room := len(b) - n - cmsgHeaderSize
		if room < 0 {
			return n, true
		}
		if len(m.Data) > room {
			m.Data, cut = m.Data[:room], true
		}
		at := b[n:]
		binary.LittleEndian.PutUint64(at, uint64(cmsgHeaderSize+len(m.Data)))
		binary.LittleEndian.PutUint32(at[8:], uint32(m.Level))
		binary.LittleEndian.PutUint32(at[12:], uint32(m.Type))
		copy(at[cmsgHeaderSize:], m.Data)
		used := min(ControlLen(len(m.Data)), len(at))
		clear(at[cmsgHeaderSize+len(m.Data) : used])
		n += used
	}
	return n, cut
}

// ParseControl returns the messages in a control buffer; their data is part of b.
// As in Linux, the padding of the last message may be missing and a rest too
// short for a header is ignored. A length that is shorter than a header or longer
// than the buffer is EINVAL.
func ParseControl(b []byte) ([]ControlMessage, error) { return parseControl(nil, b) }

// parseControl appends the messages in b.
func parseControl(messages []ControlMessage, b []byte) ([]ControlMessage, error) {
	for len(b) >= cmsgHeaderSize {
		size := binary.LittleEndian.Uint64(b)
		if size < cmsgHeaderSize || size > uint64(len(b)) {
			return nil, &Error{Op: "sendmsg", Num: EINVAL, Msg: "a control message has a bad length"}
		}
		messages = append(messages, ControlMessage{
			Level: int(int32(binary.LittleEndian.Uint32(b[8:]))),
			Type:  int(int32(binary.LittleEndian.Uint32(b[12:]))),
			Data:  b[cmsgHeaderSize:size:size],
		})
		b = b[min(alignControl(int(size)), len(b)):]
	}
	return messages, nil
}

// A controlRoom adds messages for as long as the buffer that the caller of
// RecvMsg asked for has room, as put_cmsg of Linux does.
type controlRoom struct {
	left     int // bytes of the buffer
	messages []ControlMessage
	cut      bool // MSG_CTRUNC
}

// add takes a message whole, or the part of its data that fits.
func (r *controlRoom) add(m ControlMessage) {
	if r.left < cmsgHeaderSize {
		r.cut = true
		return
	}
	if room := r.left - cmsgHeaderSize; len(m.Data) > room {
		m.Data, r.cut = m.Data[:room], true
	}
	r.messages = append(r.messages, m)
	r.left -= min(r.left, ControlLen(len(m.Data)))
}
