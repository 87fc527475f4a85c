package netdb

import (
	"context"
	"net/netip"
	"strings"
)

// HostEnt is what gethostbyname(3) and gethostbyaddr(3) return.
type HostEnt struct {
	Name    string   // the official name
	Aliases []string // other names
	Addrs   []string // at least one numeric address
}

// broadcast is the address that Python calls <broadcast>.
var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// GetHostByName returns the first IPv4 address of a name (gethostbyname(3), as
// Python has it): "" is 0.0.0.0 and "<broadcast>" is 255.255.255.255, an IPv6
// address is EAI_ADDRFAMILY. The error is an *Error.
func (db *DB) GetHostByName(ctx context.Context, name string) (netip.Addr, error) {
	switch name {
	case "":
		return netip.IPv4Unspecified(), nil
	case "<broadcast>":
		return broadcast, nil
	}
	ans, err := db.hostByName(ctx, name, LookupOptions{Family: AF_INET, Order: OrderWire})
	if err != nil {
		return netip.Addr{}, err
	}
	return ans.Addrs[0], nil
}

// hostByName resolves a literal or a name.
func (db *DB) hostByName(ctx context.Context, host string, o LookupOptions) (Answer, error) {
	name, ok := ToASCII(host)
	if !ok {
		return Answer{}, failed(host, EAI_NONAME, nil)
	}
	addr, code, ok := LiteralOf(name, o.Family, db.zoneKnown())
	switch {
	case code != 0:
		return Answer{}, failed(host, code, nil)
	case ok:
		return Answer{Name: host, Addrs: []netip.Addr{addr}}, nil
	}
	return db.lookup(ctx, name, o)
}

// GetHostByNameEx returns what is known of a name in IPv4 (gethostbyname(3)):
// the canonical name, the names that lead to it or stand beside it in a hosts
// file, and the addresses in the order of the answer. The name of a literal is
// the literal. The error is an *Error, whose H is set where Python's
// gethostbyname_ex raises herror: for "" and "<broadcast>".
func (db *DB) GetHostByNameEx(ctx context.Context, name string) (HostEnt, error) {
	switch name {
	case "":
		return HostEnt{}, &Error{Code: EAI_FAIL, H: NO_RECOVERY}
	case "<broadcast>":
		return HostEnt{}, &Error{Code: EAI_NONAME, H: HOST_NOT_FOUND, Name: name}
	}
	if addr, lit := ParseLiteral(name, nil); lit == IsLiteral && addr.Is4In6() {
		return HostEnt{}, &Error{Code: EAI_NONAME, H: HOST_NOT_FOUND, Name: name} // gethostbyname(3) knows no IPv6
	}
	ans, err := db.hostByName(ctx, name, LookupOptions{Family: AF_INET, Order: OrderWire, HostsAliases: true})
	if err != nil {
		return HostEnt{}, err
	}
	ent := HostEnt{Name: ans.Name, Aliases: ans.Aliases}
	for _, addr := range ans.Addrs {
		ent.Addrs = append(ent.Addrs, addr.String())
	}
	return ent, nil
}

// GetHostByAddr returns the names of an address, IPv4 or IPv6
// (gethostbyaddr(3)). A host that is a name is looked up first, and the names of
// its first address are returned. The error is an *Error: with H set when the
// address has no name or the look-up of it failed, without when the name could
// not be looked up.
func (db *DB) GetHostByAddr(ctx context.Context, host string) (HostEnt, error) {
	ans, err := db.hostByName(ctx, host, LookupOptions{})
	if err != nil {
		return HostEnt{}, err
	}
	addr := ans.Addrs[0]
	names, err := db.reverse(ctx, addr)
	if err != nil {
		return HostEnt{}, reverseFailed(host, err)
	}
	return HostEnt{Name: names[0], Aliases: names[1:], Addrs: []string{addr.WithZone("").String()}}, nil
}

// errNoNames is the result of reverse for an address that has none.
var errNoNames = &Error{Code: EAI_NONAME}

// reverse returns the names of an address, at least one.
func (db *DB) reverse(ctx context.Context, addr netip.Addr) ([]string, error) {
	if names := db.Hosts.LookupAddr(addr); names != nil {
		return names, nil
	}
	addr = addr.Unmap()
	if db.Names == nil {
		names, _, _ := NamesSpecial(addr)
		if len(names) == 0 {
			return nil, errNoNames
		}
		return names, nil
	}
	names, err := db.Names.LookupAddr(ctx, addr)
	if err == nil && len(names) == 0 {
		return nil, errNoNames
	}
	return names, err
}

// GetFQDN returns the full name of a host, as Python's getfqdn finds it: of the
// names of its address, the first that has a dot, or else the first. "",
// "0.0.0.0" and "::" stand for this host. A host that cannot be looked up is
// returned as it is.
func (db *DB) GetFQDN(ctx context.Context, host string) string {
	host = strings.TrimSpace(host)
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = db.hostname()
	}
	ent, err := db.GetHostByAddr(ctx, host)
	if err != nil {
		return host
	}
	if !strings.Contains(ent.Name, ".") {
		for _, alias := range ent.Aliases {
			if strings.Contains(alias, ".") {
				return alias
			}
		}
	}
	return ent.Name
}

func (db *DB) hostname() string {
	if db.Hostname == nil {
		return "localhost"
	}
	return db.Hostname()
}
