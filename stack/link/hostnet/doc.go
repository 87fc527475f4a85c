// Package hostnet is a link whose far side is the machine's own network: the
// connections of a stack leave through ordinary sockets of the machine. It
// takes no privileges and no device.
//
//	up, err := hostnet.New(hostnet.Config{})
//	if err != nil {
//		return err
//	}
//	nic := stack.NIC{Name: "host0", Link: up.Link(), Addrs: up.Addrs()}
//	s, err := stack.New(stack.Config{NICs: []stack.NIC{nic}}) // owns the link, and so the uplink
//	…
//	// s now reaches what the machine reaches; this lets the world in on port 8080:
//	addr, err := up.Publish("tcp", netip.MustParseAddrPort("0.0.0.0:8080"), netip.MustParseAddrPort("10.0.2.15:80"))
//
// # How it works
//
// The link is one end of a pipe in memory. At its other end is a gateway: a
// second netstack that takes every packet for its own, whatever its
// destination.
//
// TCP: the gateway holds back its answer to a SYN until a socket of the machine
// has connected to the same destination. If that fails, the stack is told what
// the machine was told: a reset for a refused port, the ICMP error for a network
// or host that cannot be reached, nothing for a timeout. From then on two
// goroutines move bytes, and pass on what ends each direction: a FIN for a FIN,
// a reset for a reset.
//
// UDP: each address and port of the stack has one socket of the machine, for
// all its peers (RFC 4787, endpoint-independent mapping and filtering). Errors
// that the network reports to that socket are passed on as the ICMP messages
// they were, with their true senders; so traceroute works.
//
// ICMP echo goes through the kernel's unprivileged ping sockets (icmp(7),
// ping_group_range), or raw ones for who may open them. Without either it stays
// unanswered: only the gateway answers for itself.
//
// DNS: what is sent to port 53 of the DNS address goes to the machine's own
// nameservers, those on its loopback included.
//
// # What is reached
//
// The machine itself, by its loopback or by any other of its addresses, is
// reached only with Config.HostLoopback, and its loopback only under the
// gateway's addresses. Link-local destinations and the metadata servers of
// clouds are refused unless Config.Policy lets them through. An IPv4 address that
// is refused is refused as well by its name for NAT64, in 64:ff9b::/96. Multicast
// and broadcast do not leave.
//
// # Limits
//
//   - IP options, TCP urgent data, and TCP's own options end at the gateway: the
//     kernel speaks its own TCP outside.
//   - The kernel's send buffer accepts data before the peer has it, as any proxy
//     does: a TCP acknowledgement means that the gateway has the bytes.
//   - ICMP errors of the network for UDP and echo, time to live and type of
//     service are passed on on Linux only, and so are pings. Of TCP only the
//     errors that end an attempt to connect are told, by the gateway.
//   - A keepalive of the stack's asks the gateway; the gateway's own finds a dead
//     peer after some two hours.
//   - An ICMP error that the stack sends, such as "port unreachable", ends here.
//   - It is connectivity, not a security boundary.
package hostnet
