package tun_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/namespace"
	"github.com/userstack/userstack/tun/tuntest"
)

// farAddrs are the kernel's addresses on the devices of these tests.
var farAddrs = []netip.Prefix{
	netip.PrefixFrom(tuntest.Far.Addr(), 24),
	netip.MustParsePrefix("2001:db8::1/64"),
	netip.MustParsePrefix("fe80::1/64"),
}

func mustOpen(t *testing.T, config tun.Config) tun.Device {
	t.Helper()
	dev, err := tun.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	return dev
}

func listenFar(t *testing.T) tuntest.FarConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(tuntest.Far))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestContract runs the contract over every way to come by a device.
func TestContract(t *testing.T) {
	if !inside(t) {
		return
	}
	checkDescriptors(t)
	ways := map[string]func(*testing.T) tun.Device{}
	for _, c := range []tun.Config{
		{Addrs: farAddrs},
		{Addrs: farAddrs, Offload: tun.OffloadChecksum},
		{Addrs: farAddrs, Offload: tun.OffloadNone},
		{Addrs: farAddrs, Backend: tun.Water},
	} {
		ways[fmt.Sprintf("Open offload %d backend %d", c.Offload, c.Backend)] = func(t *testing.T) tun.Device { return mustOpen(t, c) }
	}
	for name, flags := range map[string]uint16{
		"plain":              0,
		"with header":        unix.IFF_VNET_HDR,
		"one of many queues": unix.IFF_VNET_HDR | unix.IFF_MULTI_QUEUE,
	} {
		ways["FromFD "+name] = func(t *testing.T) tun.Device {
			dev, err := tun.FromFD(rawTUN(t, "", unix.IFF_TUN|unix.IFF_NO_PI|flags), tun.Config{Addrs: farAddrs})
			if err != nil {
				t.Fatal(err)
			}
			return dev
		}
	}
	ways["FromFD header of 12 bytes"] = func(t *testing.T) tun.Device {
		fd := rawTUN(t, "", unix.IFF_TUN|unix.IFF_NO_PI|unix.IFF_VNET_HDR)
		if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, 12); err != nil {
			t.Fatal(err)
		}
		dev, err := tun.FromFD(fd, tun.Config{Addrs: farAddrs})
		if err != nil {
			t.Fatal(err)
		}
		return dev
	}
	for name, open := range ways {
		t.Run(name, func(t *testing.T) {
			tuntest.TestDevice(t, func(t *testing.T) (tun.Device, tuntest.FarConn) {
				return open(t), listenFar(t)
			})
		})
	}
}

// TestContractNamespace runs the contract over devices in a namespace, used
// from outside of it.
func TestContractNamespace(t *testing.T) {
	needNamespaces(t)
	checkDescriptors(t)
	for _, backend := range []tun.Backend{tun.Native, tun.Water} {
		t.Run(fmt.Sprint(backend), func(t *testing.T) {
			ns, err := namespace.New(namespace.Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer ns.Close()
			tuntest.TestDevice(t, func(t *testing.T) (tun.Device, tuntest.FarConn) {
				dev, err := ns.OpenTUN(tun.Config{Addrs: farAddrs, Backend: backend})
				if err != nil {
					t.Fatal(err)
				}
				far, err := ns.ListenPacket("udp4", tuntest.Far.String())
				if err != nil {
					t.Fatal(err)
				}
				return dev, far
			})
		})
	}
}
