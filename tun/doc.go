// Package tun opens and adopts TUN and TAP devices and moves packets through
// them in batches, each packet with its virtio-net header.
//
// A TUN device is a network interface whose far end is a file descriptor: what
// the kernel routes to the interface is read from the descriptor, and what is
// written to the descriptor arrives at the kernel. A TAP device is the same
// with Ethernet frames.
//
//	dev, err := tun.Open(tun.Config{
//		Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}, // the kernel's address
//	})
//	if err != nil {
//		return err
//	}
//	defer dev.Close()
//	packets, sizes := [][][]byte{{make([]byte, tun.MaxPacketSize)}}, make([]int, 1)
//	for {
//		n, err := dev.Read(0, packets, sizes)
//		// packets[0][0][tun.HeaderSize:sizes[0]] is an IP packet sent to 192.0.2.0/24
//	}
//
// # How it works
//
// On Linux the device is opened with IFF_VNET_HDR, so that every packet starts
// with a struct virtio_net_hdr: with it the kernel hands over segments of up to
// 64 KiB and leaves checksums out, and accepts the same. Which of that the
// kernel can do is found by asking (TUNSETOFFLOAD) and told by
// Device.Features. The descriptors are non-blocking and belong to Go's poller:
// one readv or writev a packet, and no thread is held while waiting.
//
// Elsewhere, and on request on Linux ([Water]), packets go through
// github.com/songgao/water, which knows no virtio header: the header of a
// packet that is read is then all zero, and Features is 0.
//
// Opening a device takes CAP_NET_ADMIN and access to /dev/net/tun. Package
// tun/namespace opens one without privileges, in a network namespace of its
// own. [FromFD] adopts a descriptor that somebody else opened, such as a
// supervisor that has the privilege.
//
// A device that did not exist before Open is gone after Close. A device that
// did exist (ip tuntap add) is attached to and outlives Close. Every descriptor
// is close-on-exec.
//
// # Limits
//
//   - A packet that does not fit the buffers given to Read is cut without a
//     sign: the kernel does not tell. Give [MaxPacketSize] bytes.
//   - [Config.MTU], [Config.Addrs] and [Config.Routes] work on Linux only. On
//     macOS, run ifconfig and route; on other systems Open returns
//     errors.ErrUnsupported.
//   - On macOS water leaks one descriptor when opening fails.
//   - A scatter list has at most 1,024 slices (IOV_MAX).
package tun
