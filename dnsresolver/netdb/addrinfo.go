package netdb

import (
	"context"
	"net/netip"
)

// Hints narrow GetAddrInfo down (getaddrinfo(3)). Zero fields mean any.
type Hints struct {
	Flags    AI
	Family   Family
	SockType int // SOCK_STREAM, SOCK_DGRAM or SOCK_RAW
	Protocol int // goes with SockType
}

// AddrInfo is one result of GetAddrInfo.
type AddrInfo struct {
	Family    Family
	SockType  int
	Protocol  int
	CanonName string // in the first result only, with AI_CANONNAME
	// Addr has the zone of a literal as it was written: the name of an
	// interface or a number.
	Addr netip.AddrPort
}

// DB is what look-ups go by. It is a value; the zero one knows literals, the
// built-in services and localhost.
type DB struct {
	Names      NameService   // nil: no names but those of Hosts
	Hosts      *Hosts        // goes before Names; a name in it is not looked for elsewhere
	Services   *Services     // nil: DefaultServices
	Interfaces Interfaces    // nil: every zone exists, and AI_ADDRCONFIG does nothing
	Hostname   func() string // the host's own name; nil: "localhost"
}

// GetAddrInfo translates a host and a service into addresses (getaddrinfo(3)).
// "" and "*" stand for C's NULL: without a host the addresses are those of
// loopback or, with AI_PASSIVE, the unspecified ones; without a service the
// port is 0. The error is an *Error with
//
//   - EAI_BADFLAGS, EAI_FAMILY, EAI_SOCKTYPE for hints that make no sense,
//   - EAI_SERVICE for an unknown service, or one that the type does not have,
//   - EAI_NONAME for an unknown host, or neither host nor service,
//   - EAI_NODATA for a host without addresses of the family, EAI_ADDRFAMILY for
//     an address of another,
//   - EAI_AGAIN and EAI_FAIL when the name service fails.
//
// The checks come in glibc's order. A port over 65535 is EAI_SERVICE, where
// glibc uses the lower 16 bits, and so is one with a sign or white space.
func (db *DB) GetAddrInfo(ctx context.Context, host, service string, hints Hints) ([]AddrInfo, error) {
	if host == "*" {
		host = ""
	}
	if service == "*" {
		service = ""
	}
	what := host
	if what == "" {
		what = service
	}
	if code := hints.check(host, service); code != 0 {
		return nil, failed(what, code, nil)
	}
	ways, code := db.ways(service, hints)
	if code != 0 {
		return nil, failed(what, code, nil)
	}
	ans, err := db.resolve(ctx, host, hints)
	if err != nil {
		return nil, err
	}
	list := make([]AddrInfo, 0, len(ans.Addrs)*ways.n)
	for _, addr := range ans.Addrs {
		for _, w := range ways.list[:ways.n] {
			list = append(list, AddrInfo{
				Family: familyOf(addr), SockType: w.socktype, Protocol: w.protocol,
				Addr: netip.AddrPortFrom(addr, w.port),
			})
		}
	}
	if hints.Flags&AI_CANONNAME != 0 {
		list[0].CanonName = ans.Name
		if hints.Flags&AI_CANONIDN != 0 {
			list[0].CanonName = ToUnicode(ans.Name)
		}
	}
	return list, nil
}

// check makes the checks that come first.
func (h *Hints) check(host, service string) EAI {
	switch {
	case host == "" && service == "":
		return EAI_NONAME
	case h.Flags&^aiKnown != 0:
		return EAI_BADFLAGS
	case host == "" && h.Flags&AI_CANONNAME != 0:
		return EAI_BADFLAGS
	case h.Family != AF_UNSPEC && h.Family != AF_INET && h.Family != AF_INET6:
		return EAI_FAMILY
	}
	return 0
}

func familyOf(addr netip.Addr) Family {
	if addr.Is4() {
		return AF_INET
	}
	return AF_INET6
}

// The addresses of no host, in the order of glibc.
var (
	loopbacks = [...]netip.Addr{netip.IPv6Loopback(), netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	passive   = [...]netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
)

// resolve returns the addresses of a host, at least one.
func (db *DB) resolve(ctx context.Context, host string, hints Hints) (Answer, error) {
	switch {
	case host == "" && hints.Flags&AI_PASSIVE != 0:
		return Answer{Addrs: SelectFamily(passive[:], hints.Family)}, nil
	case host == "":
		return Answer{Addrs: SelectFamily(loopbacks[:], hints.Family)}, nil
	}
	name, ok := ToASCII(host)
	switch {
	case !ok && hints.Flags&AI_IDN != 0:
		return Answer{}, failed(host, EAI_IDN_ENCODE, nil)
	case !ok:
		return Answer{}, failed(host, EAI_NONAME, nil)
	}
	addr, code, ok := db.literal(name, hints)
	switch {
	case code != 0:
		return Answer{}, failed(host, code, nil)
	case ok:
		return Answer{Name: host, Addrs: []netip.Addr{addr}}, nil
	case hints.Flags&AI_NUMERICHOST != 0:
		return Answer{}, failed(host, EAI_NONAME, nil)
	}
	return db.named(ctx, name, hints)
}

// literal is LiteralOf with AI_V4MAPPED.
func (db *DB) literal(host string, hints Hints) (addr netip.Addr, code EAI, ok bool) {
	mapped := hints.Family == AF_INET6 && hints.Flags&AI_V4MAPPED != 0
	if mapped {
		hints.Family = AF_UNSPEC
	}
	addr, code, ok = LiteralOf(host, hints.Family, db.zoneKnown())
	if mapped && addr.Is4() {
		addr = netip.AddrFrom16(addr.As16())
	}
	return addr, code, ok
}

// zoneKnown returns the check of zones, or nil for none.
func (db *DB) zoneKnown() func(string) bool {
	if db.Interfaces == nil {
		return nil
	}
	return db.knowsZone
}

func (db *DB) knowsZone(name string) bool {
	_, ok := db.Interfaces.ZoneIndex(name)
	return ok
}

// named looks a name up.
func (db *DB) named(ctx context.Context, name string, hints Hints) (Answer, error) {
	o := LookupOptions{Family: hints.Family, Skip: db.skip(hints)}
	mapped := hints.Family == AF_INET6 && hints.Flags&AI_V4MAPPED != 0
	if mapped && o.Skip != AF_INET6 {
		o.Family = AF_UNSPEC
	}
	ans, err := db.lookup(ctx, name, o)
	if err != nil {
		return Answer{}, err
	}
	if mapped {
		ans.Addrs = mapV4(ans.Addrs, hints.Flags&AI_ALL != 0)
	}
	return ans, nil
}

// skip returns the family that AI_ADDRCONFIG excludes, if one.
func (db *DB) skip(hints Hints) Family {
	if hints.Flags&AI_ADDRCONFIG == 0 || db.Interfaces == nil {
		return AF_UNSPEC
	}
	switch v4, v6 := db.Interfaces.Configured(); {
	case v4 && !v6:
		return AF_INET6
	case v6 && !v4:
		return AF_INET
	}
	return AF_UNSPEC
}

// mapV4 makes IPv4 addresses IPv6 ones. Unless all are wanted, it leaves them
// out when there are IPv6 addresses.
func mapV4(addrs []netip.Addr, all bool) []netip.Addr {
	list := make([]netip.Addr, 0, len(addrs))
	for _, addr := range addrs {
		if !addr.Is4() {
			list = append(list, addr)
		}
	}
	if len(list) > 0 && !all {
		return list
	}
	list = list[:0]
	for _, addr := range addrs {
		list = append(list, netip.AddrFrom16(addr.As16()).WithZone(addr.Zone()))
	}
	return list
}

// lookup returns the addresses of a name, at least one, or an *Error.
func (db *DB) lookup(ctx context.Context, name string, o LookupOptions) (Answer, error) {
	if !IsHostname(name) {
		return Answer{}, failed(name, EAI_NONAME, nil)
	}
	if e := db.Hosts.Lookup(name); e != nil {
		ans, ok := e.Answer(o)
		switch {
		case ok:
			return ans, nil
		case !IsLocalhost(FoldName(name)):
			return Answer{}, failed(name, EAI_NODATA, nil)
		}
	}
	if db.Names == nil {
		ans, code, ok := AnswerSpecial(FoldName(name), o.Family)
		if !ok {
			code = EAI_NONAME
		}
		if code != 0 {
			return Answer{}, failed(name, code, nil)
		}
		return ans, nil
	}
	ans, err := db.Names.Lookup(ctx, name, o)
	switch {
	case err != nil:
		return Answer{}, failed(name, codeOf(err), err)
	case len(ans.Addrs) == 0:
		return Answer{}, failed(name, EAI_NODATA, nil)
	}
	return ans, nil
}
