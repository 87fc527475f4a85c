package netdb

import (
	"slices"
	"strings"
	"testing"
)

// The built-in databases have what Debian's have.
func TestDefaults(t *testing.T) {
	var entries int
	for fields := range fieldLines([]byte(servicesText)) {
		entries++
		proto := fields[1][strings.IndexByte(fields[1], '/')+1:]
		if s, ok := DefaultServices().ByName(fields[0], proto); !ok || s.Name != fields[0] && !slices.Contains(s.Aliases, fields[0]) || s.Proto != proto {
			t.Errorf("%q: %+v", fields, s)
		}
	}
	if entries != 318 {
		t.Errorf("%d services, want 318", entries)
	}
	entries = 0
	for fields := range fieldLines([]byte(protocolsText)) {
		entries++
		if p, ok := DefaultProtocols().ByName(fields[0]); !ok || p.Name != fields[0] {
			t.Errorf("%q: %+v", fields, p)
		}
	}
	if entries != 57 {
		t.Errorf("%d protocols, want 57", entries)
	}
	var none *Services // stands for the defaults
	if s, ok := none.ByPort(514, "udp"); !ok || s.Name != "syslog" {
		t.Errorf("%+v", s)
	}
	if s, ok := none.ByName("www", "tcp"); !ok || s.Port != 80 {
		t.Errorf("%+v", s)
	}
	var no *Protocols
	if p, ok := no.ByNumber(6); !ok || p.Name != "tcp" {
		t.Errorf("%+v", p)
	}
	if p, ok := no.ByNumber(0); !ok || p.Name != "ip" {
		t.Errorf("%+v", p)
	}
}

const servicesSample = `# comment
first	10/tcp	alias other # alias commented
second 10/tcp alias
first 11/udp
bad
bad 12
bad 12/
bad x/tcp
bad 65536/tcp
bad -1/tcp
last 65535/tcp
 indented 13/tcp`

func TestParseServices(t *testing.T) {
	s := ParseServices([]byte(servicesSample))
	for _, test := range []struct {
		name, proto string
		want        string
		port        int
	}{
		{"first", "tcp", "first", 10}, {"first", "udp", "first", 11}, {"first", "", "first", 10}, {"alias", "tcp", "first", 10},
		{"other", "", "first", 10}, {"second", "", "second", 10}, {"last", "tcp", "last", 65535}, {"indented", "", "indented", 13},
	} {
		if e, ok := s.ByName(test.name, test.proto); !ok || e.Name != test.want || e.Port != test.port {
			t.Errorf("%s/%s: %+v, %v", test.name, test.proto, e, ok)
		}
	}
	for _, name := range []string{"bad", "alias commented", "commented", "#", "First", ""} {
		if e, ok := s.ByName(name, ""); ok {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if e, ok := s.ByPort(10, ""); !ok || e.Name != "first" || !slices.Equal(e.Aliases, []string{"alias", "other"}) {
		t.Errorf("%+v", e)
	}
	if e, ok := s.ByPort(10, "udp"); ok {
		t.Errorf("%+v", e)
	}
	// What is beyond the limit is not read.
	big := strings.Repeat("#\n", MaxServicesFile/2) + "late 1/tcp\n"
	if e, ok := ParseServices([]byte(big)).ByName("late", ""); ok {
		t.Errorf("%+v", e)
	}
}

func TestParseProtocols(t *testing.T) {
	p := ParseProtocols([]byte("one 1 ONE uno # not\nbad x\nbad 65536\nbad -1\nbad\nuno 2 UNO\nlast 262\n"))
	for name, want := range map[string]int{"one": 1, "ONE": 1, "uno": 1, "UNO": 2, "last": 262} {
		if e, ok := p.ByName(name); !ok || e.Number != want {
			t.Errorf("%s: %+v, %v", name, e, ok)
		}
	}
	for _, name := range []string{"bad", "not", "One", "1"} {
		if e, ok := p.ByName(name); ok {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if e, ok := p.ByNumber(2); !ok || e.Name != "uno" {
		t.Errorf("%+v", e)
	}
	if _, ok := p.ByNumber(3); ok {
		t.Error("an unknown number is found")
	}
}

func FuzzServices(f *testing.F) {
	f.Add([]byte(servicesSample))
	f.Add([]byte("a\x00b 1/tcp \xff\n#\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s := ParseServices(text)
		for key, e := range s.byName {
			known := e.Name == key.name || slices.Contains(e.Aliases, key.name)
			if !known || e.Port < 0 || e.Port > 65535 || key.proto != "" && key.proto != e.Proto || strings.ContainsAny(key.name, " \t\n#") {
				t.Fatalf("%+v: %+v", key, e)
			}
		}
		for key, e := range s.byPort {
			if e.Port != key.port || key.proto != "" && key.proto != e.Proto {
				t.Fatalf("%+v: %+v", key, e)
			}
		}
	})
}

func FuzzProtocols(f *testing.F) {
	f.Add([]byte("one 1 ONE uno # not\nbad x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p := ParseProtocols(text)
		for name, e := range p.byName {
			if e.Name != name && !slices.Contains(e.Aliases, name) || e.Number < 0 || e.Number > 65535 {
				t.Fatalf("%q: %+v", name, e)
			}
		}
		for number, e := range p.byNumber {
			if e.Number != number {
				t.Fatalf("%d: %+v", number, e)
			}
		}
	})
}
