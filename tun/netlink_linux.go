package tun

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// configure gives the interface its MTU, addresses and routes and sets it up.
// What is already as wanted is left alone, so that an unprivileged owner can
// attach to a device that an administrator has prepared.
func configure(name string, cfg Config) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return os.NewSyscallError("find link", err)
	}
	if cfg.MTU != 0 && link.Attrs().MTU != cfg.MTU {
		if err := netlink.LinkSetMTU(link, cfg.MTU); err != nil {
			return fmt.Errorf("MTU %d: %w", cfg.MTU, os.NewSyscallError("set link", err))
		}
	}
	for _, a := range cfg.Addrs {
		if err := addAddr(link, a); err != nil {
			return fmt.Errorf("address %v: %w", a, os.NewSyscallError("add address", err))
		}
	}
	if link.Attrs().Flags&net.FlagUp == 0 {
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("up: %w", os.NewSyscallError("set link", err))
		}
	}
	for _, r := range cfg.Routes {
		if err := addRoute(link, r); err != nil {
			return fmt.Errorf("route to %v: %w", r.Dst, os.NewSyscallError("add route", err))
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
		want.Flags = unix.IFA_F_NODAD // usable at once: nobody else is on this link
	}
	return netlink.AddrAdd(link, &want)
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

// hasPacketInfo reports whether the packets of a device begin with a struct
// tun_pi, that is, whether it was opened without IFF_NO_PI. TUNGETIFF cannot
// tell: it says 0x1000 for IFF_NOFILTER as well.
func hasPacketInfo(name string) bool {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return false
	}
	device, ok := link.(*netlink.Tuntap)
	return ok && device.Flags&netlink.TUNTAP_NO_PI == 0
}
