// Package seccomp is the kernel's side of running a program on sockets of our own: a filter that stops the program at its
// socket calls, and what it takes to answer such a call from another process. It knows the kernel's ABI and nothing of
// sockets. See seccomp(2) and seccomp_unotify(2).
//
// In the program's process, before it executes:
//
//	runtime.LockOSThread()
//	fd, err := seccomp.Load(seccomp.Rules{}.Program())
//	// tell the other process the number with write(2), wait for its word, execve(2)
//
// In the process that answers:
//
//	fd, err := seccomp.GetFD(pidfd, number)
//	l, err := seccomp.NewListener(fd)
//	var n seccomp.Notification
//	for l.Receive(&n) == nil {
//		l.Continue(n.ID) // or Return, Fail, Restart, Install
//	}
//
// # How it works
//
// The filter is inherited by all that the program starts and cannot be taken off. A stopped call waits until it is answered;
// its arguments are numbers, so what they point at is read from the memory of the waiting thread. A thread is named by its
// number of /proc, which may be given to another thread once it is gone: a caller asks Alive after it has read memory or
// taken a descriptor and before it acts on what it got.
//
// # Limits
//
// Linux on amd64 and arm64. It redirects, it does not confine: seccomp_unotify(2) says why a supervisor that reads memory
// cannot make rules stick. One filter with a listener fits into a chain of filters, so what a supervised program supervises
// in this way fails with EBUSY.
package seccomp
