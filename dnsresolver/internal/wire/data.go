package wire

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// Data is what a record says, for the types that a resolver does not act on
// itself.
type Data struct {
	Text     string // the presentation form (RFC 1035 section 5.1)
	Target   string // MX, NS, SRV, SVCB, HTTPS, DNAME: absolute
	Priority uint16 // MX, SRV, SVCB, HTTPS
	Weight   uint16 // SRV
	Port     uint16 // SRV
	Strings  []string
	Params   []Param
}

// Param is a parameter of an SVCB or HTTPS record, in presentation form (RFC 9460
// section 2.1).
type Param struct{ Key, Value string }

// parseAny reads the record whose owner begins at off with the library, which
// knows most types and keeps the others as bytes (RFC 3597).
func (rr *Record) parseAny(b []byte, off, end int) error {
	parsed, next, err := dns.UnpackRR(b[:end], off)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if next != end {
		return errDataLength
	}
	d := &Data{Text: strings.TrimPrefix(parsed.String(), parsed.Header().String())}
	switch v := parsed.(type) {
	case *dns.MX:
		d.Priority, d.Target = v.Preference, v.Mx
	case *dns.NS:
		d.Target = v.Ns
	case *dns.DNAME:
		d.Target = v.Target
	case *dns.SRV:
		d.Priority, d.Weight, d.Port, d.Target = v.Priority, v.Weight, v.Port, v.Target
	case *dns.TXT:
		d.Strings = texts(b[end-int(v.Hdr.Rdlength) : end])
	case *dns.RFC3597: // whose String has a header of its own
		d.Text = fmt.Sprintf(`\# %d %s`, len(v.Rdata)/2, v.Rdata)
	case *dns.NULL: // whose String is its bytes behind a comment
		d.Text = fmt.Sprintf(`\# %d %x`, len(v.Data), v.Data)
	case *dns.SVCB:
		d.service(v)
	case *dns.HTTPS:
		d.service(&v.SVCB)
	}
	d.Text = printable(d.Text)
	rr.Data = d
	return nil
}

// printable escapes what a terminal could take for a command and the library has left
// as it was (RFC 1035 section 5.1).
func printable(s string) string {
	plain := func(c byte) bool { return ' ' <= c && c < 0x7f || c == '\t' }
	var b strings.Builder
	for i := range len(s) {
		if plain(s[i]) {
			b.WriteByte(s[i])
			continue
		}
		fmt.Fprintf(&b, `\%03d`, s[i])
	}
	return b.String()
}

// texts returns the strings of a TXT record as they are: the library escapes them.
// It has checked that they fill the data.
func texts(data []byte) (list []string) {
	for len(data) > 0 {
		n := 1 + int(data[0])
		list = append(list, string(data[1:n]))
		data = data[n:]
	}
	return list
}

func (d *Data) service(v *dns.SVCB) {
	d.Priority, d.Target = v.Priority, v.Target
	for _, kv := range v.Value {
		d.Params = append(d.Params, Param{kv.Key().String(), printable(kv.String())})
	}
}

// ParseType reads a mnemonic such as "MX", or "TYPE65280" (RFC 3597 section 5).
func ParseType(s string) (Type, bool) {
	s = strings.ToUpper(s)
	if t, ok := dns.StringToType[s]; ok {
		return Type(t), true
	}
	var n uint16
	if _, err := fmt.Sscanf(s, "TYPE%d", &n); err != nil || fmt.Sprintf("TYPE%d", n) != s {
		return 0, false
	}
	return Type(n), true
}
