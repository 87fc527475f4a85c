package sockets

import (
	"encoding/binary"
	"math"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// readLinger takes struct linger {int l_onoff; int l_linger}. Turning it off
// leaves the time as it was.
func readLinger(d *description, v []byte) ([]byte, Errno) {
	seconds := v[4:8]
	if intValue(v) == 0 {
		seconds = make([]byte, 4)
		if old := d.recordedLocked(optionKey{SOL_SOCKET, SO_LINGER}); old != nil {
			seconds = old[4:]
		}
	}
	return append(intBytes(oneIf(intValue(v) != 0)), seconds...), 0
}

// setLinger gives TCP the time, which a negative number makes for ever, as on
// Linux.
func setLinger(_ *description, ep tcpip.Endpoint, v []byte) Errno {
	if ep == nil {
		return 0
	}
	seconds := int64(int32(binary.LittleEndian.Uint32(v[4:])))
	if seconds < 0 {
		seconds = math.MaxInt32
	}
	ep.SocketOptions().SetLinger(tcpip.LingerOption{
		Enabled: intValue(v) != 0, Timeout: time.Duration(seconds) * time.Second,
	})
	return 0
}

// rcvTimeo and sndTimeo are SO_RCVTIMEO and SO_SNDTIMEO, which have two numbers
// each: struct timeval was widened on 32-bit systems.
func rcvTimeo(as optionKey) *option {
	return &option{name: "SO_RCVTIMEO", only: onAll, size: 16, inherit: true, as: as,
		set: func(d *description, _ tcpip.Endpoint, v []byte) Errno {
			return setTimeval(&d.makeUnusual().rcvTimeo, v)
		},
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) { return timevalBytes(int64(d.rcvLimit())), 0 }}
}

func sndTimeo(as optionKey) *option {
	return &option{name: "SO_SNDTIMEO", only: onAll, size: 16, inherit: true, as: as,
		set: func(d *description, _ tcpip.Endpoint, v []byte) Errno {
			return setTimeval(&d.makeUnusual().sndTimeo, v)
		},
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) { return timevalBytes(int64(d.sndLimit())), 0 }}
}

// setTimeval takes struct timeval. Zero is no limit; negative seconds are a
// limit that has passed already.
func setTimeval(dst interface{ Store(int64) }, v []byte) Errno {
	sec, usec := int64(binary.LittleEndian.Uint64(v)), int64(binary.LittleEndian.Uint64(v[8:]))
	if usec < 0 || usec >= 1e6 {
		return EDOM
	}
	if sec < 0 {
		dst.Store(-1)
		return 0
	}
	sec = min(sec, math.MaxInt64/int64(time.Second)-1)
	dst.Store(sec*int64(time.Second) + usec*int64(time.Microsecond))
	return 0
}

func timevalBytes(ns int64) []byte {
	ns = max(ns, 0)
	b := uint64Bytes(uint64(ns / int64(time.Second)))
	return binary.LittleEndian.AppendUint64(b, uint64(ns%int64(time.Second)/int64(time.Microsecond)))
}
