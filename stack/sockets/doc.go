// Package sockets has the BSD socket API on a userspace stack, and package
// net's interfaces on top of it.
//
//	host, err := sockets.New(sockets.Config{Stack: s})
//	if err != nil {
//		return err
//	}
//	defer host.Close()
//	client := http.Client{Transport: &http.Transport{DialContext: host.DialContext}}
//
// or, call by call:
//
//	sock, err := host.TCP()
//	if err != nil {
//		return err
//	}
//	defer sock.Close()
//	if err := sock.Connect(sockets.Inet4{Host: "10.0.0.1", Port: 80}); err != nil {
//		return err // errors.Is(err, sockets.ECONNREFUSED), or syscall.ECONNREFUSED
//	}
//	_, err = sock.SendAll([]byte("GET / HTTP/1.0\r\n\r\n"))
//
// The semantics are Linux's, as the man pages and measurements have them;
// numbers of errors, options and flags are Linux's on every operating system.
//
// # How it works
//
// A Socket is a descriptor; what descriptors made by Dup share is the
// description under it, which holds netstack's endpoint. Netstack's endpoints
// differ from Linux's sockets in ways that a program notices: one cannot
// connect again after a failure, forgets its binding when listening fails,
// resets a connection that is shut down with unread data. The description hides
// these, mostly by putting a new endpoint in the place of a spent one, in the
// same wait queue, with the recorded options played back. Such differences are
// numbered T1 to T45; docs/netstack.md lists them.
//
// Every call that waits does so in one function, call.again. A socket is
// blocking, non-blocking or has a timeout (SetTimeout); a Within or a context
// given to one call goes first. Host.Poll and Host.Select wait for many sockets,
// and a Poller does so at the cost of those that are ready; what they report is
// made in one function, Socket.ready.
//
// SendMsg and RecvMsg carry ancillary data in Linux's layouts, with typed
// helpers. A Host that has sockets reads ICMP itself: IP_RECVERR's error queue
// says who sent an error and why, so that a traceroute needs no privilege.
//
// Names are looked up with Config.Hosts and Config.Resolver, and by nobody else:
// GetAddrInfo and its family, addresses of Connect, Bind and SendTo that hold a
// name, DialContext and CreateConnection. The services and protocols are built
// in.
//
// AF_UNIX sockets live in the Host's memory and pass messages, and descriptors,
// from one to another without netstack. A Socket that a program forgets is
// closed when the garbage collector finds it, and logged: it is a safety net.
//
// # Limits
//
// There are TCP, UDP, ping, raw, packet and, within one Host, AF_UNIX sockets;
// AF_NETLINK and others are refused, as are options that the table does not
// have. The loopback interface has no Ethernet header, and source filters of
// groups are the socket's alone: routers are not told of senders. Netstack has no
// urgent data, so MSG_OOB is refused. Descriptor numbers belong to a Host; the
// operating system does not know them.
package sockets
