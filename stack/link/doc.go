// Package link connects a netstack to something that carries packets: a TUN or
// TAP device, another netstack in the same process, or itself.
//
// A wire between two stacks, and a stack on a device:
//
//	a, b := link.NewPipe(link.PipeConfig{})
//	one, err := stack.New(stack.Config{NICs: []stack.NIC{{Name: "eth0", Link: a, …}}})
//	two, err := stack.New(stack.Config{NICs: []stack.NIC{{Name: "eth0", Link: b, …}}})
//
//	dev, err := tun.Open(tun.Config{Name: "tun0"})
//	wire, err := link.New(link.Config{Device: dev})
//	three, err := stack.New(stack.Config{NICs: []stack.NIC{{Name: "tun0", Link: wire, …}}})
//
// Every link here is a gVisor stack.LinkEndpoint, so links that wrap links can
// be put in between and gVisor's own stack.Stack takes them as they are.
//
// # How it works
//
// A stack sends by calling WritePackets, which never blocks on the far side: a
// device write is one system call, made by the sender or, for bulk, by a
// goroutine that ends when nothing waits, and a Pipe queues the packet for its
// other end or drops it. A stack receives from one goroutine
// per device queue, or per Pipe end, which the first Attach starts and Close
// ends. That goroutine calls into the stack and holds no lock meanwhile.
//
// Large segments: a link that says HostGSOSupported gets TCP segments of up to
// GSOMaxSize bytes from its stack. A device that can segment is handed them
// whole with a virtio-net header, and hands in whole what it has coalesced.
// For a device that cannot, the link cuts them and computes the checksums, so
// no packet larger than the MTU, and no TCP segment larger than the peer's
// MSS, ever leaves. Received segments that a device has not coalesced are
// merged here, those that one Read brought in; see gro.go.
//
// Datagrams: a link that says SegmentsUDP takes several of one flow and one size
// in one packet as well (UDP_SEGMENT), and hands in what a device has coalesced
// whole if its dispatcher has DeliverDatagrams and takes it; else each datagram
// by itself.
//
// Checksums: links here never claim CapabilityTXChecksumOffload, because
// netstack then leaves zeroes in places that no device can tell from a packet
// sent without a checksum on purpose. Bulk TCP is offloaded all the same: GSO
// segments carry their own request for it. A received packet is taken without
// verification only when the device, or the stack at the other end of a Pipe,
// vouches for that very packet.
//
// # Wire form
//
// A packet is in wire form when it is as a wire would carry it: no larger than
// the MTU, every checksum complete. What a link hands up need not be. A
// wrapper that damages or counts packets, and a stack that forwards them to
// another link, calls the RequireWireForm method of the link below (Endpoint,
// Ethernet and PipeEnd have it) to get only packets in wire form from then on.
//
// # Send form
//
// A packet is in send form when it is as a stack hands it to a link: a TCP
// segment may be larger than the MTU and lack its checksum, and then says so in
// its GSOOptions; everything else is in wire form. A [Patch], which sends what
// another link received, calls RequireSendForm where both links offload, so
// that segments of 64 KiB pass whole and nobody sums them up on the way.
//
// # Failing devices
//
// A packet that a device refuses is dropped and counted, and those behind it are
// tried: the sender of a connection notices as of any wire. A reader tries
// again until the device works or says that it is gone. Err has what is wrong
// now, and ErrChanged says when that changes, so that a program can report it
// once.
//
// # Closing
//
// Close ends the goroutines and closes the device; Wait joins them. Attach(nil)
// only detaches: packets that arrive afterwards are dropped. gVisor's
// stack.Stack.Wait calls a link's Wait before its Close, with the stack locked,
// so the owner closes the link and waits for it first.
//
// # Limits
//
// There is no VLAN, no jumbo frames above 65535 bytes and no ECN segmentation
// offload.
package link
