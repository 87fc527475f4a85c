package netdb

import (
	"encoding/binary"
	"net/netip"
)

// Ntop returns the text of an address as inet_ntop(3) of glibc has it, which is
// netip.Addr's but for the IPv4-compatible addresses of RFC 4291 section
// 2.5.5.1: ::1.2.3.4, not ::102:304. A zone is kept.
func Ntop(a netip.Addr) string {
	if !a.Is6() {
		return a.String()
	}
	b := a.As16()
	high, mid, low := binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])
	if high != 0 || mid != 0 || low <= 0xFFFF {
		return a.String()
	}
	text := "::" + netip.AddrFrom4([4]byte(b[12:])).String()
	if zone := a.Zone(); zone != "" {
		text += "%" + zone
	}
	return text
}
