//go:build linux && (amd64 || arm64)

package supervise

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
)

// An argument is how one argument of a call is written.
type argument struct {
	index  int
	text   func(c *call, index int, value int64) string // value is what the call returned
	result bool                                         // the call fills it in
}

// traced are the arguments of each call, as its manual page names them. Lengths
// of addresses are not written.
var traced = map[string][]argument{
	"socket":      {{0, familyText, false}, {1, typeText, false}, {2, protocolText, false}},
	"connect":     {{0, intText, false}, {1, addressText, false}},
	"bind":        {{0, intText, false}, {1, addressText, false}},
	"listen":      {{0, intText, false}, {1, intText, false}},
	"accept":      {{0, intText, false}, {1, newAddressText, true}},
	"accept4":     {{0, intText, false}, {1, newAddressText, true}, {3, typeText, false}},
	"shutdown":    {{0, intText, false}, {1, howText, false}},
	"getsockname": {{0, intText, false}, {1, newAddressText, true}},
	"getpeername": {{0, intText, false}, {1, newAddressText, true}},
	"setsockopt":  {{0, intText, false}, {1, levelText, false}, {2, optionText, false}, {3, valueText, false}},
	"getsockopt":  {{0, intText, false}, {1, levelText, false}, {2, optionText, false}, {3, newValueText, true}},
	"sendto":      {{0, intText, false}, {1, dataText, false}, {2, sizeText, false}, {3, flagsText, false}, {4, addressText, false}},
	"recvfrom":    {{0, intText, false}, {1, newDataText, true}, {2, sizeText, false}, {3, flagsText, false}, {4, newAddressText, true}},
	"sendmsg":     {{0, intText, false}, {1, messageText, false}, {2, flagsText, false}},
	"recvmsg":     {{0, intText, false}, {1, messageText, true}, {2, flagsText, false}},
	"sendmmsg":    {{0, intText, false}, {1, pointerText, false}, {2, intText, false}, {3, flagsText, false}},
	"recvmmsg":    {{0, intText, false}, {1, pointerText, false}, {2, intText, false}, {3, flagsText, false}},
	"ioctl":       {{0, intText, false}, {1, requestText, false}, {2, pointerText, false}},
}

// untraced are the arguments of a call that has no row.
var untraced = []argument{{0, pointerText, false}, {1, pointerText, false}, {2, pointerText, false}}

func argumentsOf(name string) []argument {
	if a, ok := traced[name]; ok {
		return a
	}
	return untraced
}

func intText(c *call, i int, _ int64) string  { return strconv.Itoa(int(int32(c.arg(i)))) }
func sizeText(c *call, i int, _ int64) string { return strconv.FormatUint(c.arg(i), 10) }

func pointerText(c *call, i int, _ int64) string {
	if c.arg(i) == 0 {
		return "NULL"
	}
	return fmt.Sprintf("%#x", c.arg(i))
}

func familyText(c *call, i int, _ int64) string { return sockets.Family(int32(c.arg(i))).String() }

func typeText(c *call, i int, _ int64) string {
	return bitsText(c.arg(i)&^typeMask, typeNames[c.arg(i)&typeMask], typeFlagNames)
}

func protocolText(c *call, i int, _ int64) string {
	if name, ok := protocolNames[c.arg(i)]; ok && c.arg(0) != unix.AF_NETLINK {
		return name
	}
	return intText(c, i, 0)
}

func howText(c *call, i int, _ int64) string {
	return bitsText(0, [...]string{"SHUT_RD", "SHUT_WR", "SHUT_RDWR", intText(c, i, 0)}[min(c.arg(i), 3)], nil)
}

func levelText(c *call, i int, _ int64) string {
	if name, ok := levelNames[c.arg(i)]; ok {
		return name
	}
	return intText(c, i, 0)
}

func optionText(c *call, i int, _ int64) string {
	if name := sockets.OptionName(int(int32(c.arg(i-1))), int(int32(c.arg(i)))); name != "" {
		return name
	}
	return intText(c, i, 0)
}

func flagsText(c *call, i int, _ int64) string { return bitsText(c.arg(i), "", messageFlagNames) }

func requestText(c *call, i int, _ int64) string {
	if name, ok := requestNames[c.arg(i)]; ok {
		return name
	}
	return pointerText(c, i, 0)
}

// bitsText joins a first word, if any, and the names of bits. What has no name is
// written as a number.
func bitsText(v uint64, first string, names []bitName) string {
	var words []string
	if first != "" {
		words = append(words, first)
	}
	for _, n := range names {
		if v&n.bit != 0 {
			words = append(words, n.name)
			v &^= n.bit
		}
	}
	if v != 0 || len(words) == 0 {
		words = append(words, fmt.Sprintf("%#x", v))
	}
	if len(words) == 1 && words[0] == "0x0" {
		return "0"
	}
	return strings.Join(words, "|")
}

// addressText is the address in argument i, whose length is in the next one.
func addressText(c *call, i int, _ int64) string { return c.addressAt(c.arg(i), c.arg(i+1)) }

// newAddressText is the address in argument i, whose length is where the next one
// points.
func newAddressText(c *call, i int, _ int64) string {
	var size [4]byte
	if c.arg(i) == 0 || c.read(c.arg(i+1), size[:]) != nil {
		return pointerText(c, i, 0)
	}
	return c.addressAt(c.arg(i), uint64(binary.NativeEndian.Uint32(size[:])))
}

func (c *call) addressAt(addr, size uint64) string {
	if addr == 0 {
		return "NULL"
	}
	a, err := c.sockaddr(addr, size)
	switch {
	case err != nil:
		return fmt.Sprintf("%#x", addr)
	case a == nil:
		return "{AF_UNSPEC}"
	}
	if f, ok := a.(foreign); ok {
		return fmt.Sprintf("{%s}", f.family)
	}
	return fmt.Sprintf("{%s, %s}", a.Family(), a)
}

// mostShown is how many bytes of what is sent and received are shown, as strace
// does.
const mostShown = 32

func dataText(c *call, i int, _ int64) string { return c.dataAt(c.arg(i), c.arg(i+1)) }

func newDataText(c *call, i int, value int64) string {
	return c.dataAt(c.arg(i), min(uint64(max(value, 0)), c.arg(i+1)))
}

func (c *call) dataAt(addr, size uint64) string {
	b := make([]byte, min(size, mostShown))
	if c.read(addr, b) != nil {
		return fmt.Sprintf("%#x", addr)
	}
	text := quoted(b)
	if size > mostShown {
		text += "..."
	}
	return text
}

// quoted writes bytes as C does.
func quoted(b []byte) string {
	text := []byte{'"'}
	for _, c := range b {
		switch {
		case c == '"' || c == '\\':
			text = append(text, '\\', c)
		case c == '\n':
			text = append(text, `\n`...)
		case c == '\r':
			text = append(text, `\r`...)
		case c >= ' ' && c <= '~':
			text = append(text, c)
		default:
			text = fmt.Appendf(text, `\x%02x`, c)
		}
	}
	return string(append(text, '"'))
}

// valueText is the option's value in argument i.
func valueText(c *call, i int, _ int64) string { return c.valueAt(c.arg(i), c.arg(i+1)) }

func newValueText(c *call, i int, _ int64) string {
	var size [4]byte
	if c.read(c.arg(i+1), size[:]) != nil {
		return pointerText(c, i, 0)
	}
	return c.valueAt(c.arg(i), uint64(binary.NativeEndian.Uint32(size[:])))
}

// valueAt writes an option's value as a number where it has the size of an int.
func (c *call) valueAt(addr, size uint64) string {
	var word [4]byte
	if size != uint64(len(word)) || c.read(addr, word[:]) != nil {
		return c.dataAt(addr, size)
	}
	return strconv.Itoa(int(int32(binary.NativeEndian.Uint32(word[:]))))
}

// Where the fields of struct msghdr and struct iovec are, on 64-bit machines
// (sendmsg(2), readv(2)).
const (
	msghdrSize    = 56
	msghdrName    = 0
	msghdrNameLen = 8
	msghdrIov     = 16
	msghdrIovLen  = 24
	msghdrControl = 40 // the control data's length
	iovecSize     = 16
)

// messageText is the struct msghdr in argument i: address, data, control data.
func messageText(c *call, i int, value int64) string {
	var h [msghdrSize]byte
	if c.read(c.arg(i), h[:]) != nil {
		return pointerText(c, i, 0)
	}
	word := func(at int) uint64 { return binary.NativeEndian.Uint64(h[at:]) }
	name := c.addressAt(word(msghdrName), uint64(binary.NativeEndian.Uint32(h[msghdrNameLen:])))
	data := "NULL"
	var v [iovecSize]byte
	if word(msghdrIovLen) > 0 && c.read(word(msghdrIov), v[:]) == nil {
		size := binary.NativeEndian.Uint64(v[8:])
		if c.h.name == "recvmsg" {
			size = min(size, uint64(max(value, 0)))
		}
		data = c.dataAt(binary.NativeEndian.Uint64(v[:]), size)
	}
	text := fmt.Sprintf("{%s, %s", name, data)
	if parts := word(msghdrIovLen); parts > 1 {
		text += fmt.Sprintf(" and %d more", parts-1)
	}
	if control := word(msghdrControl); control > 0 {
		text += fmt.Sprintf(", %d bytes of control", control)
	}
	return text + "}"
}
