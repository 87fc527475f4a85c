package sockets

import "context"

// AddrInfoHints narrow GetAddrInfo down (getaddrinfo(3)). Zero fields mean any.
type AddrInfoHints struct {
	Flags  AI
	Family Family   // AF_UNSPEC, AF_INET or AF_INET6
	Type   Type     // 0, SOCK_STREAM, SOCK_DGRAM or SOCK_RAW
	Proto  Protocol // 0, or the one that goes with Type
}

// AddrInfoEntry is one way to reach a host: what Socket takes, and what Connect
// or Bind takes.
type AddrInfoEntry struct {
	Family    Family
	Type      Type
	Proto     Protocol
	CanonName string   // in the first entry only, with AI_CANONNAME
	Addr      Sockaddr // an Inet4 or an Inet6, numeric
}

// GetAddrInfo is GetAddrInfoContext without a context.
func (h *Host) GetAddrInfo(host, service string, hints *AddrInfoHints) ([]AddrInfoEntry, error) {
	return h.GetAddrInfoContext(context.Background(), host, service, hints)
}

// GetAddrInfoContext translates a host and a service into addresses
// (getaddrinfo(3)).
func (h *Host) GetAddrInfoContext(ctx context.Context, host, service string, hints *AddrInfoHints) ([]AddrInfoEntry, error) {
	return nil, &GAIError{Code: EAI_FAIL, Name: host, Err: ErrUnsupported}
}

// GetHostByName returns the first IPv4 address of a name as a dotted quad
// (gethostbyname(3)).
func (h *Host) GetHostByName(name string) (string, error) {
	return "", &GAIError{Code: EAI_FAIL, Name: name, Err: ErrUnsupported}
}

// GetHostByNameEx returns the official name, the aliases and the IPv4 addresses
// of a name (gethostbyname(3)).
func (h *Host) GetHostByNameEx(name string) (HostEnt, error) {
	return HostEnt{}, &GAIError{Code: EAI_FAIL, Name: name, Err: ErrUnsupported}
}

// GetHostByAddr returns the names of a numeric IPv4 or IPv6 address
// (gethostbyaddr(3)). A name is looked up first.
func (h *Host) GetHostByAddr(addr string) (HostEnt, error) {
	return HostEnt{}, &HError{Code: NO_RECOVERY, Name: addr, Err: ErrUnsupported}
}
