package stack

import (
	"net/netip"

	"github.com/userstack/userstack/stack/internal/acks"
	"github.com/userstack/userstack/stack/internal/flow"
	"github.com/userstack/userstack/stack/internal/translate"
)

// Watch makes a Flow of a TCP connection and has the links tell it of every
// segment that passes, until stop is called. It is there for package sockets,
// whose Socket.Watch says what came of it. A connection to an address of the
// stack itself passes no link. It reports false for a connection that is being
// watched.
func (s *Stack) Watch(local, remote netip.AddrPort) (f *flow.Flow, stop func(), ok bool) {
	k := acks.Key{
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
	var stops []func()
	stop = func() {
		for _, stop := range stops {
			stop()
		}
	}
	for _, tap := range s.taps {
		one, ok := tap.Watch(k, f)
		if !ok {
			stop()
			return nil, nil, false
		}
		stops = append(stops, one)
	}
	return f, stop, true
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
