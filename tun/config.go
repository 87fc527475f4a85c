package tun

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
)

// Mode says what a packet of the device is.
type Mode int

const (
	TUN Mode = iota // IP packets
	TAP             // Ethernet frames
)

func (m Mode) String() string {
	if m == TAP {
		return "tap"
	}
	return "tun"
}

// Offload says how much work the device may leave to the other side.
type Offload int

const (
	OffloadAuto     Offload = iota // all that the kernel has
	OffloadChecksum                // checksums, but no segmentation
	OffloadNone                    // nothing: complete packets with complete checksums
)

// Backend says whose code opens the device and moves the packets.
type Backend int

const (
	Auto   Backend = iota // Native where it exists, else Water
	Native                // this package's own: Linux
	Water                 // github.com/songgao/water: Linux and macOS; no offload, one queue
)

// Route is a route that leads through the device.
type Route struct {
	Dst     netip.Prefix // where to
	Gateway netip.Addr   // next hop; the zero Addr means that Dst is on the link
}

// Config describes a device. The zero value is a TUN device with a name that
// the system picks, no addresses, one queue and every offload there is.
type Config struct {
	// Name of the interface, at most 15 bytes. Empty: the system picks one. A
	// device of that name that already exists is attached to.
	Name string

	// Mode is TUN or TAP.
	Mode Mode

	// MTU in bytes. Zero leaves the system's, which is 1500 for a new device.
	MTU int

	// Addrs are the kernel's addresses on the device, with the length of the
	// prefix that is on the link. The near side's address is nobody's business
	// but the near side's: any other address of the prefix will do.
	Addrs []netip.Prefix

	// Routes that the kernel is to send through the device. A route that
	// exists already through another interface is an error (EEXIST), never
	// replaced.
	Routes []Route

	// Queues is the number of queues, at most 256 (Linux MAX_TAP_QUEUES).
	// Zero means 1. The kernel keeps a flow on one queue.
	Queues int

	// Offload limits what is agreed with the kernel.
	Offload Offload

	// Backend picks the implementation.
	Backend Backend
}

// Limits of a Config.
const (
	maxNameLen = 15  // Linux IFNAMSIZ - 1
	maxQueues  = 256 // Linux drivers/net/tun.c MAX_TAP_QUEUES
	minMTU     = 68  // Linux drivers/net/tun.c MIN_MTU; RFC 791 section 3.2
	maxMTU     = 65535
)

// normalize returns the config with its defaults filled in, or what is wrong
// with it as an error over EINVAL.
func (c Config) normalize() (Config, error) {
	if c.Queues == 0 {
		c.Queues = 1
	}
	if c.Backend == Auto {
		c.Backend = defaultBackend
	}
	for _, rule := range []struct {
		broken bool
		reason string
	}{
		{len(c.Name) > maxNameLen, fmt.Sprintf("interface name %q is longer than %d bytes", c.Name, maxNameLen)},
		{c.Name == "." || c.Name == ".." || strings.ContainsAny(c.Name, "/: \t\n\x00"), fmt.Sprintf("interface name %q is not a name", c.Name)},
		{c.Mode != TUN && c.Mode != TAP, fmt.Sprintf("mode %d is neither TUN nor TAP", int(c.Mode))},
		{c.MTU != 0 && (c.MTU < minMTU || c.MTU > maxMTU), fmt.Sprintf("MTU %d is not in %d to %d", c.MTU, minMTU, maxMTU)},
		{c.Queues < 1 || c.Queues > maxQueues, fmt.Sprintf("%d queues are not in 1 to %d", c.Queues, maxQueues)},
		{c.Offload < OffloadAuto || c.Offload > OffloadNone, fmt.Sprintf("offload %d is unknown", int(c.Offload))},
		{c.Backend < Native || c.Backend > Water, fmt.Sprintf("backend %d is unknown", int(c.Backend))},
		{c.Backend == Water && c.Queues > 1, "backend water has one queue"},
	} {
		if rule.broken {
			return c, configError(rule.reason)
		}
	}
	for _, a := range c.Addrs {
		if !a.IsValid() {
			return c, configError("an address is not valid: use netip.MustParsePrefix(\"192.0.2.1/24\")")
		}
	}
	for _, r := range c.Routes {
		if !r.Dst.IsValid() || r.Gateway.IsValid() && r.Gateway.Is4() != r.Dst.Addr().Is4() {
			return c, configError(fmt.Sprintf("route to %v via %v is not valid", r.Dst, r.Gateway))
		}
	}
	return c, nil
}

// setsInterface reports whether the config changes anything of the interface
// beyond opening it.
func (c Config) setsInterface() bool {
	return c.MTU != 0 || len(c.Addrs) > 0 || len(c.Routes) > 0
}

func configError(reason string) error {
	return fmt.Errorf("tun: config: %s: %w", reason, syscall.EINVAL)
}
