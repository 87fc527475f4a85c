package sockets

import (
	"iter"
	"net/netip"
)

// HostEntry is NSPR's record of a host: its names, and its addresses of one
// family.
//
// Deprecated: use AddrInfo. NSPR's documents say so, because the addresses are
// IPv4 only and in no order.
type HostEntry struct {
	ent   HostEnt
	addrs []*NetworkAddress
}

// NewHostEntry looks up the IPv4 addresses of a name, as GetHostByNameEx.
//
// Deprecated: use NewAddrInfo.
func (h *Host) NewHostEntry(name string) (*HostEntry, error) {
	ent, err := h.GetHostByNameEx(name)
	if err != nil {
		return nil, err
	}
	return h.hostEntry(ent), nil
}

// NewHostEntryFromAddr looks up the names of an address, as GetHostByAddr. The
// error is EINVAL for an address that is unset.
//
// Deprecated: use NewAddrInfo.
func (h *Host) NewHostEntryFromAddr(a *NetworkAddress) (*HostEntry, error) {
	if a.Family() == AF_UNSPEC {
		return nil, &Error{Op: "hostentry", Num: EINVAL, Msg: "the address is unset"}
	}
	ent, err := h.GetHostByAddr(a.Address())
	if err != nil {
		return nil, err
	}
	return h.hostEntry(ent), nil
}

func (h *Host) hostEntry(ent HostEnt) *HostEntry {
	e := &HostEntry{ent: ent}
	for _, text := range ent.Addrs {
		if addr, err := netip.ParseAddr(text); err == nil {
			e.addrs = append(e.addrs, &NetworkAddress{host: h, addr: addr})
		}
	}
	return e
}

// Hostname returns the official name.
func (e *HostEntry) Hostname() string { return e.ent.Name }

// Aliases returns the other names.
func (e *HostEntry) Aliases() []string { return append([]string(nil), e.ent.Aliases...) }

// Family returns the family of the addresses, AF_UNSPEC when there are none.
func (e *HostEntry) Family() Family {
	if len(e.addrs) == 0 {
		return AF_UNSPEC
	}
	return e.addrs[0].Family()
}

// NetworkAddresses returns copies of the addresses with a port, none when the
// port is outside 0 to 65535.
func (e *HostEntry) NetworkAddresses(port int) []*NetworkAddress {
	var all []*NetworkAddress
	for _, a := range e.All() {
		if a.SetPort(port) == nil {
			all = append(all, a)
		}
	}
	return all
}

// NetworkAddress returns the first of NetworkAddresses, nil when there is none.
func (e *HostEntry) NetworkAddress(port int) *NetworkAddress {
	all := e.NetworkAddresses(port)
	if len(all) == 0 {
		return nil
	}
	return all[0]
}

// All ranges over copies of the addresses, with port 0.
func (e *HostEntry) All() iter.Seq2[int, *NetworkAddress] { return allAddresses(e.addrs) }

// At returns a copy of the nth address, nil outside 0 to Len()-1.
func (e *HostEntry) At(n int) *NetworkAddress { return addressAt(e.addrs, n) }

// Len returns how many addresses there are.
func (e *HostEntry) Len() int { return len(e.addrs) }
