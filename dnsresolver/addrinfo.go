package dnsresolver

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

// GetAddrInfo translates a host and a service into addresses (getaddrinfo(3)),
// see netdb.DB.GetAddrInfo for the details. Zones and AI_ADDRCONFIG go by
// Config.NICs, services by Config.ServicesFile. The error is an *Error.
func (r *Resolver) GetAddrInfo(ctx context.Context, host, service string, hints netdb.Hints) ([]netdb.AddrInfo, error) {
	list, err := r.database().GetAddrInfo(ctx, host, service, hints)
	return list, asError(err)
}

// GetHostByName returns the first IPv4 address of a name (gethostbyname(3)): ""
// is 0.0.0.0, "<broadcast>" is 255.255.255.255. The error is an *Error.
func (r *Resolver) GetHostByName(ctx context.Context, name string) (netip.Addr, error) {
	addr, err := r.database().GetHostByName(ctx, name)
	return addr, asError(err)
}

// GetHostByNameEx returns the canonical name of a name, the aliases that lead
// to it and the IPv4 addresses (gethostbyname(3)). The error is an *Error.
func (r *Resolver) GetHostByNameEx(ctx context.Context, name string) (netdb.HostEnt, error) {
	ent, err := r.database().GetHostByNameEx(ctx, name)
	return ent, asError(err)
}

// GetHostByAddr returns the names of an IPv4 or IPv6 address (gethostbyaddr(3)).
// A name is looked up first. The error is an *Error; look at its HErrno.
func (r *Resolver) GetHostByAddr(ctx context.Context, host string) (netdb.HostEnt, error) {
	ent, err := r.database().GetHostByAddr(ctx, host)
	return ent, asError(err)
}

// GetNameInfo returns the names of an address and of a port (getnameinfo(3)),
// see netdb.DB.GetNameInfo. The error is an *Error.
func (r *Resolver) GetNameInfo(ctx context.Context, ap netip.AddrPort, flags netdb.NI) (host, service string, err error) {
	host, service, err = r.database().GetNameInfo(ctx, ap, flags)
	return host, service, asError(err)
}

// GetFQDN returns the full name of a host, as Python's getfqdn finds it; ""
// stands for Config.Hostname. A host that cannot be looked up is returned as it
// is. Both look-ups that it takes have the time of one.
func (r *Resolver) GetFQDN(ctx context.Context, host string) string {
	ctx, cancel := context.WithTimeoutCause(ctx, r.settings(time.Now()).budget(), errTimeout)
	defer cancel()
	return r.database().GetFQDN(ctx, host)
}

// newDatabase makes the front end of getaddrinfo(3) and its family, over r.
func (r *Resolver) newDatabase() *netdb.DB {
	db := &netdb.DB{Names: r, Hostname: r.cfg.Hostname}
	if r.cfg.NICs != nil {
		db.Interfaces = interfaces(r.cfg.NICs)
	}
	return db
}

// database returns the front end, with the services file as it is now.
func (r *Resolver) database() *netdb.DB {
	if r.services == nil {
		return r.front
	}
	db := *r.front
	services, _, err := r.services.get(time.Now())
	if err != nil {
		r.config(Event{Note: "keeping the last contents", Err: err})
	}
	db.Services = services
	return &db
}

// asError makes an *Error of the front end's error.
func asError(err error) error {
	if err == nil {
		return nil // and nothing to allocate
	}
	var front *netdb.Error
	if !errors.As(err, &front) {
		return err
	}
	e := &Error{Code: front.Code, H: front.H, Host: front.Name, Err: front.Err}
	var own *Error
	if errors.As(front.Err, &own) { // say it once
		e.Server, e.Err = own.Server, own.Err
	}
	return e
}

// interfaces tells netdb of Config.NICs.
type interfaces func() []NIC

// ZoneIndex returns the index of the NIC of a name.
func (f interfaces) ZoneIndex(name string) (index uint32, ok bool) {
	for _, nic := range f() {
		if nic.Name == name {
			return nic.Index, true
		}
	}
	return 0, false
}

// ZoneName returns the name of the NIC of an index.
func (f interfaces) ZoneName(index uint32) (name string, ok bool) {
	for _, nic := range f() {
		if nic.Index == index && index != 0 {
			return nic.Name, true
		}
	}
	return "", false
}

// Configured reports the families of the NICs' addresses.
func (f interfaces) Configured() (v4, v6 bool) {
	for _, nic := range f() {
		for _, p := range nic.Addrs {
			is4, is6 := netdb.Configures(p.Addr())
			v4, v6 = v4 || is4, v6 || is6
		}
	}
	return v4, v6
}
