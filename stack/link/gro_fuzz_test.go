package link

import (
	"bytes"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// A groScript makes batches of packets of a few connections from a fuzzer's
// bytes, most of them segments in order.
type groScript struct {
	bytes []byte
	next  [groScriptFlows]uint32 // sequence number
	id    uint16
}

const groScriptFlows = 4 // two of each family

func (s *groScript) byte() byte {
	if len(s.bytes) == 0 {
		return 0
	}
	b := s.bytes[0]
	s.bytes = s.bytes[1:]
	return b
}

// batch returns up to a batch of packets.
func (s *groScript) batch() [][]byte {
	var packets [][]byte
	for n := 1 + int(s.byte())%mergeBatch; n > 0 && len(s.bytes) > 0; n-- {
		packets = append(packets, s.packet())
	}
	return packets
}

// groChanges are what may be odd about a packet.
var groChanges = []func(s *groScript, p *groSegment){
	1:  func(s *groScript, p *groSegment) { p.payload = groData(int(s.byte())) },
	2:  func(s *groScript, p *groSegment) { p.payload = groData(int(s.byte()) * 37) },
	3:  func(s *groScript, p *groSegment) { p.seq += uint32(int8(s.byte())) },
	4:  func(s *groScript, p *groSegment) { p.ack += uint32(s.byte()) },
	5:  func(s *groScript, p *groSegment) { p.flags = header.TCPFlags(s.byte()) },
	6:  func(s *groScript, p *groSegment) { p.flags = header.TCPFlagAck | header.TCPFlagPsh },
	7:  func(s *groScript, p *groSegment) { p.tos, p.ttl = s.byte()&3, s.byte()&1 },
	8:  func(s *groScript, p *groSegment) { p.noDF = true },
	9:  func(s *groScript, p *groSegment) { p.id += uint16(s.byte()) },
	10: func(s *groScript, p *groSegment) { p.options = bytes.Repeat([]byte{s.byte() & 1}, 4*int(s.byte()&7)) },
	11: func(s *groScript, p *groSegment) { p.ipExtra = 8 * (1 + int(s.byte()&1)) },
	12: func(s *groScript, p *groSegment) { p.trailing = int(s.byte()) },
	13: func(s *groScript, p *groSegment) { p.window = uint16(s.byte()) },
	14: func(s *groScript, p *groSegment) {
		at, bit := int(s.byte()), s.byte()
		p.damage = func(b []byte, _ layout) { b[at%len(b)] ^= bit }
	},
	15: func(s *groScript, p *groSegment) {
		p.change = func(b []byte, l layout) {
			if !l.v6 {
				b[6] |= 0x20 // more fragments
			}
		}
	},
}

// packet returns the next packet. Every other has nothing odd about it.
func (s *groScript) packet() []byte {
	what := s.byte()
	flow := int(what) % groScriptFlows
	s.id++
	p := groSegment{v6: flow > 1, port: uint16(flow), seq: s.next[flow], id: s.id, payload: groData(100)}
	if what&4 != 0 {
		if change := groChanges[int(what>>3)%len(groChanges)]; change != nil {
			change(s, &p)
		}
	}
	s.next[flow] = p.seq + uint32(len(p.payload))
	b, _ := p.build()
	return b
}

// FuzzMerge merges arbitrary lists of packets and cuts what comes of it again:
// each connection's packets must be there, in order and to the byte.
func FuzzMerge(f *testing.F) {
	f.Add([]byte{63, 0, 0, 0, 1, 1, 2, 2, 0, 3, 3})
	for i := range groChanges {
		f.Add([]byte{63, 0, 0, byte(i<<3 | 4), 7, 1, 0, 0, 2, 2, byte(i<<3 | 6), 9, 2, 2})
	}
	r := newGroReader(f, 0)
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &groScript{bytes: data}
		for len(s.bytes) > 0 {
			packets := s.batch()
			before := r.e.Stats()
			got := r.receive(plain(packets...)...)
			after := r.e.Stats()
			if n := after.RxPackets - before.RxPackets - (after.RxMerged - before.RxMerged); n != uint64(len(got)) || r.g.n > 0 {
				t.Fatalf("%d delivered, counted %d, %d runs left", len(got), n, r.g.n)
			}
			checkRecut(t, r, packets, got)
		}
	})
}

// checkRecut compares packets with what was delivered for them.
func checkRecut(t *testing.T, r *groReader, packets [][]byte, got []delivered) {
	t.Helper()
	sent := map[string][][]byte{}
	for _, p := range packets {
		if _, _, _, v := r.e.framing.deframe(p); v == pass {
			k := groConnection(p)
			sent[k] = append(sent[k], p)
		}
	}
	for _, d := range got {
		k := groConnection(d.bytes)
		n, err := recut(d, sent[k])
		if err != "" {
			t.Fatalf("%s, of a packet of %d bytes", err, len(d.bytes))
		}
		sent[k] = sent[k][n:]
	}
	for _, rest := range sent {
		if len(rest) > 0 {
			t.Fatalf("%d packets of a connection are missing", len(rest))
		}
	}
}

// groConnection returns what packets must have in common to be kept in order:
// "" for those that may be of any connection, which are kept in order among
// themselves.
func groConnection(p []byte) string {
	l, ok := parseLayout(p, 0)
	if !ok {
		return ""
	}
	return string(l.addresses(p)) + string(l.ports(p)) + string(l.proto)
}

// recut compares a packet with the first of those sent, in as many as it has
// been made of, and returns how many those are.
func recut(d delivered, sent [][]byte) (n int, wrong string) {
	if len(sent) == 0 {
		return 0, "nobody sent it"
	}
	if bytes.Equal(d.bytes, sent[0]) {
		if l, ok := parseLayout(d.bytes, 0); d.vouched && (!ok || !verified(d.bytes, l)) {
			return 0, "vouched for although a checksum is wrong"
		}
		return 1, ""
	}
	l, ok := parseLayout(d.bytes, 0)
	first, _ := parseLayout(sent[0], 0)
	if !ok || l != first || len(d.bytes) > maxMTU || !verified(d.bytes, l) || !d.vouched {
		return 0, "changed, and not merged"
	}
	for s := range cut(len(d.bytes)-l.payload(), len(sent[0])-l.payload()) {
		if n == len(sent) {
			return 0, "more than was sent"
		}
		piece := append(bytes.Clone(d.bytes[:l.payload()]), d.bytes[l.payload()+s.offset:][:s.size]...)
		l.writeHeaders(piece, s)
		completePartial(piece, l.transport(), l.transport()+l.checksumOffset(), nil)
		if !bytes.Equal(withoutID(piece), withoutID(sent[n])) {
			return 0, "a segment that was not sent"
		}
		n++
	}
	return n, ""
}

// verified reports whether a packet's checksums are right.
func verified(b []byte, l layout) bool {
	return l.proto == protoTCP && checkFrame(framed(virtioHeader{}, b), 0, maxMTU) == nil
}

// withoutID returns a packet without its identification, which means nothing
// where fragments are forbidden (RFC 6864, section 4.1).
func withoutID(p []byte) []byte {
	if p[0]>>4 == 4 && header.IPv4(p).Flags()&header.IPv4FlagDontFragment != 0 {
		p = bytes.Clone(p)
		clear(p[4:6])
		clear(p[10:12])
	}
	return p
}
