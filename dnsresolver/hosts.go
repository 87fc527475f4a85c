package dnsresolver

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
)

// maxHostsFile is the largest hosts file that is read, in bytes.
const maxHostsFile = 64 << 20

// hostsTable is the contents of a hosts file (hosts(5)). It is not changed
// after it was made.
type hostsTable struct {
	byName map[string]*hostsEntry // lower case, no final dot
}

// hostsEntry is what a hosts file says of one name.
type hostsEntry struct {
	canonical string       // the first name of the first line that has the name
	addrs     []netip.Addr // of all such lines, in the order of the file
}

// parseHosts reads a hosts file. All lines of a name are merged, whatever their
// number or length. A line whose first field is not an address as
// netip.ParseAddr reads it is skipped: the forms of inet_aton are not accepted
// here, as in glibc.
func parseHosts(text []byte) *hostsTable {
	t := &hostsTable{byName: make(map[string]*hostsEntry)}
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
		for _, name := range fields[1:] {
			t.add(name, fields[1], addr)
		}
	}
	return t
}

// utf8BOM is what some editors put in front of a text.
var utf8BOM = []byte("\xEF\xBB\xBF")

// add adds an address of a name. What is no host name is left out: nobody can
// look it up, and as a canonical name it must not be shown.
func (t *hostsTable) add(name, canonical string, addr netip.Addr) {
	if !isHostname(name) {
		return
	}
	if !isHostname(canonical) {
		canonical = name
	}
	key := hostsKey(name)
	e := t.byName[key]
	if e == nil {
		e = &hostsEntry{canonical: strings.TrimSuffix(canonical, ".")}
		t.byName[key] = e
	}
	if len(e.addrs) < maxAddrs && !slices.Contains(e.addrs, addr) {
		e.addrs = append(e.addrs, addr)
	}
}

// lookup returns the entry of a name, or nil.
func (t *hostsTable) lookup(name string) *hostsEntry {
	if t == nil {
		return nil
	}
	return t.byName[hostsKey(name)]
}

// hostsKey is the form in which names are compared.
func hostsKey(name string) string { return lowerName(strings.TrimSuffix(name, ".")) }

// hostsFromMap makes a table of Config.Hosts.
func hostsFromMap(m map[string][]netip.Addr) *hostsTable {
	if len(m) == 0 {
		return nil
	}
	t := &hostsTable{byName: make(map[string]*hostsEntry, len(m))}
	for name, addrs := range m {
		for _, addr := range addrs {
			t.add(name, name, addr)
		}
	}
	return t
}
