package oracle

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// A step is one call, as words: its name, the socket's name, and arguments. Those that are left out are "".
type step []string

func (s step) op() string   { return s.word(0) }
func (s step) sock() string { return s.word(1) }

func (s step) word(i int) string {
	if i < len(s) {
		return s[i]
	}
	return ""
}

// number reads a word as a number; none is 0.
func (s step) number(i int) int {
	if s.word(i) == "" {
		return 0
	}
	n, err := strconv.ParseInt(s.word(i), 0, 64)
	if err != nil {
		panic(fmt.Sprintf("%v: word %d is not a number", s, i))
	}
	return int(n)
}

// data is a word as bytes: "" is none, and xN is N bytes of pattern.
func (s step) data(i int) []byte {
	w := s.word(i)
	if w == "-" {
		return nil
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(w, "x")); err == nil && strings.HasPrefix(w, "x") {
		p := make([]byte, n)
		for j := range p {
			p[j] = byte('A' + j%23)
		}
		return p
	}
	return []byte(w)
}

// flags reads a word as names of message flags, separated by "|".
func (s step) flags(i int) int {
	return bits(s.word(i), messageFlags)
}

func bits(word string, names map[string]int) int {
	v := 0
	for name := range strings.SplitSeq(word, "|") {
		bit, ok := names[name]
		if !ok && name != "" {
			panic("no such flag: " + name)
		}
		v |= bit
	}
	return v
}

var messageFlags = map[string]int{
	"OOB": 0x1, "PEEK": 0x2, "DONTROUTE": 0x4, "TRUNC": 0x20, "DONTWAIT": 0x40, "EOR": 0x80, "WAITALL": 0x100,
	"CONFIRM": 0x800, "ERRQUEUE": 0x2000, "NOSIGNAL": 0x4000, "MORE": 0x8000, "UNKNOWN": 0x800000,
}

// pollBits are those of poll(2), in the order in which they are printed.
var pollBits = []struct {
	name string
	bit  int
}{
	{"IN", 1}, {"PRI", 2}, {"OUT", 4}, {"ERR", 8}, {"HUP", 0x10}, {"NVAL", 0x20}, {"RDHUP", 0x2000},
}

// allEvents is every bit that can be asked for.
const allEvents = 1 | 2 | 4 | 0x2000

func pollMask(word string) int {
	if word == "" {
		return allEvents
	}
	names := map[string]int{}
	for _, b := range pollBits {
		names[b.name] = b.bit
	}
	return bits(word, names)
}

func maskName(mask int) string {
	var names []string
	for _, b := range pollBits {
		if mask&b.bit != 0 {
			names = append(names, b.name)
		}
	}
	if len(names) == 0 {
		return "0"
	}
	return strings.Join(names, "|")
}

// An optionName is a level and a number of it, as in the kernel's headers.
type optionName struct{ level, name int }

var optionNames = map[string]optionName{
	"REUSEADDR": {1, 2}, "TYPE": {1, 3}, "BROADCAST": {1, 6}, "SNDBUF": {1, 7}, "RCVBUF": {1, 8}, "KEEPALIVE": {1, 9},
	"OOBINLINE": {1, 10}, "REUSEPORT": {1, 15}, "RCVLOWAT": {1, 18}, "ACCEPTCONN": {1, 30}, "PROTOCOL": {1, 38}, "DOMAIN": {1, 39},
	"TOS": {0, 1}, "TTL": {0, 2}, "RECVERR": {0, 11}, "RECVTTL": {0, 12}, "PKTINFO": {0, 8}, "MTU": {0, 14},
	"V6ONLY": {41, 26}, "UNICAST_HOPS": {41, 16}, "RECVERR6": {41, 25}, "RECVHOPLIMIT": {41, 51},
	"NODELAY": {6, 1}, "MAXSEG": {6, 2}, "CORK": {6, 3}, "LINGER2": {6, 8}, "DEFER_ACCEPT": {6, 9},
	"TCP_INFO": {6, 11}, // as an int: its first byte is the state
}

// A program is what runs on both sides.
type program []step

// parse reads steps that are separated by ";".
func parse(text string) program {
	var p program
	for part := range strings.SplitSeq(text, ";") {
		if words := strings.Fields(part); len(words) > 0 {
			p = append(p, words)
		}
	}
	return p
}

func (p program) String() string {
	parts := make([]string, len(p))
	for i, s := range p {
		parts[i] = strings.Join(s, " ")
	}
	return strings.Join(parts, "; ")
}

// A scene says which addresses the words of a program stand for.
type scene struct {
	family string            // "v4", "v6", "dual": IPv6 sockets that use IPv4, or "unix"
	base   int               // port 1 of a program is base+1, and so on to 9
	seen   map[uint16]string // names of the ports that the system chose, during one look
}

// places are the words for addresses, as IPv4 and IPv6.
var places = map[string][2]string{
	"lo":        {"127.0.0.1", "::1"},
	"any":       {"0.0.0.0", "::"},
	"foreign":   {"8.8.8.8", "2001:db8::8"},
	"silent":    {"10.99.0.2", "fd99::2"}, // a host that never answers
	"broadcast": {"255.255.255.255", "ff02::1"},
	"multicast": {"224.0.0.77", "ff05::77"},
	"other":     {"127.0.0.2", "fd99::1"}, // another address of this host
}

const ephemeralFirst = 32768 // lower end of net.ipv4.ip_local_port_range

// resolve returns the address that "place:port" stands for and whether it is of the family of the scene's sockets.
func (s *scene) resolve(word string) netip.AddrPort {
	place, port, _ := strings.Cut(word, ":")
	n, err := strconv.Atoi(port)
	if err != nil {
		panic("bad address: " + word)
	}
	if n > 0 && n < 10 {
		n += s.base
	}
	is6 := s.family == "v6"
	if place == "wrong" { // of the other family than the socket
		return netip.AddrPortFrom(netip.MustParseAddr(places["lo"][map[string]int{"v4": 1, "v6": 0, "dual": 0}[s.family]]), uint16(n))
	}
	both, ok := places[place]
	if !ok {
		panic("bad address: " + word)
	}
	addr := netip.MustParseAddr(both[0])
	if is6 || place == "any" && s.family == "dual" {
		addr = netip.MustParseAddr(both[1])
	} else if s.family == "dual" {
		addr = netip.AddrFrom16(addr.As16())
	}
	return netip.AddrPortFrom(addr, uint16(n))
}

// name is the inverse of resolve: an address as a word. A port that the system chose is "*", or during a look, where it
// matters which sockets have the same, a letter.
func (s *scene) name(ap netip.AddrPort) string {
	if !ap.IsValid() {
		return "none"
	}
	host := ap.Addr().String()
	for place, both := range places {
		if host == both[0] || host == both[1] || host == "::ffff:"+both[0] {
			host = place
			if ap.Addr().Is4In6() && s.family != "dual" || ap.Addr().Is4() && s.family != "v4" {
				host = both[0] + "!" // the other form than the family's
			}
		}
	}
	port := int(ap.Port())
	switch {
	case port > s.base && port < s.base+10:
		return fmt.Sprintf("%s:%d", host, port-s.base)
	case port < ephemeralFirst:
		return fmt.Sprintf("%s:%d", host, port)
	}
	if s.seen == nil {
		return host + ":*"
	}
	if s.seen[ap.Port()] == "" {
		s.seen[ap.Port()] = string(rune('a' + len(s.seen)%26))
	}
	return host + ":" + s.seen[ap.Port()]
}

// path returns the name in the abstract namespace that a word stands for.
func (s *scene) path(word string) string { return fmt.Sprintf("%d/%s", s.base, word) }

// pathName is the inverse of path. What the system chose is "*".
func (s *scene) pathName(path string) string {
	switch name, ours := strings.CutPrefix(path, fmt.Sprintf("%d/", s.base)); {
	case path == "":
		return "unnamed"
	case ours:
		return name
	}
	return "*"
}
