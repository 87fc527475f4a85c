package sockets

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"github.com/userstack/userstack/dnsresolver/netdb"
	"github.com/userstack/userstack/stack"
)

// NameService is what a Resolver can be as well, so that more than addresses is
// known of names: *dnsresolver.Resolver is one.
type NameService = netdb.NameService

// HostsTable is a hosts file (hosts(5)): netdb.ParseHosts or netdb.HostsFromMap
// makes one.
type HostsTable = netdb.Hosts

// ServiceDB is a services file (services(5)), made by netdb.ParseServices, and
// ProtocolDB a protocols file (protocols(5)), made by netdb.ParseProtocols.
type (
	ServiceDB  = netdb.Services
	ProtocolDB = netdb.Protocols
)

// names returns the front end of all look-ups.
func (h *Host) names() *netdb.DB { return h.db.Load() }

// newDB makes the front end over a resolver, which may be nil.
func (h *Host) newDB(r Resolver) *netdb.DB {
	db := &netdb.DB{
		Hosts: h.hosts, Services: h.services, Interfaces: interfaces{h.stack}, Hostname: h.GetHostName,
	}
	switch r := r.(type) {
	case nil:
	case NameService:
		db.Names = hostNames{h, r}
	default:
		db.Names = hostNames{h, plainNames{r}}
	}
	return db
}

// hostNames is a NameService whose look-ups end when the Host is closed.
type hostNames struct {
	h  *Host
	to NameService
}

// Lookup asks for the addresses of a name.
func (n hostNames) Lookup(ctx context.Context, name string, o netdb.LookupOptions) (netdb.Answer, error) {
	ctx, done := n.context(ctx)
	defer done()
	ans, err := n.to.Lookup(ctx, name, o)
	return ans, n.closed(name, err)
}

// LookupAddr asks for the names of an address.
func (n hostNames) LookupAddr(ctx context.Context, addr netip.Addr) ([]string, error) {
	ctx, done := n.context(ctx)
	defer done()
	names, err := n.to.LookupAddr(ctx, addr)
	return names, n.closed(addr.String(), err)
}

// closed says that a look-up failed because the Host was closed, where it was.
func (n hostNames) closed(name string, err error) error {
	if err == nil || n.h.lookups.Err() == nil {
		return err
	}
	return &GAIError{Code: EAI_CANCELED, Name: name, Err: ErrClosed}
}

// context returns a context that ends with ctx and with the Host. The caller
// calls done.
func (n hostNames) context(ctx context.Context) (_ context.Context, done func()) {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(n.h.lookups, func() { cancel(ErrClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// nameError makes a *GAIError or an *HError of the front end's error.
func nameError(err error) error {
	var front *netdb.Error
	if !errors.As(err, &front) {
		return err
	}
	cause := front.Err
	if plain, ok := cause.(*GAIError); ok {
		cause = plain.Err // say it once
	}
	if front.H != 0 {
		return &HError{Code: front.H, Name: front.Name, Err: cause}
	}
	return &GAIError{Code: front.Code, Name: front.Name, Err: cause}
}

// plainNames makes a NameService of a Resolver that knows addresses only.
type plainNames struct{ Resolver }

// Lookup asks for the addresses of a name. It does not ask for the loopback
// names and those that do not exist.
func (p plainNames) Lookup(ctx context.Context, name string, o netdb.LookupOptions) (netdb.Answer, error) {
	ans, code, ok := netdb.AnswerSpecial(netdb.FoldName(name), o.Family)
	switch {
	case code != 0:
		return ans, &GAIError{Code: code, Name: name}
	case ok:
		return ans, nil
	}
	network, ok := plainNetwork(o)
	if !ok {
		return ans, &GAIError{Code: EAI_NONAME, Name: name}
	}
	addrs, err := p.LookupNetIP(ctx, network, name)
	if err != nil {
		return ans, gaiError(name, err)
	}
	for i, addr := range addrs {
		addrs[i] = addr.Unmap() // net.Resolver's IPv4 addresses may be either
	}
	ans = netdb.Answer{Name: strings.TrimSuffix(name, "."), Source: netdb.SourceDNS}
	ans.Addrs = netdb.SelectFamily(addrs, o.Family)
	return ans, nil
}

// plainNetwork returns the network to ask for, if a family is left.
func plainNetwork(o netdb.LookupOptions) (string, bool) {
	v4 := o.Family != netdb.AF_INET6 && o.Skip != netdb.AF_INET
	v6 := o.Family != netdb.AF_INET && o.Skip != netdb.AF_INET6
	switch {
	case v4 && v6:
		return "ip", true
	case v4:
		return "ip4", true
	}
	return "ip6", v6
}

// LookupAddr asks for the names of an address, where the Resolver has
// *net.Resolver's method of that name.
func (p plainNames) LookupAddr(ctx context.Context, addr netip.Addr) ([]string, error) {
	if names, code, ok := netdb.NamesSpecial(addr); ok {
		if code != 0 {
			return nil, &GAIError{Code: code, Name: addr.String()}
		}
		return names, nil
	}
	r, ok := p.Resolver.(interface {
		LookupAddr(ctx context.Context, addr string) ([]string, error)
	})
	if !ok {
		return nil, &GAIError{Code: EAI_NONAME, Name: addr.String()}
	}
	found, err := r.LookupAddr(ctx, addr.String())
	if err != nil {
		return nil, gaiError(addr.String(), err)
	}
	var names []string
	for _, name := range found {
		if name = strings.TrimSuffix(name, "."); netdb.IsHostname(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// interfaces tells netdb of the stack's.
type interfaces struct{ stack *stack.Stack }

// ZoneIndex returns the index of the interface of a name.
func (i interfaces) ZoneIndex(name string) (index uint32, ok bool) {
	ifc, ok := i.stack.InterfaceByZone(name)
	return uint32(ifc.Index), ok
}

// ZoneName returns the name of the interface of an index.
func (i interfaces) ZoneName(index uint32) (name string, ok bool) {
	ifc, ok := i.stack.InterfaceByZone(strconv.FormatUint(uint64(index), 10))
	return ifc.Name, ok
}

// Configured reports the families of the stack's addresses.
func (i interfaces) Configured() (v4, v6 bool) {
	for _, ifc := range i.stack.Interfaces() {
		for _, p := range ifc.Addrs {
			is4, is6 := netdb.Configures(p.Addr())
			v4, v6 = v4 || is4, v6 || is6
		}
	}
	return v4, v6
}
