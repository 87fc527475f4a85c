package tun

import (
	"github.com/vishvananda/netlink"

	"github.com/userstack/userstack/tun/internal/ifconfig"
)

// configure gives the interface its MTU, addresses and routes and sets it up.
// What is already as wanted is left alone, so that an unprivileged owner can
// attach to a device that an administrator has prepared.
func configure(name string, cfg Config) error {
	c := ifconfig.Config{MTU: cfg.MTU, Addrs: cfg.Addrs}
	for _, r := range cfg.Routes {
		c.Routes = append(c.Routes, ifconfig.Route(r))
	}
	return ifconfig.Configure(name, c)
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
