package rtnetlink

import "encoding/binary"

const (
	headerLen = 16 // bytes of struct nlmsghdr
	align     = 4  // NLMSG_ALIGNTO and RTA_ALIGNTO
	attrLen   = 4  // bytes of struct rtattr

	// goodSize is NLMSG_GOODSIZE where pages have 4 KiB: a page without the 320 bytes of
	// struct skb_shared_info.
	goodSize = 4096 - 320
)

// netlink is in the byte order of the machine.
var order = binary.NativeEndian

func aligned(n int) int { return (n + align - 1) &^ (align - 1) }

// A header is struct nlmsghdr without the port.
type header struct {
	length uint32
	kind   uint16
	flags  uint16
	seq    uint32
}

func parseHeader(b []byte) header {
	return header{order.Uint32(b), order.Uint16(b[4:]), order.Uint16(b[6:]), order.Uint32(b[8:])}
}

// A builder appends to a message. The first byte is that of the header.
type builder []byte

func newMessage(kind, flags uint16, seq, port uint32) builder {
	b := make(builder, 0, 256)
	b.u32(0) // the length, by done
	b.u16(kind)
	b.u16(flags)
	b.u32(seq)
	b.u32(port)
	return b
}

func (b *builder) u8(v ...uint8)  { *b = append(*b, v...) }
func (b *builder) u16(v uint16)   { *b = order.AppendUint16(*b, v) }
func (b *builder) u32(v uint32)   { *b = order.AppendUint32(*b, v) }
func (b *builder) pad()           { *b = append(*b, make([]byte, aligned(len(*b))-len(*b))...) }
func (b *builder) bytes(p []byte) { *b = append(*b, p...) }

func (b *builder) attr(kind uint16, data []byte) {
	b.u16(uint16(attrLen + len(data)))
	b.u16(kind)
	b.bytes(data)
	b.pad()
}

func (b *builder) attr8(kind uint16, v uint8)      { b.attr(kind, []byte{v}) }
func (b *builder) attr32(kind uint16, v uint32)    { b.attr(kind, order.AppendUint32(nil, v)) }
func (b *builder) text(kind uint16, s string)      { b.attr(kind, append([]byte(s), 0)) }
func (b *builder) words(kind uint16, v ...uint32)  { b.attr(kind, appendWords(nil, v)) }
func (b *builder) longs(kind uint16, vs ...uint64) { b.attr(kind, appendLongs(nil, vs)) }

func appendWords(b []byte, vs []uint32) []byte {
	for _, v := range vs {
		b = order.AppendUint32(b, v)
	}
	return b
}

func appendLongs(b []byte, vs []uint64) []byte {
	for _, v := range vs {
		b = order.AppendUint64(b, v)
	}
	return b
}

// done fills in the length, which does not count the padding that brings the next
// message to its boundary.
func (b *builder) done() []byte {
	order.PutUint32(*b, uint32(len(*b)))
	b.pad()
	return *b
}

// attrs are the attributes of a request by type; of two of a type the last counts.
type attrs map[uint16][]byte

// parseAttrs reads attributes up to the first that is not whole, and tells how many
// bytes it left.
func parseAttrs(b []byte) (as attrs, left int) {
	const kindBits = 0x3fff // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
	as = attrs{}
	for len(b) >= attrLen {
		n := int(order.Uint16(b))
		if n < attrLen || n > len(b) {
			break
		}
		as[order.Uint16(b[2:])&kindBits] = b[attrLen:n]
		b = b[min(aligned(n), len(b)):]
	}
	return as, len(b)
}

// u32 returns an attribute of four bytes, 0 where there is none.
func (as attrs) u32(kind uint16) (uint32, *fault) {
	v, ok := as[kind]
	switch {
	case !ok:
		return 0, nil
	case len(v) < 4:
		return 0, &fault{errno: errRange, text: "Attribute failed policy validation"}
	}
	return order.Uint32(v), nil
}

// pack puts messages into as few datagrams of at most goodSize bytes as their order
// allows. A message that is longer has one for itself.
func pack(messages [][]byte) (datagrams [][]byte) {
	var last []byte
	for _, m := range messages {
		if len(last) > 0 && len(last)+len(m) > goodSize {
			datagrams = append(datagrams, last)
			last = nil
		}
		last = append(last, m...)
	}
	if len(last) > 0 {
		datagrams = append(datagrams, last)
	}
	return datagrams
}
