// Package rtnetlink answers what programs ask the kernel through AF_NETLINK
// sockets of protocol NETLINK_ROUTE (rtnetlink(7)) from a stack's interfaces and
// routes. It works on bytes alone: whoever owns the socket passes each datagram
// that the program sent, and queues the datagrams that come back.
//
//	client := rtnetlink.Client{PortID: 4711}
//	for _, datagram := range rtnetlink.Answer(s, client, request) {
//		queue(datagram)
//	}
//
// # How it works
//
// [Answer] takes a datagram apart into its messages as the kernel's
// netlink_rcv_skb does, finds a row in the table of requests by type and family,
// and has it make messages. The messages of a dump are put into datagrams that fit
// the kernel's NLMSG_GOODSIZE, for which programs have their buffers.
//
// Links, addresses, routes (all, and the one that the stack would choose), and
// routing rules are told; the tables of neighbours, next hops and traffic control
// are empty; everything that changes something is EPERM, as for a program without
// CAP_NET_ADMIN; what a small kernel does not have is EOPNOTSUPP.
//
// # Limits
//
//   - Addresses have no lifetimes and times of creation, and routes no metrics but
//     the priority.
//   - Attributes that describe a kernel's device (its sysctls, XDP program, kind of
//     driver, network namespace) are missing; the test against the kernel lists them.
//   - Neighbours are not told, though netstack knows them on Ethernet links.
//   - A second dump in one datagram is EBUSY, as it is in the kernel; in a datagram
//     of its own it is answered, where the kernel still says EBUSY when the first has
//     not been read.
package rtnetlink
