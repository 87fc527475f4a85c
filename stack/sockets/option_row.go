package sockets

import (
	"math"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// Makers of rows for the table of options.

// flag is an option whose value is an int that is 0 or not. Without effect it is
// only recorded.
func flag(name string, only sockets, effect func(*tcpip.SocketOptions, bool)) *option {
	o := &option{name: name, only: only, size: 4, stored: true, inherit: true, read: readInt(truth)}
	if effect != nil {
		o.set = func(_ *description, ep tcpip.Endpoint, v []byte) Errno {
			if ep != nil {
				effect(ep.SocketOptions(), intValue(v) != 0)
			}
			return 0
		}
	}
	return o
}

// number is an option whose value is an int. Without effect it is only recorded.
func number(name string, only sockets, initial int, read func(int) (int, Errno), effect func(tcpip.Endpoint, int) tcpip.Error) *option {
	o := &option{name: name, only: only, size: 4, stored: true, initial: initial, inherit: true, read: readInt(read)}
	if effect != nil {
		o.set = func(_ *description, ep tcpip.Endpoint, v []byte) Errno {
			if ep == nil {
				return 0
			}
			return errnoOf(effect(ep, intValue(v)))
		}
	}
	return o
}

// fact is an option that can only be read.
func fact(name string, get func(*description) int) *option {
	return &option{name: name, only: onAll, size: 4,
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) { return intBytes(get(d)), 0 }}
}

// constant is an option that can only be read and that never changes.
func constant(name string, only sockets, value int) *option {
	return &option{name: name, only: only, size: 4, stored: true, fixed: true, initial: value}
}

// ipFlag and ipNumber are as flag and number at level SOL_IP, where a value may
// be one byte, and a boolean none at all.
func ipFlag(name string, only sockets) *option {
	o := flag(name, only, nil)
	o.tiny, o.zero = true, true
	return o
}

func ipNumber(name string, only sockets, initial int, read func(int) (int, Errno), effect func(tcpip.Endpoint, int) tcpip.Error) *option {
	o := number(name, only, initial, read, effect)
	o.tiny = true
	return o
}

// readInt makes a function for option.read of one for ints.
func readInt(read func(int) (int, Errno)) func(*description, []byte) ([]byte, Errno) {
	return func(_ *description, v []byte) ([]byte, Errno) {
		n, errno := read(intValue(v))
		return intBytes(n), errno
	}
}

// Functions for readInt: what Linux makes of an int.

func truth(n int) (int, Errno) { return oneIf(n != 0), 0 }

func anyInt(n int) (int, Errno) { return n, 0 }

// between refuses what is out of range.
func between(least, most int) func(int) (int, Errno) {
	return func(n int) (int, Errno) {
		if n < least || n > most {
			return 0, EINVAL
		}
		return n, 0
	}
}

// orDefault is between, with -1 for the default.
func orDefault(initial, least, most int) func(int) (int, Errno) {
	return func(n int) (int, Errno) {
		if n == -1 {
			return initial, 0
		}
		return between(least, most)(n)
	}
}

var notNegative = between(0, math.MaxInt32)

// onlyValue takes the one value that netstack can have and refuses the others.
func onlyValue(want int) func(int) (int, Errno) {
	return func(n int) (int, Errno) {
		if n != want {
			return 0, errRefused
		}
		return n, 0
	}
}

// onlyValueOf is onlyValue for what Linux takes.
func onlyValueOf(want int, read func(int) (int, Errno)) func(int) (int, Errno) {
	return func(n int) (int, Errno) {
		n, errno := read(n)
		if errno != 0 {
			return 0, errno
		}
		return onlyValue(want)(n)
	}
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}
