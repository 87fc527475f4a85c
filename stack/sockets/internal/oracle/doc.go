// Package oracle has nothing but tests: it makes the same calls on sockets of
// this module and on sockets of the Linux kernel and compares what they give.
//
// A program is a list of calls on named sockets. Two drivers run it side by
// side: ours on a sockets.Host, the kernel's in a network namespace of its own,
// both on loopback addresses. After every call the results must be the same,
// and so must what can be seen of each socket: poll mask, bytes to read, TCP
// state and names. What differs for a moment is looked at again, because both
// sides work in the background; what still differs when patience ends is a
// difference.
//
// The programs are a table, every state times every call (TestSituations), and
// random ones (TestSequences). A difference is either fixed or has a row in the
// list of permitted ones, with its reason; a row that is not needed any more
// fails the tests.
//
// The tests need Linux with user namespaces and skip without; with netns in
// USERSTACK_REQUIRE they fail instead.
package oracle
