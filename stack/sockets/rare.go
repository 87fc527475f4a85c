package sockets

import (
	"sync/atomic"
	"time"
)

// rare is what few sockets have. The others do without it, since an idle connection
// is to cost no more than a twentieth beyond its endpoint.
type rare struct {
	rcvTimeo, sndTimeo atomic.Int64           // time.Duration: 0 = none, negative = at once
	rcvBuf             atomic.Int32           // SO_RCVBUF, 0 until it is set
	lowat              atomic.Int32           // SO_RCVLOWAT, 0 until it is set
	peerName           atomic.Pointer[string] // the name that Connect was given, nil for an address
}

// nothingRare is what sockets have that set none of it. It is only read.
var nothingRare rare

// unusual returns what the socket has of it, to be read.
func (d *description) unusual() *rare {
	if r := d.rare.Load(); r != nil {
		return r
	}
	return &nothingRare
}

// makeUnusual returns it to be changed.
func (d *description) makeUnusual() *rare {
	if d.rare.Load() == nil {
		d.rare.CompareAndSwap(nil, new(rare))
	}
	return d.rare.Load()
}

// rcvLimit and sndLimit are SO_RCVTIMEO and SO_SNDTIMEO.
func (d *description) rcvLimit() time.Duration { return time.Duration(d.unusual().rcvTimeo.Load()) }
func (d *description) sndLimit() time.Duration { return time.Duration(d.unusual().sndTimeo.Load()) }
