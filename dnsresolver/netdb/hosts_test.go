package netdb

import (
	"fmt"
	"strings"
	"testing"
)

// A hosts file with a very long line, many lines, and many addresses of one
// name.
func TestBigHostsFile(t *testing.T) {
	var b strings.Builder
	b.WriteString("192.0.2.1")
	for i := range 50_000 {
		fmt.Fprintf(&b, " name%d.test", i)
	}
	b.WriteString("\n")
	for i := range 20_000 {
		fmt.Fprintf(&b, "10.1.%d.%d many.test blocked%d.test\n", i>>8, i&0xFF, i)
	}
	h := ParseHosts([]byte(b.String()))
	if e := h.Lookup("name49999.test"); e == nil || e.Name != "name0.test" {
		t.Errorf("last name of a long line: %+v", e)
	}
	if e := h.Lookup("blocked19999.test"); e == nil || e.Name != "many.test" {
		t.Errorf("last line: %+v", e)
	}
	if e := h.Lookup("many.test"); len(e.Addrs) != maxHostAddrs {
		t.Errorf("%d addresses of one name, want %d", len(e.Addrs), maxHostAddrs)
	}
}

func FuzzHosts(f *testing.F) {
	f.Add([]byte("192.0.2.100 multi.test alias1 Alias2.Test # comment\n\n2001:db8::100\tmulti.test.\n"))
	f.Add([]byte("1.1.1.1 a\x00b \xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		h := ParseHosts(text)
		for name, e := range h.byName {
			if !IsHostname(name) || !IsHostname(e.Name) || len(e.Addrs) == 0 || len(e.Addrs) > maxHostAddrs || h.Lookup(name) != e || h.Lookup(name+".") != e {
				t.Fatalf("%q: %+v", name, e)
			}
		}
	})
}
