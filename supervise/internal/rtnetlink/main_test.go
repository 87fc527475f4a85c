package rtnetlink_test

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/testnet"
)

func TestMain(m *testing.M) { testnet.Main(m) }

func prefixes(ss ...string) (out []netip.Prefix) {
	for _, s := range ss {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// newStack has a tunnel tun0 and an Ethernet eth0, and default routes through the
// first.
func newStack(t testing.TB) *stack.Stack {
	t.Helper()
	const mac = tcpip.LinkAddress("\x02\x00\x00\x00\x00\x09")
	s, err := stack.New(stack.Config{
		NICs: []stack.NIC{
			{Name: "tun0", Link: channel.New(16, 1400, ""), Addrs: prefixes("10.0.0.2/24", "10.0.0.3/24", "fd00::2/64")},
			{Name: "eth0", Link: channel.New(16, 1500, mac), Addrs: prefixes("192.168.7.2/24")},
		},
		Routes: []stack.Route{
			{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.0.0.1")},
			{Dst: netip.MustParsePrefix("::/0"), Gateway: netip.MustParseAddr("fd00::1")},
			{Dst: netip.MustParsePrefix("172.16.0.0/12"), NIC: "eth0"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// u32 and u16 are numbers as a machine with the lowest byte first has them, such as
// all that the supervisor runs on.
func u32(v uint32) []byte { return []byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)} }
func u16(v uint16) []byte { return []byte{byte(v), byte(v >> 8)} }

const (
	seq  = 0x5eb
	dump = 0x300
	ack  = 4
)

// message is a request with NLM_F_REQUEST and the flags.
func message(kind, flags uint16, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	return slices.Concat(u32(uint32(16+len(body))), u16(kind), u16(flags|1), u32(seq), u32(0), body)
}

func attr(kind uint16, v []byte) []byte {
	b := slices.Concat(u16(uint16(4+len(v))), u16(kind), v)
	return append(b, make([]byte, -len(v)&3)...)
}

// ifinfo, ifaddr and rtmsg are the headers of requests about links, addresses and routes.
func ifinfo(family uint8, index uint32) []byte {
	return slices.Concat([]byte{family, 0, 0, 0}, u32(index), u32(0), u32(0))
}

func ifaddr(family uint8, index uint32) []byte {
	return slices.Concat([]byte{family, 0, 0, 0}, u32(index))
}

func rtmsg(family uint8, dstBits, table uint8, flags uint32) []byte {
	return slices.Concat([]byte{family, dstBits, 0, 0, table, 0, 0, 0}, u32(flags))
}

func dst(s string) []byte {
	a := netip.MustParseAddr(s)
	family, bits := uint8(2), uint8(32)
	if a.Is6() {
		family, bits = 10, 128
	}
	return append(rtmsg(family, bits, 0, 0), attr(1, a.AsSlice())...)
}

// A reply is a message taken apart by hand, so that mistakes of the package's own
// parser do not hide its mistakes.
type reply struct {
	kind, flags uint16
	seq, port   uint32
	fixed       []byte            // the header of the kind
	attrs       map[uint16]string // in hexadecimal
	order       []uint16
}

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}
func le16(b []byte) uint16 { return uint16(b[0]) | uint16(b[1])<<8 }

var fixedLen = map[uint16]int{2: 4, 3: 4, 16: 16, 20: 8, 24: 12, 28: 12, 32: 12}

// parse fails on anything that is not wholly well-formed.
func parse(datagram []byte) (out []reply, err error) {
	for b := datagram; len(b) > 0; {
		if len(b) < 16 || int(le32(b)) < 16 || (int(le32(b))+3)&^3 > len(b) {
			return nil, fmt.Errorf("a message is cut off: % x", b)
		}
		m := b[:le32(b)]
		b = b[(len(m)+3)&^3:]
		r := reply{kind: le16(m[4:]), flags: le16(m[6:]), seq: le32(m[8:]), port: le32(m[12:]), attrs: map[uint16]string{}}
		fixed, ok := fixedLen[r.kind]
		if !ok || len(m) < 16+fixed {
			return nil, fmt.Errorf("a message of an unknown kind: % x", m)
		}
		r.fixed = m[16 : 16+fixed]
		rest := m[16+fixed:]
		if r.kind == 2 { // the request follows, whole unless NLM_F_CAPPED
			n := 16
			if r.flags&0x100 == 0 {
				n = (int(le32(rest)) + 3) &^ 3
			}
			if len(rest) < n {
				return nil, fmt.Errorf("an error quotes too little: % x", m)
			}
			r.fixed, rest = m[16:16+fixed+16], rest[n:]
		}
		for len(rest) > 0 {
			if len(rest) < 4 || le16(rest) < 4 || int(le16(rest)) > len(rest) {
				return nil, fmt.Errorf("an attribute is cut off: % x in % x", rest, m)
			}
			n, kind := int(le16(rest)), le16(rest[2:])
			r.attrs[kind] = hex.EncodeToString(rest[4:n])
			r.order = append(r.order, kind)
			rest = rest[min((n+3)&^3, len(rest)):]
		}
		out = append(out, r)
	}
	return out, nil
}

func (r reply) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "kind %d flags %#x % x", r.kind, r.flags, r.fixed)
	for _, kind := range r.order {
		fmt.Fprintf(&b, " %d=%s", kind, r.attrs[kind])
	}
	return b.String()
}

// errno is that of an NLMSG_ERROR or NLMSG_DONE.
func (r reply) errno() int { return -int(int32(le32(r.fixed))) }

func parseAll(t testing.TB, datagrams [][]byte) (out []reply) {
	t.Helper()
	for _, d := range datagrams {
		rs, err := parse(d)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rs...)
	}
	return out
}
