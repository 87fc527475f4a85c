package stack

import (
	"net/netip"

	"github.com/userstack/userstack/stack/internal/flow"
	"github.com/userstack/userstack/stack/internal/halfclose"
	"github.com/userstack/userstack/stack/internal/translate"
)

// Watch makes a Flow of a TCP connection and has the links tell it of every
// segment that passes, until stop is called. It is there for package sockets,
// whose Socket.Watch says what came of it. A connection to an address of the
// stack itself passes no link.
func (s *Stack) Watch(local, remote netip.AddrPort) (f *flow.Flow, stop func()) {
	k := halfclose.Key{
		Local: translate.Addr(local.Addr().Unmap()), LocalPort: local.Port(),
		Remote: translate.Addr(remote.Addr().Unmap()), RemotePort: remote.Port(),
	}
	var h flow.Handshake
	for _, tap := range s.taps {
		if h = tap.Handshake(k); h.Seen {
			break
		}
	}
	f = flow.New(h)
	stops := make([]func(), len(s.taps))
	for i, tap := range s.taps {
		stops[i] = tap.Watch(k, f)
	}
	return f, func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// Offload returns the largest TCP segment, in bytes with its headers, that a NIC
// takes whole to cut it into packets later; 0 if it takes none larger than its MTU.
func (s *Stack) Offload(index int) int {
	i := index - firstLinkIndex
	if i < 0 || i >= len(s.taps) {
		return 0
	}
	return int(s.taps[i].GSOMaxSize())
}
