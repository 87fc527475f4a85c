// Package stack builds a TCP/IP stack that runs inside the process: gVisor's
// netstack with the addresses, routes and TCP settings of a Linux host.
//
//	wire, far := link.NewPipe(link.PipeConfig{})
//	s, err := stack.New(stack.Config{
//		NICs: []stack.NIC{{
//			Name:  "tun0",
//			Link:  wire,
//			Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")},
//		}},
//	})
//	if err != nil {
//		return err
//	}
//	defer s.Close() // also closes the link
//
// Sockets are made by package sockets on top of a Stack; GVisor gives the
// stack underneath to code that wants netstack itself.
//
// # How it works
//
// New makes a loopback interface "lo" (127.0.0.1/8, ::1/128), then one
// interface per Config.NICs, a connected route per address, and the routes of
// Config.Routes. Packets to one of the stack's own addresses never reach a
// link, as on Linux. Each setting that differs from gVisor's default stands in
// tcp.go with its reason.
//
// Raw sockets can be had of every IP protocol, packet sockets of every
// interface. To peers a protocol is unknown unless a raw socket of it is open.
// Group memberships are reported by IGMPv3 and MLDv2, or by the older versions
// where a router speaks them.
//
// A Stack owns its links: Close ends every connection, closes the links in the
// order that loses no reset and hangs nowhere, and returns when all goroutines
// are gone.
//
// # Limits
//
// There is no ECN, no TCP Fast Open, no urgent pointer, no IPsec and no source
// routing. Routes are chosen by destination alone. IPv6 duplicate address
// detection is off, so an address can be used at once. Router advertisements
// are ignored. Reports of memberships name no sources, since netstack has no
// source filters.
package stack
