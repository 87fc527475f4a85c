package sockets

import (
	"bytes"
	"encoding/binary"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// quote4 is an IPv4 packet as routers quote it: the header, with options of n
// 32-bit words, and what follows.
func quote4(proto uint8, options int, transport ...byte) []byte {
	ip := make([]byte, 20+4*options)
	ip[0], ip[8], ip[9] = 0x45+byte(options), 1, proto
	copy(ip[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	return append(ip, transport...)
}

func quote6(next uint8, rest ...byte) []byte {
	ip := make([]byte, 40)
	ip[0], ip[6], ip[7] = 0x60, next, 1
	ip[8], ip[23], ip[24], ip[39] = 0xfd, 1, 0xfd, 2
	return append(ip, rest...)
}

func icmpMessage(typ, code uint8, field uint32, quote []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{typ, code, 0, 0}, field), quote...)
}

var udpQuote = []byte{0x10, 0, 0x20, 0, 0, 12, 0, 0, 'd', 'a', 't', 'a'} // 4096 to 8192

// T11: what is read of ICMP messages, and what is not believed.
func TestParseICMPError(t *testing.T) {
	fragment := []byte{17, 0, 0, 0, 0, 0, 0, 1}
	later := []byte{17, 0, 0, 8, 0, 0, 0, 1}
	for _, tc := range []struct {
		name string
		v6   bool
		m    []byte
		ok   bool
		port uint16
		info uint32
		want icmpErrno
	}{
		{"port unreachable", false, icmpMessage(3, 3, 0, quote4(17, 0, udpQuote...)), true, 4096, 0, icmpErrno{ECONNREFUSED, true}},
		{"IP options", false, icmpMessage(3, 1, 0, quote4(17, 10, udpQuote...)), true, 4096, 0, icmpErrno{EHOSTUNREACH, false}},
		{"only 8 bytes", false, icmpMessage(3, 13, 0, quote4(17, 0, udpQuote[:8]...)), true, 4096, 0, icmpErrno{EHOSTUNREACH, true}},
		{"7 bytes", false, icmpMessage(3, 3, 0, quote4(17, 0, udpQuote[:7]...)), false, 0, 0, icmpErrno{}},
		{"TTL exceeded", false, icmpMessage(11, 0, 0, quote4(17, 0, udpQuote...)), true, 4096, 0, icmpErrno{EHOSTUNREACH, false}},
		{"fragmentation needed", false, icmpMessage(3, 4, 0xffff<<16|1400, quote4(17, 0, udpQuote...)), true, 4096, 1400, icmpErrno{EMSGSIZE, true}},
		{"parameter problem", false, icmpMessage(12, 0, 9<<24, quote4(17, 0, udpQuote...)), true, 4096, 9, icmpErrno{EPROTO, true}},
		{"unknown code", false, icmpMessage(3, 99, 0, quote4(17, 0, udpQuote...)), true, 4096, 0, icmpErrno{EHOSTUNREACH, false}},
		{"source quench", false, icmpMessage(4, 0, 0, quote4(17, 0, udpQuote...)), true, 4096, 0, icmpErrno{}},
		{"ping", false, icmpMessage(11, 0, 0, quote4(1, 0, 8, 0, 0, 0, 7, 8, 0, 1)), true, 0x708, 0, icmpErrno{EHOSTUNREACH, false}},
		{"echo reply", false, icmpMessage(11, 0, 0, quote4(1, 0, 0, 0, 0, 0, 7, 8, 0, 1)), true, 0, 0, icmpErrno{EHOSTUNREACH, false}},
		{"redirect", false, icmpMessage(5, 0, 0, quote4(17, 0, udpQuote...)), false, 0, 0, icmpErrno{}},
		{"echo", false, icmpMessage(8, 0, 0, quote4(17, 0, udpQuote...)), false, 0, 0, icmpErrno{}},
		{"IPv6 quoted by ICMPv4", false, icmpMessage(3, 3, 0, quote6(17, udpQuote...)), false, 0, 0, icmpErrno{}},
		{"header length 4", false, icmpMessage(3, 3, 0, append([]byte{0x44}, quote4(17, 0, udpQuote...)[1:]...)), false, 0, 0, icmpErrno{}},
		{"options cut off", false, icmpMessage(3, 3, 0, quote4(17, 10)), false, 0, 0, icmpErrno{}},
		{"later fragment", false, icmpMessage(3, 3, 0, func() []byte { q := quote4(17, 0, udpQuote...); q[7] = 1; return q }()), false, 0, 0, icmpErrno{}},
		{"nothing", false, nil, false, 0, 0, icmpErrno{}},

		{"v6 port unreachable", true, icmpMessage(1, 4, 0, quote6(17, udpQuote...)), true, 4096, 0, icmpErrno{ECONNREFUSED, true}},
		{"v6 prohibited", true, icmpMessage(1, 1, 0, quote6(17, udpQuote...)), true, 4096, 0, icmpErrno{EACCES, true}},
		{"v6 hop limit", true, icmpMessage(3, 0, 0, quote6(17, udpQuote...)), true, 4096, 0, icmpErrno{EHOSTUNREACH, false}},
		{"v6 too big", true, icmpMessage(2, 0, 1300, quote6(17, udpQuote...)), true, 4096, 1300, icmpErrno{EMSGSIZE, true}},
		{"v6 first fragment", true, icmpMessage(1, 4, 0, quote6(44, append(fragment, udpQuote...)...)), true, 4096, 0, icmpErrno{ECONNREFUSED, true}},
		{"v6 later fragment", true, icmpMessage(1, 4, 0, quote6(44, append(later, udpQuote...)...)), false, 0, 0, icmpErrno{}},
		{"v6 fragment header cut off", true, icmpMessage(1, 4, 0, quote6(44, 17, 0)), false, 0, 0, icmpErrno{}},
		{"v6 echo request", true, icmpMessage(128, 0, 0, quote6(17, udpQuote...)), false, 0, 0, icmpErrno{}},
		{"v6 ping", true, icmpMessage(3, 0, 0, quote6(58, 128, 0, 0, 0, 7, 8, 0, 1)), true, 0x708, 0, icmpErrno{EHOSTUNREACH, false}},
	} {
		e, ok := parseICMPError(tc.v6, tc.m)
		if ok != tc.ok {
			t.Errorf("%s: ok %v", tc.name, ok)
			continue
		}
		if ok && (e.local.Port() != tc.port || e.info != tc.info || e.errno() != tc.want || e.local.Addr().Is6() != tc.v6) {
			t.Errorf("%s: %+v, errno %+v", tc.name, e, e.errno())
		}
	}
}

// FuzzICMPError feeds the parser what anyone on the network may send.
func FuzzICMPError(f *testing.F) {
	f.Add(false, icmpMessage(3, 3, 0, quote4(17, 2, udpQuote...)))
	f.Add(false, icmpMessage(11, 0, 0, quote4(1, 0, 8, 0, 0, 0, 7, 8, 0, 1)))
	f.Add(true, icmpMessage(2, 0, 1300, quote6(44, append([]byte{6, 0, 0, 0, 0, 0, 0, 1}, udpQuote...)...)))
	f.Fuzz(func(t *testing.T, v6 bool, m []byte) {
		e, ok := parseICMPError(v6, m)
		if !ok {
			return
		}
		if !mayBeError(v6, m[0]) {
			t.Fatalf("type %d passes for an error", m[0])
		}
		if e.local.Addr().Is6() != v6 || e.remote.Addr().Is6() != v6 {
			t.Fatalf("addresses %v and %v of the other IP version", e.local, e.remote)
		}
		if len(e.message) < quotedTransport || !bytes.HasSuffix(m, e.message) || !bytes.HasSuffix(e.message, e.payload) {
			t.Fatalf("quoted % x and % x out of % x", e.message, e.payload, m)
		}
		if e.transport == header.UDPProtocolNumber && len(e.payload) != len(e.message)-header.UDPMinimumSize {
			t.Fatalf("payload % x of % x", e.payload, e.message)
		}
		e.errno()
		e.tooBig()
	})
}
