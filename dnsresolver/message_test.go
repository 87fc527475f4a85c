package dnsresolver

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
)

// Record types and header bits as the tests build them, by number and without
// the codec under test.
const (
	typeA, typeCNAME, typeSOA, typePTR, typeTXT, typeAAAA, typeOPT = 1, 5, 6, 12, 16, 28, 41

	bitQR, bitAA, bitTC, bitRD, bitRA, bitAD = 1 << 15, 1 << 10, 1 << 9, 1 << 8, 1 << 7, 1 << 5

	rcodeServFail, rcodeNXDomain, rcodeNotImp, rcodeRefused, rcodeFormErr, rcodeBadVers = 2, 3, 4, 5, 1, 16
)

// rr is a resource record of a test.
type rr struct {
	name  string
	typ   uint16
	class uint16 // 0: IN
	ttl   uint32
	data  []byte
}

func a(name, addr string) rr {
	ip := netip.MustParseAddr(addr)
	if ip.Is4() {
		return rr{name: name, typ: typeA, ttl: 60, data: ip.AsSlice()}
	}
	return rr{name: name, typ: typeAAAA, ttl: 60, data: ip.AsSlice()}
}

func cname(name, target string) rr {
	return rr{name: name, typ: typeCNAME, ttl: 60, data: wireName(target)}
}

func ptr(name, target string) rr {
	return rr{name: name, typ: typePTR, ttl: 60, data: wireName(target)}
}

func soa(zone string) rr {
	data := append(wireName("ns."+zone), wireName("hostmaster."+zone)...)
	for _, n := range []uint32{1, 3600, 600, 86400, 30} {
		data = binary.BigEndian.AppendUint32(data, n)
	}
	return rr{name: zone, typ: typeSOA, ttl: 30, data: data}
}

func opt() rr { return rr{name: ".", typ: typeOPT, class: 1232} }

// wireName packs a name without compression. It does not check it.
func wireName(name string) []byte {
	var b []byte
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label != "" {
			b = append(append(b, byte(len(label))), label...)
		}
	}
	return append(b, 0)
}

// message is a reply of a test, packed by pack. The zero value answers NOERROR
// to the query it is packed for.
type message struct {
	id        func(uint16) uint16 // nil: that of the query
	flags     int                 // or-ed to QR, RD, RA
	clear     int                 // taken away again
	rcode     int
	question  []byte // nil: that of the query
	questions int    // 0: 1; negative: none
	answer    []rr
	authority []rr
	extra     []rr
	counts    *[3]uint16 // nil: true ones
	tail      []byte
}

func (m message) pack(q query) []byte {
	id := q.id
	if m.id != nil {
		id = m.id(id)
	}
	flags := (bitQR|bitRD|bitRA|m.flags)&^m.clear | m.rcode&0xF
	question, questions := m.question, 1
	if question == nil {
		question = q.question
	}
	if m.questions != 0 {
		questions = max(m.questions, 0)
	}
	if m.questions < 0 {
		question = nil
	}
	counts := [3]uint16{uint16(len(m.answer)), uint16(len(m.authority)), uint16(len(m.extra))}
	if m.counts != nil {
		counts = *m.counts
	}
	b := binary.BigEndian.AppendUint16(nil, id)
	b = binary.BigEndian.AppendUint16(b, uint16(flags))
	b = binary.BigEndian.AppendUint16(b, uint16(questions))
	for _, n := range counts {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	b = append(b, question...)
	for _, section := range [][]rr{m.answer, m.authority, m.extra} {
		for _, r := range section {
			b = r.pack(b)
		}
	}
	return append(b, m.tail...)
}

func (r rr) pack(b []byte) []byte {
	class := r.class
	if class == 0 {
		class = 1
	}
	b = append(b, wireName(r.name)...)
	b = binary.BigEndian.AppendUint16(b, r.typ)
	b = binary.BigEndian.AppendUint16(b, class)
	b = binary.BigEndian.AppendUint32(b, r.ttl)
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.data)))
	return append(b, r.data...)
}

// query is what a scripted server received.
type query struct {
	network  string
	server   netip.AddrPort
	raw      []byte
	id       uint16
	name     string // lower case, without final dot
	typ      uint16
	question []byte // as received
	edns     bool
}

// parseQuery reads a query strictly: the tests also check what the resolver
// sends.
func parseQuery(t testing.TB, network string, server netip.AddrPort, raw []byte) query {
	t.Helper()
	q := query{network: network, server: server, raw: raw}
	if len(raw) < 17 {
		t.Fatalf("query of %d bytes", len(raw))
	}
	q.id = binary.BigEndian.Uint16(raw)
	flags := int(binary.BigEndian.Uint16(raw[2:]))
	if flags&^bitAD != bitRD {
		t.Errorf("query flags %#04x, want only RD", flags)
	}
	if n := [3]uint16(be16s(raw[4:10])); n != [3]uint16{1, 0, 0} {
		t.Errorf("query counts %v", n)
	}
	off := 12
	var labels []string
	for raw[off] != 0 {
		n := int(raw[off])
		labels = append(labels, string(raw[off+1:off+1+n]))
		off += 1 + n
	}
	off++
	q.name = strings.ToLower(strings.Join(labels, "."))
	q.typ = binary.BigEndian.Uint16(raw[off:])
	if class := binary.BigEndian.Uint16(raw[off+2:]); class != 1 {
		t.Errorf("query class %d", class)
	}
	q.question = raw[12 : off+4]
	q.edns = binary.BigEndian.Uint16(raw[10:]) == 1
	if opt := raw[off+4:]; q.edns && (string(opt[:9]) != "\x00\x00\x29\x04\xd0\x00\x00\x00\x00" || int(binary.BigEndian.Uint16(opt[9:])) != len(opt)-11) {
		t.Errorf("OPT record % x, want 1232 bytes and no flags", opt)
	}
	return q
}

func be16s(b []byte) []uint16 {
	var list []uint16
	for ; len(b) >= 2; b = b[2:] {
		list = append(list, binary.BigEndian.Uint16(b))
	}
	return list
}
