package stack

import (
	"fmt"
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"

	"github.com/userstack/userstack/stack/internal/translate"
)

var defaultDst = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// setInitialRoutes installs the connected routes, then cfg's own.
func (s *Stack) setInitialRoutes(cfg Config) error {
	routes := []Route{
		{Dst: netip.MustParsePrefix("127.0.0.0/8"), NIC: LoopbackName},
		{Dst: netip.MustParsePrefix("::1/128"), NIC: LoopbackName},
	}
	for _, n := range cfg.NICs {
		for _, p := range n.Addrs {
			routes = append(routes, Route{Dst: p.Masked(), NIC: n.Name})
		}
	}
	if cfg.Routes == nil && len(cfg.NICs) > 0 {
		first := cfg.NICs[0]
		for _, dst := range defaultDst {
			sameVersion := func(p netip.Prefix) bool { return p.Addr().Unmap().Is4() == dst.Addr().Is4() }
			if slices.ContainsFunc(first.Addrs, sameVersion) {
				routes = append(routes, Route{Dst: dst, NIC: first.Name})
			}
		}
	}
	for _, r := range append(routes, cfg.Routes...) {
		if err := s.addRouteOnce(r); err != nil {
			return err
		}
	}
	return nil
}

// addRouteOnce leaves the table alone when it holds r already, as it does when
// two addresses share a network.
func (s *Stack) addRouteOnce(r Route) error {
	if slices.Contains(s.Routes(), r) {
		return nil
	}
	return s.AddRoute(r)
}

// AddRoute adds r. Among routes of equal length the earlier one wins. It fails
// when the prefix is not valid, the gateway is of the other IP version or on no
// connected network, or the NIC does not exist.
func (s *Stack) AddRoute(r Route) error {
	entry, err := s.routeEntry(r)
	if err != nil {
		return fmt.Errorf("stack: route %v: %w", r, err)
	}
	s.routeMu.Lock()
	defer s.routeMu.Unlock()
	s.gv.AddRoute(entry)
	s.generation.Add(1)
	return nil
}

// RemoveRoute removes the routes that equal r, where an empty NIC matches any,
// and reports how many there were.
func (s *Stack) RemoveRoute(r Route) int {
	s.routeMu.Lock()
	defer s.routeMu.Unlock()
	n := s.gv.RemoveRoutes(func(have tcpip.Route) bool {
		return translate.Prefix(have.Destination) == r.Dst.Masked() &&
			translate.NetipAddr(have.Gateway) == r.Gateway &&
			(r.NIC == "" || s.gv.FindNICNameFromID(have.NIC) == r.NIC)
	})
	s.generation.Add(1)
	return n
}

// Routes returns the routing table, longest prefix first.
func (s *Stack) Routes() []Route {
	table := s.gv.GetRouteTable()
	routes := make([]Route, 0, len(table))
	for _, r := range table {
		routes = append(routes, Route{
			Dst:     translate.Prefix(r.Destination),
			Gateway: translate.NetipAddr(r.Gateway),
			NIC:     s.gv.FindNICNameFromID(r.NIC),
		})
	}
	return routes
}

func (s *Stack) routeEntry(r Route) (tcpip.Route, error) {
	if !r.Dst.IsValid() {
		return tcpip.Route{}, fmt.Errorf("the destination is not valid")
	}
	if r.Gateway.IsValid() && r.Gateway.Unmap().Is4() != r.Dst.Addr().Unmap().Is4() {
		return tcpip.Route{}, fmt.Errorf("the gateway is of the other IP version")
	}
	id, err := s.routeNIC(r)
	if err != nil {
		return tcpip.Route{}, err
	}
	return tcpip.Route{
		Destination: translate.Subnet(r.Dst),
		Gateway:     translate.Addr(r.Gateway),
		NIC:         id,
	}, nil
}

func (s *Stack) routeNIC(r Route) (tcpip.NICID, error) {
	ifs := s.Interfaces()
	if r.NIC != "" {
		for _, ifc := range ifs {
			if ifc.Name == r.NIC {
				return tcpip.NICID(ifc.Index), nil
			}
		}
		return 0, fmt.Errorf("there is no NIC %q", r.NIC)
	}
	if r.Gateway.IsValid() {
		for _, ifc := range ifs {
			if slices.ContainsFunc(ifc.Addrs, func(p netip.Prefix) bool { return p.Contains(r.Gateway) }) {
				return tcpip.NICID(ifc.Index), nil
			}
		}
		return 0, fmt.Errorf("no NIC has a network that holds the gateway")
	}
	for _, ifc := range ifs {
		if !ifc.Loopback {
			return tcpip.NICID(ifc.Index), nil
		}
	}
	return 0, fmt.Errorf("the stack has no NIC but %s", LoopbackName)
}

// Generation changes whenever an address or a route does, so that a caller can
// keep what it derived from them.
func (s *Stack) Generation() uint64 { return s.generation.Load() }
