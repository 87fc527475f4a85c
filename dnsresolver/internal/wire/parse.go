package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/miekg/dns"
)

// Bits of the second 16-bit word of the header (RFC 1035 section 4.1.1, RFC
// 4035 section 3.2 for AD).
const (
	bitQR = 1 << 15
	bitAA = 1 << 10
	bitTC = 1 << 9
	bitRA = 1 << 7
	bitAD = 1 << 5
)

// ParseHead reads the header and the first question of b and nothing behind
// them, so that a forged or stray message costs little. It reads the question
// only when there is exactly one.
func ParseHead(b []byte) (Head, error) {
	if len(b) < HeaderLen {
		return Head{}, errShort
	}
	bits := binary.BigEndian.Uint16(b[2:])
	h := Head{
		ID:                 binary.BigEndian.Uint16(b),
		Response:           bits&bitQR != 0,
		Opcode:             int(bits>>11) & 0xF,
		Authoritative:      bits&bitAA != 0,
		Truncated:          bits&bitTC != 0,
		RecursionAvailable: bits&bitRA != 0,
		AuthenticData:      bits&bitAD != 0,
		RCode:              RCode(bits & 0xF),
		Questions:          int(binary.BigEndian.Uint16(b[4:])),
		records:            HeaderLen,
	}
	for i := range h.counts {
		h.counts[i] = int(binary.BigEndian.Uint16(b[6+2*i:]))
	}
	if h.Questions != 1 {
		return h, nil
	}
	name, off, err := unpackName(b, HeaderLen)
	if err != nil {
		return Head{}, err
	}
	if off+questionTail > len(b) {
		return Head{}, errShort
	}
	h.Question = Question{
		Name:  name,
		Type:  Type(binary.BigEndian.Uint16(b[off:])),
		Class: binary.BigEndian.Uint16(b[off+2:]),
	}
	h.records = off + questionTail
	return h, nil
}

// Parse reads the records behind the head h of b. The number of records must
// match the header. Bytes behind the last record are ignored, as BIND does.
func (h Head) Parse(b []byte) (*Message, error) {
	total := h.counts[0] + h.counts[1] + h.counts[2]
	switch {
	case h.Questions > 1:
		return nil, errTooMany
	case total > MaxRecords:
		return nil, errTooMany
	case h.records > len(b) || total > (len(b)-h.records)/minRecord:
		return nil, errShort
	}
	m := &Message{Head: h, RCode: h.RCode}
	sections := [3]*[]Record{&m.Answer, &m.Authority, nil}
	off := h.records
	for i, section := range sections {
		if section != nil && h.counts[i] > 0 {
			*section = make([]Record, 0, h.counts[i])
		}
		for range h.counts[i] {
			rr, next, err := parseRecord(b, off)
			if err != nil {
				return nil, err
			}
			if section == &m.Answer && rr.Class == ClassIN && rr.Type == h.Question.Type && !rr.Type.known() {
				if err := rr.parseAny(b, off, next); err != nil {
					return nil, err
				}
			}
			off = next
			switch {
			case rr.Type == TypeOPT:
				if err := m.setEDNS(rr); err != nil {
					return nil, err
				}
			case section != nil:
				*section = append(*section, rr)
			}
		}
	}
	return m, nil
}

// setEDNS takes the upper eight bits of the response code from an OPT record,
// whose TTL field holds them (RFC 6891 section 6.1.3).
func (m *Message) setEDNS(opt Record) error {
	if m.EDNS {
		return errTwoOPT
	}
	if opt.Name != "." {
		return errOPTOwner
	}
	m.EDNS = true
	m.RCode |= RCode(opt.TTL >> 24 << 4)
	m.Cookie = bytes.Clone(findOption(opt.options, optionCookie))
	return nil
}

const optionCookie = 10 // RFC 7873 section 4

// findOption returns the data of the first EDNS option with a code, nil without
// one. Options that are cut off end the search.
func findOption(b []byte, code uint16) []byte {
	for len(b) >= optionHeader {
		n := int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < optionHeader+n {
			return nil
		}
		if binary.BigEndian.Uint16(b) == code {
			return b[optionHeader : optionHeader+n]
		}
		b = b[optionHeader+n:]
	}
	return nil
}

// parseRecord reads the record at off and returns it with the offset behind it.
func parseRecord(b []byte, off int) (Record, int, error) {
	name, off, err := unpackName(b, off)
	if err != nil {
		return Record{}, 0, err
	}
	if off+10 > len(b) {
		return Record{}, 0, errShort
	}
	rr := Record{
		Name:  name,
		Type:  Type(binary.BigEndian.Uint16(b[off:])),
		Class: binary.BigEndian.Uint16(b[off+2:]),
		TTL:   binary.BigEndian.Uint32(b[off+4:]),
	}
	length := int(binary.BigEndian.Uint16(b[off+8:]))
	off += 10
	end := off + length
	if end > len(b) {
		return Record{}, 0, errShort
	}
	switch {
	case rr.Type == TypeOPT:
		rr.options = b[off:end]
	case rr.Class == ClassIN:
		err = rr.parseData(b, off, end)
	}
	return rr, end, err
}

// parseData fills the fields of rr from its data b[off:end]. Names in it may
// point to anywhere before them in b.
func (rr *Record) parseData(b []byte, off, end int) error {
	data := b[off:end]
	switch rr.Type {
	case TypeA:
		if len(data) != 4 {
			return errDataLength
		}
		rr.Addr = netip.AddrFrom4([4]byte(data))
	case TypeAAAA:
		if len(data) != 16 {
			return errDataLength
		}
		rr.Addr = netip.AddrFrom16([16]byte(data))
	case TypeCNAME, TypePTR:
		target, next, err := unpackName(b[:end], off)
		if err != nil {
			return err
		}
		if next != end {
			return errDataLength
		}
		rr.Target = target
	case TypeSOA:
		return rr.parseSOA(b[:end], off)
	}
	return nil
}

// known reports whether parseData reads the records of a type completely.
func (t Type) known() bool { return t == TypeA || t == TypeAAAA || t == TypeCNAME || t == TypePTR }

// parseSOA reads the two names and five numbers of an SOA record, which ends
// where b ends.
func (rr *Record) parseSOA(b []byte, off int) error {
	for range 2 {
		_, next, err := unpackName(b, off)
		if err != nil {
			return err
		}
		off = next
	}
	if len(b)-off != 20 {
		return errDataLength
	}
	rr.Minimum = binary.BigEndian.Uint32(b[off+16:])
	return nil
}

// unpackName returns the name at off and the offset behind it, after checking
// what the library does not: that every pointer leads strictly backwards.
func unpackName(b []byte, off int) (string, int, error) {
	if err := checkPointers(b, off); err != nil {
		return "", 0, err
	}
	name, next, err := dns.UnpackDomainName(b, off)
	if err != nil {
		return "", 0, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return name, next, nil
}

// checkPointers walks the labels at off. Each pointer must lead to before the
// run of labels it ends, and not into the header, so the walk ends. The library
// bounds the number of pointers, at 126.
func checkPointers(b []byte, off int) error {
	start := off
	for {
		if off >= len(b) {
			return errShort
		}
		c := int(b[off])
		switch {
		case c == 0:
			return nil
		case c < 0x40: // a label of c bytes
			off += 1 + c
		case c < 0xC0:
			return errLabel
		default:
			if off+1 >= len(b) {
				return errShort
			}
			to := c&0x3F<<8 | int(b[off+1])
			if to >= start || to < HeaderLen {
				return errPointer
			}
			start, off = to, to
		}
	}
}
