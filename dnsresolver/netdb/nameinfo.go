package netdb

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
)

// GetNameInfo returns the names of an address and of a port (getnameinfo(3)).
// The zone of the address is the name or the index of an interface. An address
// without a name and a port without one are returned as numbers. The error is
// an *Error with
//
//   - EAI_BADFLAGS for unknown flags,
//   - EAI_FAMILY for an address that is none,
//   - EAI_NONAME with NI_NAMEREQD, when there is no name or NI_NUMERICHOST
//     rules it out,
//   - EAI_AGAIN and EAI_FAIL when the name service fails.
func (db *DB) GetNameInfo(ctx context.Context, ap netip.AddrPort, flags NI) (host, service string, err error) {
	addr := ap.Addr()
	switch {
	case flags&^niKnown != 0:
		return "", "", failed(addr.String(), EAI_BADFLAGS, nil)
	case !addr.IsValid():
		return "", "", failed(addr.String(), EAI_FAMILY, nil)
	}
	if host, err = db.hostInfo(ctx, addr, flags); err != nil {
		return "", "", err
	}
	return host, db.serviceInfo(ap.Port(), flags), nil
}

// hostInfo returns the host half.
func (db *DB) hostInfo(ctx context.Context, addr netip.Addr, flags NI) (string, error) {
	if flags&NI_NUMERICHOST == 0 {
		names, err := db.reverse(ctx, addr)
		switch {
		case err == nil:
			return db.showName(names[0], flags), nil
		case codeOf(err) != EAI_NONAME && codeOf(err) != EAI_NODATA:
			return "", failed(addr.String(), codeOf(err), err)
		}
	}
	if flags&NI_NAMEREQD != 0 {
		return "", failed(addr.String(), EAI_NONAME, nil)
	}
	return db.numericHost(addr), nil
}

// showName applies NI_NOFQDN and NI_IDN.
func (db *DB) showName(name string, flags NI) string {
	if flags&NI_NOFQDN != 0 {
		_, domain, _ := strings.Cut(db.hostname(), ".")
		short, local := cutSuffixFold(name, "."+domain)
		if local && domain != "" && short != "" {
			name = short
		}
	}
	if flags&NI_IDN != 0 {
		name = ToUnicode(name)
	}
	return name
}

// cutSuffixFold is strings.CutSuffix without regard to the case of ASCII.
func cutSuffixFold(s, suffix string) (string, bool) {
	cut := len(s) - len(suffix)
	if cut < 0 || !strings.EqualFold(s[cut:], suffix) {
		return s, false
	}
	return s[:cut], true
}

// numericHost returns the text of an address: the zone of a link-local one is
// the name of the interface where it has one, of others it is a number.
func (db *DB) numericHost(addr netip.Addr) string {
	zone := addr.Zone()
	if zone == "" || db.Interfaces == nil {
		return addr.String()
	}
	index, err := strconv.ParseUint(zone, 10, 32)
	if err != nil {
		i, ok := db.Interfaces.ZoneIndex(zone)
		if !ok || linkLocal(addr) {
			return addr.String()
		}
		index = uint64(i)
	}
	if index == 0 {
		return addr.WithZone("").String()
	}
	zone = strconv.FormatUint(index, 10)
	if name, ok := db.Interfaces.ZoneName(uint32(index)); ok && linkLocal(addr) {
		zone = name
	}
	return addr.WithZone(zone).String()
}

// serviceInfo returns the service half.
func (db *DB) serviceInfo(port uint16, flags NI) string {
	if flags&NI_NUMERICSERV == 0 {
		proto := "tcp"
		if flags&NI_DGRAM != 0 {
			proto = "udp"
		}
		if s, ok := db.Services.ByPort(int(port), proto); ok {
			return s.Name
		}
	}
	return strconv.Itoa(int(port))
}
