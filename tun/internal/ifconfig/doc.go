// Package ifconfig gives a network interface its MTU, addresses and routes
// through netlink. It is of Linux; on other systems it is empty.
//
// Errors are *os.SyscallError underneath, with the step that failed in the
// place of the system call: OpFind, OpSet, OpAddress or OpRoute.
package ifconfig
