package stack

import (
	"errors"
	"fmt"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// LoopbackName is the name of the loopback interface that every Stack has.
const LoopbackName = "lo"

// MaxNameLen is the longest interface name in bytes: Linux's IFNAMSIZ less the
// final NUL (netdevice(7)).
const MaxNameLen = 15

// Config describes a stack. The zero value is a host with a loopback interface
// and nothing else.
type Config struct {
	// NICs are the interfaces besides the loopback, in order. Their index, as
	// in if_nametoindex(3), is 2 for the first, 3 for the second, and so on; the
	// loopback is 1.
	NICs []NIC

	// Routes are added to the connected routes that each address brings. Nil
	// means a default route, for each IP version that the first NIC has an
	// address of, through that NIC; an empty slice means none.
	Routes []Route

	// TCP holds settings of all TCP connections. Zero fields take the defaults
	// documented there.
	TCP TCP

	// Ports are those that connect(2), and bind(2) to port 0, choose from. Zero is
	// 32768 to 60999, as on Linux (net.ipv4.ip_local_port_range). IP_LOCAL_PORT_RANGE
	// narrows them for one socket.
	Ports PortRange

	// Forwarding routes packets between NICs. The zero value is a host, which
	// does not.
	Forwarding Forwarding

	// Clock drives every timer. Nil is the system's clock; tests give
	// gVisor's faketime.ManualClock.
	Clock tcpip.Clock
}

// PortRange is a range of ports with both its ends, from 1 on.
type PortRange struct{ First, Last uint16 }

// defaultPorts is Linux's ip_local_port_range (ip(7)). gVisor's own default is
// 16000 to 65535.
var defaultPorts = PortRange{32768, 60999}

// Forwarding says whether a stack passes on packets that are not for it.
//
// The netstack underneath forwards IPv4 with two faults: it reads the TTL from a
// buffer that it has given back, and gives each fragment a checksum of its own,
// so that IPv4 datagrams above the MTU are lost. IPv6 has neither.
type Forwarding int

const (
	ForwardNone Forwarding = iota // a host (RFC 1122 section 3.3.1)
	ForwardAll                    // a router for IPv4 and IPv6
)

// NIC is an interface and the link below it.
type NIC struct {
	// Name is what SO_BINDTODEVICE and IPv6 zones resolve, 1 to MaxNameLen
	// bytes without '/', '%', ':' or white space. Empty is "tunN" with N
	// counting from 0.
	Name string

	// Link carries the packets. The Stack owns it from the call of New on and
	// closes it, also when New fails.
	Link stack.LinkEndpoint

	// Addrs are the interface's addresses with the size of their network. IPv6
	// link-local addresses are added by the stack where the link has a MAC
	// address.
	Addrs []netip.Prefix
}

// Route sends packets for Dst through a NIC, by way of Gateway if there is one.
// The longest prefix wins; among equal ones the first.
type Route struct {
	Dst netip.Prefix
	// Gateway is the next hop. The zero Addr means that Dst is on the link.
	Gateway netip.Addr
	// NIC is the interface's name. Empty means the one whose network holds
	// Gateway, or without a Gateway the first of Config.NICs.
	NIC string
}

// String returns the route as ip-route(8) prints it.
func (r Route) String() string {
	s := r.Dst.String()
	if r.Gateway.IsValid() {
		s += " via " + r.Gateway.String()
	}
	if r.NIC != "" {
		s += " dev " + r.NIC
	}
	return s
}

// validate returns cfg with its defaults filled in.
func (cfg Config) validate() (Config, error) {
	nics := make([]NIC, len(cfg.NICs))
	taken := map[string]bool{LoopbackName: true}
	for i, n := range cfg.NICs {
		if n.Link == nil {
			return cfg, fmt.Errorf("stack: NIC %d (%q) has no Link", i, n.Name)
		}
		if n.Name == "" {
			n.Name = fmt.Sprintf("tun%d", i)
		}
		if err := checkName(n.Name); err != nil {
			return cfg, fmt.Errorf("stack: NIC %d: %w", i, err)
		}
		if taken[n.Name] {
			return cfg, fmt.Errorf("stack: NIC %d: the name %q is taken", i, n.Name)
		}
		taken[n.Name] = true
		for _, p := range n.Addrs {
			if !p.IsValid() {
				return cfg, fmt.Errorf("stack: NIC %q: an address is not valid", n.Name)
			}
			if p.Addr().IsUnspecified() || p.Addr().IsMulticast() {
				return cfg, fmt.Errorf("stack: NIC %q: %v is not a unicast address", n.Name, p)
			}
		}
		nics[i] = n
	}
	cfg.NICs = nics
	setDefault(&cfg.Ports, defaultPorts)
	if p := cfg.Ports; p.First == 0 || p.First > p.Last {
		return cfg, fmt.Errorf("stack: Ports from %d to %d are no range", p.First, p.Last)
	}
	var err error
	cfg.TCP, err = cfg.TCP.withDefaults()
	return cfg, err
}

var errName = errors.New("an interface name has 1 to 15 bytes without '/', '%', ':' or white space")

// checkName applies Linux's dev_valid_name, and refuses '%' besides, which
// could not be written in a zone.
func checkName(name string) error {
	if len(name) == 0 || len(name) > MaxNameLen || name == "." || name == ".." {
		return fmt.Errorf("%w: %q", errName, name)
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c == '/' || c == ':' || c == '%' || c == 0x7f {
			return fmt.Errorf("%w: %q", errName, name)
		}
	}
	return nil
}
