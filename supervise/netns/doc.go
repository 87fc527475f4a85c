// Package netns runs a program in a network namespace whose only way out is a
// link of this process: everything that the program and its children send, and
// nothing that the machine sends, goes there.
//
//	uplink, err := hostnet.New(hostnet.Config{}) // or a VPN's tunnel, or one end of a link.Pipe
//	if err != nil {
//		return err
//	}
//	cmd := netns.Command(uplink.Link(), "ping", "-c1", "192.0.2.1")
//	cmd.Stdout = os.Stdout
//	err = cmd.Run()
//
// # What it is for
//
// Package supervise gives a program the sockets of a userspace stack. This
// package is for programs that want more than that can give: io_uring, raw and
// packet sockets, urgent data, 32-bit programs. The price is that the program's
// TCP is the kernel's. The userspace stack, if there is one at the other end of
// the link, sees packets.
//
// # How it works
//
// Start runs this very program once more (/proc/self/exe) in a new user, network
// and, for private files, mount namespace. An init function recognizes the new
// process by its argv[0], "userstack-netns", and it never reaches main: it
// makes a TUN device, gives it addresses and routes, sends its descriptor here,
// puts the private files in their places and becomes the program. The process
// that was started is the program itself, so that everything about the exec.Cmd
// holds as usual.
//
// Here the device's packets go to the link and back, unchanged, through a
// [link.Patch]: segments of up to 64 KiB pass whole where the link takes them.
//
// The program runs as the user who started it, and nothing that it could not do
// before can it do now, but for its own network: there it may use raw and packet
// sockets and ports below 1024 (CAP_NET_RAW and CAP_NET_BIND_SERVICE, as ambient
// capabilities). Where root starts it, it is root in there with every user and
// group in place, so that a server can change its user.
//
// # Needs
//
// A kernel that lets the user make user namespaces, or root; and a /dev/net/tun
// that the user may open, which most systems give mode 0666. [Check] tries, and
// names what is missing and the remedy.
//
// # Limits
//
//   - A program whose init functions must not run twice must not use this
//     package: those that run before this package's run in the new process too.
//   - The namespace is connectivity, not a sandbox: the program keeps its files,
//     and services that it reaches by path, such as nscd or a container engine,
//     have the machine's network.
//   - Set-user-ID programs and file capabilities do nothing for an ordinary user,
//     because there is no other user inside.
//   - /sys shows the machine's interfaces.
//   - When this process is killed, so is the program; others that it started
//     live on without a network.
package netns
