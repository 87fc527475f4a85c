package netdb

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
)

// maxHostAddrs bounds the addresses, and the lines, that one name keeps.
const maxHostAddrs = 1024

// Hosts is the contents of a hosts file (hosts(5)). It is not changed after it
// was made; a nil *Hosts is empty.
type Hosts struct {
	byName map[string]*HostsEntry // folded
	byAddr map[netip.Addr]*hostsLine
}

// HostsEntry is what a hosts file says of one name.
type HostsEntry struct {
	Name  string       // the first name of the first line that has the name
	Addrs []netip.Addr // of all such lines, in the order of the file
	lines []*hostsLine
}

// hostsLine is a line: an address and its names, of which only host names count.
type hostsLine struct {
	addr  netip.Addr
	names []string
}

// ParseHosts reads a hosts file. All lines of a name are merged, whatever their
// number or length. A line whose first field is not an address as
// netip.ParseAddr reads it is skipped: the forms of inet_aton are not accepted
// here, as in glibc.
func ParseHosts(text []byte) *Hosts {
	h := newHosts(0)
	for line := range bytes.Lines(bytes.TrimPrefix(text, utf8BOM)) {
		line, _, _ = bytes.Cut(line, []byte("#"))
		fields := strings.Fields(string(line))
		if len(fields) < 2 {
			continue
		}
		addr, err := netip.ParseAddr(fields[0])
		if err != nil {
			continue
		}
		h.add(addr, fields[1:])
	}
	return h
}

// HostsFromMap makes a table of a map from names to their addresses.
func HostsFromMap(m map[string][]netip.Addr) *Hosts {
	h := newHosts(len(m))
	for name, addrs := range m {
		for _, addr := range addrs {
			h.add(addr, []string{name})
		}
	}
	return h
}

func newHosts(size int) *Hosts {
	return &Hosts{byName: make(map[string]*HostsEntry, size), byAddr: make(map[netip.Addr]*hostsLine, size)}
}

// utf8BOM is what some editors put in front of a text.
var utf8BOM = []byte("\xEF\xBB\xBF")

// add adds a line. What is no host name is left out: nobody can look it up, and
// as a canonical name it must not be shown.
func (h *Hosts) add(addr netip.Addr, names []string) {
	names = slices.DeleteFunc(names, func(name string) bool { return !IsHostname(name) })
	if len(names) == 0 {
		return
	}
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, ".")
	}
	line := &hostsLine{addr: addr, names: names}
	if key := addr.Unmap(); h.byAddr[key] == nil {
		h.byAddr[key] = line
	}
	for _, name := range names {
		h.addName(FoldName(name), line)
	}
}

func (h *Hosts) addName(key string, line *hostsLine) {
	e := h.byName[key]
	if e == nil {
		e = &HostsEntry{Name: line.names[0]}
		h.byName[key] = e
	}
	if len(e.lines) == maxHostAddrs || len(e.lines) > 0 && e.lines[len(e.lines)-1] == line {
		return
	}
	e.lines = append(e.lines, line)
	if !slices.Contains(e.Addrs, line.addr) {
		e.Addrs = append(e.Addrs, line.addr)
	}
}

// Lookup returns the entry of a name, in any case, with or without a final dot,
// or nil.
func (h *Hosts) Lookup(name string) *HostsEntry {
	if h == nil {
		return nil
	}
	return h.byName[FoldName(name)]
}

// LookupAddr returns the names of an address, the official one first, or nil.
// Where several lines have the address, the first counts.
func (h *Hosts) LookupAddr(addr netip.Addr) []string {
	if h == nil {
		return nil
	}
	line := h.byAddr[addr.Unmap()]
	if line == nil {
		line = h.byAddr[addr.Unmap().WithZone("")]
	}
	if line == nil {
		return nil
	}
	return slices.Clone(line.names)
}

// Answer returns what e says for a look-up, or false when it has no address of
// the family.
func (e *HostsEntry) Answer(o LookupOptions) (Answer, bool) {
	ans := Answer{Name: e.Name, Addrs: SelectFamily(e.Addrs, o.Family), Source: SourceHosts}
	if len(ans.Addrs) == 0 {
		return Answer{}, false
	}
	if o.HostsAliases {
		ans.Name, ans.Aliases = e.names(o.Family)
	}
	return ans, true
}

// names returns the canonical name and the aliases of the lines of a family.
func (e *HostsEntry) names(family Family) (canonical string, aliases []string) {
	seen := make(map[string]bool)
	for _, line := range e.lines {
		if len(SelectFamily([]netip.Addr{line.addr}, family)) == 0 {
			continue
		}
		for _, name := range line.names {
			key := FoldName(name)
			switch {
			case seen[key]:
				continue
			case canonical == "":
				canonical = name
			default:
				aliases = append(aliases, name)
			}
			seen[key] = true
		}
	}
	return canonical, aliases
}
