package sockets

import (
	"encoding/asn1"
	"strings"
	"testing"
)

// The name of a certificate comes from a peer: whatever it is, the text has
// nothing but printable ASCII in it.
func FuzzOneLineName(f *testing.F) {
	type attribute struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	name := func(tag int, value string) []byte {
		a := attribute{asn1.ObjectIdentifier{2, 5, 4, 3}, asn1.RawValue{Tag: tag, Bytes: []byte(value)}}
		set, err := asn1.MarshalWithParams([]attribute{a}, "set")
		if err != nil {
			f.Fatal(err)
		}
		all, err := asn1.Marshal([]asn1.RawValue{{FullBytes: set}})
		if err != nil {
			f.Fatal(err)
		}
		return all
	}
	f.Add(name(19, "www.example.org"))
	f.Add(name(12, "käse\n"))
	f.Add(name(30, "\x00a\x01b"))
	f.Add([]byte{0x30, 0})
	f.Add([]byte{})
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, raw []byte) {
		text := oneLineName(raw)
		if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
			t.Errorf("% x: %q", raw, text)
		}
		if text != "" && text[0] != '/' {
			t.Errorf("% x: %q", raw, text)
		}
	})
}

func TestOneLineName(t *testing.T) {
	if s := oneLineName([]byte{0x30, 0}); s != "" {
		t.Errorf("the empty name: %q", s)
	}
	if s := oneLineName([]byte("no name")); s != "" {
		t.Errorf("garbage: %q", s)
	}
}
