package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// answerOf is a reply with one record of a type and its data, and an OPT record with
// options, neither of which need make sense.
func answerOf(typ uint16, data, options []byte) []byte {
	b := []byte("\x12\x34\x80\x80\x00\x01\x00\x01\x00\x00\x00\x01\x01x\x04test\x00")
	b = binary.BigEndian.AppendUint16(b, typ)
	b = append(b, 0, 1, 0xC0, HeaderLen)
	b = binary.BigEndian.AppendUint16(b, typ)
	b = append(b, 0, 1, 0, 0, 0, 60)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	b = append(append(b, data...), 0, 0, byte(TypeOPT), 4, 208, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(options)))
	return append(b, options...)
}

// FuzzData reads the data of a record of any type and the options of an OPT record.
func FuzzData(f *testing.F) {
	cookie := []byte("\x00\x0a\x00\x0812345678")
	for _, seed := range []struct {
		typ  uint16
		data string
	}{
		{1, "\xc0\x00\x02\x01"}, {28, strings.Repeat("\x20", 16)}, {5, "\x01a\xc0\x0c"}, {12, "\x01a\x00"},
		{15, "\x00\x0a\x04mail\xc0\x0c"}, {2, "\x02ns\x00"}, {16, "\x03one\x04 two\x00"}, {16, "\x05a\"b\\\x00"}, {16, "\xff"},
		{33, "\x00\x01\x00\x02\x00\x50\x01a\x00"}, {39, "\x01a\x00"}, {257, "\x00\x05issueca.test"},
		{6, "\x01a\x00\x01b\x00" + strings.Repeat("\x00", 20)}, {65280, "\x01\x02\x03"}, {43, "\x00\x01\x08\x01abcd"}, {46, strings.Repeat("\x01", 30)},
		{64, "\x00\x01\x01a\x00\x00\x01\x00\x03\x02h2"}, {65, "\x00\x01\x00\x00\x04\x00\x04\xc0\x00\x02\x01\x00\x06\x00\x10" + strings.Repeat("\x20", 16)},
		{65, "\x00\x01\x00\x00\x00\x00\x02\x00\x01"}, {35, "\x00\x01\x00\x02\x01u\x03sip\x00\x00"}, {41, ""}, {255, ""}, {0, ""}, {249, "\x01a\x00"}, {10, "\x1b[31m"},
	} {
		f.Add(seed.typ, []byte(seed.data), cookie)
	}
	f.Add(uint16(1), []byte("\xc0\x00\x02\x01"), []byte("\x00\x0a\xff\xff"))
	f.Add(uint16(1), []byte("\xc0\x00\x02\x01"), []byte("\x00\x0c\x00\x03\x00\x00\x00\x00\x0a"))
	f.Fuzz(func(t *testing.T, typ uint16, data, options []byte) {
		if len(data) > 1<<15 || len(options) > 1<<15 {
			return // no room in a message
		}
		m, err := parse(answerOf(typ, data, options))
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if len(m.Cookie) > len(options) || len(m.Cookie) > 0 && !bytes.Contains(options, m.Cookie) {
			t.Fatalf("cookie %x of %x", m.Cookie, options)
		}
		for _, rr := range m.Answer {
			checkData(t, rr, data)
		}
	})
}

// checkData fails unless what was read of a record can be shown, and names in it be
// asked for.
func checkData(t *testing.T, rr Record, data []byte) {
	t.Helper()
	target := rr.Target
	if d := rr.Data; d != nil {
		target = d.Target
		// What the library does not escape would show here.
		if strings.ContainsFunc(d.Text, func(c rune) bool { return c < ' ' && c != '\t' || c >= 0x7f }) {
			t.Fatalf("%v: text %q", rr.Type, d.Text)
		}
		total := 0
		for _, s := range d.Strings {
			total += 1 + len(s)
		}
		if len(d.Strings) > 0 && total != len(data) {
			t.Fatalf("strings %q of %q", d.Strings, data)
		}
	}
	if target != "" {
		if _, err := (Query{Name: target, Type: TypeA}).Pack(); err != nil {
			t.Fatalf("%v: name %q cannot be packed: %v", rr.Type, target, err)
		}
	}
}
