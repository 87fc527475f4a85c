// Package supervise runs an unmodified program whose Internet sockets are those
// of a sockets.Host: a stack inside this process and not the kernel's. Neither
// root nor namespaces nor a TUN device is needed, and the program may be static.
//
//	cmd := supervise.Command(host, "curl", "https://example.org/")
//	cmd.Stdout = os.Stdout
//	err := cmd.Run()
//
// # How it works
//
// Start begins this very program once more (/proc/self/exe). An init function of
// this package recognizes the new process by its argv[0] and it never reaches
// main: it loads a seccomp filter that hands a few dozen system calls to this
// process (seccomp_unotify(2)) and then executes the program.
//
// Where the program calls socket(2) for an Internet socket, it gets an AF_UNIX
// socket in its place. Reading, writing, polling, duplicating, passing on and
// closing that need no help: they are the kernel's, at the kernel's speed. This
// process holds the other end and moves the bytes between it and a
// sockets.Socket. What an AF_UNIX socket cannot do, it does itself when the
// program calls: connect, bind, listen, accept, names, options, and datagrams
// with an address.
//
// # Limits
//
// This gives a program connectivity, it does not lock it in: see
// seccomp_unotify(2), NOTES. A program that means harm can reach the kernel's
// network through any other program that helps it. IsolateRequire takes the
// kernel's network away from it.
//
// Privileges that a file gives (setuid, file capabilities) have no effect, since
// the filter needs no_new_privs. io_uring is refused, and so are the calls of
// 32-bit programs. A program that installs such a filter of its own cannot.
package supervise
