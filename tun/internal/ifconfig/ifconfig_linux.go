package ifconfig

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The steps, as errors name them.
const (
	OpFind    = "find interface"
	OpSet     = "set interface"
	OpAddress = "add address"
	OpRoute   = "add route"
)

// Config is what an interface is to have. What is zero is left alone.
type Config struct {
	MTU    int // bytes
	Addrs  []netip.Prefix
	Routes []Route
}

// Route is a route through the interface; without a gateway it is on the link.
type Route struct {
	Dst     netip.Prefix
	Gateway netip.Addr
}

// Configure sets the interface up with its MTU, addresses and routes. What is
// already as wanted is not touched, so that it takes no privilege.
func Configure(name string, config Config) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return os.NewSyscallError(OpFind, err)
	}
	if config.MTU != 0 && link.Attrs().MTU != config.MTU {
		if err := netlink.LinkSetMTU(link, config.MTU); err != nil {
			return fmt.Errorf("MTU %d: %w", config.MTU, os.NewSyscallError(OpSet, err))
		}
	}
	for _, a := range config.Addrs {
		if err := addAddr(link, a); err != nil {
			return fmt.Errorf("address %v: %w", a, os.NewSyscallError(OpAddress, err))
		}
	}
	if link.Attrs().Flags&net.FlagUp == 0 {
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("up: %w", os.NewSyscallError(OpSet, err))
		}
	}
	for _, a := range config.Addrs {
		if err := awaitAddr(link, a.Addr()); err != nil {
			return fmt.Errorf("address %v: %w", a, os.NewSyscallError(OpAddress, err))
		}
	}
	for _, r := range config.Routes {
		if err := addRoute(link, r); err != nil {
			return fmt.Errorf("route to %v: %w", r.Dst, os.NewSyscallError(OpRoute, err))
		}
	}
	return nil
}

func addAddr(link netlink.Link, prefix netip.Prefix) error {
	want := netlink.Addr{IPNet: ipNet(prefix)}
	have, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(have, want.Equal) {
		return nil
	}
	if prefix.Addr().Is6() {
		want.Flags = unix.IFA_F_NODAD // nobody else is on this link
	}
	return netlink.AddrAdd(link, &want)
}

// addrPatience is how long an address may take to come into use: longer than
// the second of duplicate address detection (RFC 4862 section 5.1), which an
// address that somebody else added may have to go through.
const addrPatience = 3 * time.Second

// awaitAddr waits until packets to an address are taken for this host's. Linux
// starts to do so some time after it has accepted an IPv6 address, from a work
// queue; a packet that comes earlier is dropped.
func awaitAddr(link netlink.Link, addr netip.Addr) error {
	if !addr.Is6() {
		return nil
	}
	for end := time.Now().Add(addrPatience); ; time.Sleep(time.Millisecond) {
		routes, err := netlink.RouteGetWithOptions(addr.AsSlice(), &netlink.RouteGetOptions{OifIndex: link.Attrs().Index})
		if err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL {
			return nil
		}
		if time.Now().After(end) {
			return errors.Join(unix.ETIMEDOUT, err)
		}
	}
}

// addRoute adds a route and takes one that is there already for its own if it
// leads the same way.
func addRoute(link netlink.Link, r Route) error {
	want := netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(r.Dst.Masked())}
	if r.Gateway.IsValid() {
		want.Gw = r.Gateway.AsSlice()
	} else {
		want.Scope = netlink.SCOPE_LINK
	}
	err := netlink.RouteAdd(&want)
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	family := netlink.FAMILY_V4
	if r.Dst.Addr().Is6() {
		family = netlink.FAMILY_V6
	}
	have, listErr := netlink.RouteListFiltered(family, &want, netlink.RT_FILTER_OIF|netlink.RT_FILTER_DST|netlink.RT_FILTER_GW)
	if listErr == nil && len(have) > 0 {
		return nil
	}
	return err
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
