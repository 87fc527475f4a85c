package sockets_test

import (
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

// fuzzSockets returns a socket of each kind that there is.
func fuzzSockets(t *testing.T, h *sockets.Host) (list []*sockets.Socket) {
	t.Helper()
	for _, k := range goldenKinds {
		if s, err := h.Socket(k.family, k.typ, k.proto); err == nil {
			list = append(list, s)
		}
	}
	return list
}

// FuzzSetSockOpt sets any bytes, which must never panic, and reads the option
// back, which must not fail when setting it did not, unless it can only be set.
func FuzzSetSockOpt(f *testing.F) {
	gettable := map[[2]int]bool{}
	for _, row := range sockets.OptionRows() {
		gettable[[2]int{row.Level, row.Name}] = row.Gettable
		f.Add(row.Level, row.Name, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		f.Add(row.Level, row.Name, []byte{})
	}
	f.Add(sockets.SOL_SOCKET, sockets.SO_LINGER, []byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Add(sockets.SOL_SOCKET, sockets.SO_BINDTODEVICE, []byte("lo"))
	f.Add(sockets.SOL_TCP, sockets.TCP_CONGESTION, []byte("cubic\x00junk that is longer than a name"))
	h, _ := pair(f)
	f.Fuzz(func(t *testing.T, level, name int, value []byte) {
		for _, s := range fuzzSockets(t, h) {
			defer s.Close()
			err := s.SetSockOpt(level, name, value)
			if err != nil || !gettable[[2]int{level, name}] {
				continue
			}
			if _, err := s.GetSockOpt(level, name, 1024); err != nil && !onlyConnected[[2]int{level, name}] {
				t.Errorf("%v: set to % x, and then: %v", s, value, err)
			}
		}
	})
}

// onlyConnected are options that can be set at any time and read when there is a
// peer.
var onlyConnected = map[[2]int]bool{{sockets.SOL_IPV6, sockets.IPV6_MTU}: true}

// FuzzGetSockOpt reads any option with any size, of which the answer is never
// more.
func FuzzGetSockOpt(f *testing.F) {
	for _, row := range sockets.OptionRows() {
		f.Add(row.Level, row.Name, 4)
		f.Add(row.Level, row.Name, 0)
	}
	f.Add(sockets.SOL_SOCKET, sockets.SO_TYPE, -1)
	f.Add(sockets.SOL_SOCKET, sockets.SO_TYPE, 1<<20)
	h, _ := pair(f)
	f.Fuzz(func(t *testing.T, level, name, size int) {
		for _, s := range fuzzSockets(t, h) {
			defer s.Close()
			if v, err := s.GetSockOpt(level, name, size); err == nil && len(v) > size {
				t.Errorf("%v: % x, which is more than %d bytes", s, v, size)
			}
		}
	})
}
