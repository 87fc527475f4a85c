// Package namespace makes a Linux network namespace without privileges and
// gives access to it from this process: TUN devices that end in it, kernel
// sockets that live in it, and programs that run in it.
//
//	ns, err := namespace.New(namespace.Config{})
//	if err != nil {
//		return err // says what the machine does not allow, and the remedy
//	}
//	defer ns.Close()
//	dev, err := ns.OpenTUN(tun.Config{Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}})
//	if err != nil {
//		return err
//	}
//	server, err := ns.Listen("tcp", "192.0.2.1:80") // a kernel socket; port 80 needs no root here
//	// a userspace stack on dev with the address 192.0.2.2 can now connect to it
//
// # How it works
//
// [New] starts this very program once more (/proc/self/exe) in a new user and
// network namespace. An init function of this package recognizes the new
// process by its argv[0], "userstack-namespace", and it never reaches main: it
// sets lo up and then serves requests over a Unix socket. What it opens, it
// passes back as descriptors. A socket or device belongs to the namespace it
// was made in whoever uses it, so that this process reads, writes, accepts and
// connects without asking the helper again.
//
// The helper ends when its Unix socket does: with [Namespace.Close], and just
// the same when this process exits or is killed. Before it ends it kills every
// process in its network namespace. It does not use PR_SET_PDEATHSIG, which is
// tied to the thread that forked, and Go ends threads at will.
//
// As root the same is done, with all user and group numbers mapped to
// themselves, so that a server can change its user. Where root may not make a
// user namespace, a network namespace alone has to do.
//
// [Namespace.Command] runs programs through nsenter(1) of util-linux, since a
// process with several threads, such as a Go program, cannot enter a user
// namespace itself. nsenter replaces itself by the program, and so signals,
// exit status, standard files and exec.Cmd's other parts act on the program
// directly.
//
// # Limits
//
//   - A program whose init functions must not run twice must not use this
//     package: those that run before this package's run in the helper as well.
//   - Addresses are literal: a name would be looked up outside the namespace.
//   - A program that makes a network namespace of its own (unshare -n) escapes
//     the killing, and one that does nothing but fork and exit may.
//   - Zones in the addresses that sockets return are numbers or names of this
//     process's interfaces, not of the namespace's.
//   - A device has at most 253 queues (Linux SCM_MAX_FD).
package namespace
