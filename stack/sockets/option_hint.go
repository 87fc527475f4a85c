package sockets

import (
	"encoding/binary"
	"math"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// hintOptions of SOL_SOCKET are checked and recorded as Linux does and change
// nothing: none of them can change which bytes arrive.
var hintOptions = map[optionKey]*option{
	{SOL_SOCKET, SO_DEBUG}:    flag("SO_DEBUG", onAll, nil),
	{SOL_SOCKET, SO_PRIORITY}: priority,
	{SOL_SOCKET, SO_BSDCOMPAT}: number("SO_BSDCOMPAT", onAll, 0,
		func(int) (int, Errno) { return 0, 0 }, nil),
	{SOL_SOCKET, SO_WIFI_STATUS}: flag("SO_WIFI_STATUS", onAll, nil),
	{SOL_SOCKET, SO_NOFCS}:       flag("SO_NOFCS", onAll, nil),
	{SOL_SOCKET, SO_LOCK_FILTER}: lockFilter(),
	{SOL_SOCKET, SO_BUSY_POLL}:   number("SO_BUSY_POLL", onAll, 0, notNegative, nil),
	{SOL_SOCKET, SO_MAX_PACING_RATE}: {name: "SO_MAX_PACING_RATE", only: onAll, size: 4, inherit: true,
		stored: true, initial: -1, width: 8, read: readPacingRate, reason: "nothing limits the rate of a socket"},
	{SOL_SOCKET, SO_BPF_EXTENSIONS}: constant("SO_BPF_EXTENSIONS", onAll, 0),
	{SOL_SOCKET, SO_INCOMING_CPU}:   number("SO_INCOMING_CPU", onAll, -1, anyInt, nil),
	{SOL_SOCKET, SO_CNX_ADVICE}: {name: "SO_CNX_ADVICE", only: onAll, size: 4,
		set: func(*description, tcpip.Endpoint, []byte) Errno { return 0 }},
	{SOL_SOCKET, SO_INCOMING_NAPI_ID}: constant("SO_INCOMING_NAPI_ID", onAll, 0),
	{SOL_SOCKET, SO_PREFER_BUSY_POLL}: flag("SO_PREFER_BUSY_POLL", onAll, nil),
	{SOL_SOCKET, SO_BUSY_POLL_BUDGET}: {name: "SO_BUSY_POLL_BUDGET", only: onAll, size: 4,
		set: func(_ *description, _ tcpip.Endpoint, v []byte) Errno {
			_, errno := between(0, math.MaxUint16)(intValue(v))
			return errno
		}},
	{SOL_SOCKET, SO_RESERVE_MEM}: number("SO_RESERVE_MEM", onAll, 0, notNegative, nil),
	{SOL_SOCKET, SO_TXREHASH}:    txRehash(),
}

// priority is SO_PRIORITY, which accepted sockets do not have from the listener.
var priority = func() *option {
	o := number("SO_PRIORITY", onAll, 0, anyInt, nil)
	o.inherit = false
	return o
}()

// tosPriority returns the priority that Linux derives from IP_TOS: the table
// ip_tos2prio by bits 1 to 4, without the ECN-capable bit.
func tosPriority(tos int) int {
	const bulk, interactiveBulk, interactive = 2, 4, 6 // <linux/pkt_sched.h>
	switch tos >> 3 & 3 {
	case 1:
		return bulk
	case 2:
		return interactive
	case 3:
		return interactiveBulk
	}
	return 0
}

// lockFilter is SO_LOCK_FILTER, which cannot be undone.
func lockFilter() *option {
	o := flag("SO_LOCK_FILTER", onAll, nil)
	o.read = func(d *description, v []byte) ([]byte, Errno) {
		old := d.recordedLocked(optionKey{SOL_SOCKET, SO_LOCK_FILTER})
		if intValue(old) != 0 && intValue(v) == 0 {
			return nil, EPERM
		}
		return intBytes(oneIf(intValue(v) != 0)), 0
	}
	return o
}

// readPacingRate takes a rate in bytes per second of 4 or 8 bytes. Only "no
// limit" is accepted.
func readPacingRate(_ *description, v []byte) ([]byte, Errno) {
	unlimited := binary.LittleEndian.Uint32(v) == math.MaxUint32
	if len(v) >= 8 {
		unlimited = binary.LittleEndian.Uint64(v) == math.MaxUint64
	}
	if !unlimited {
		return nil, errRefused
	}
	return uint64Bytes(math.MaxUint64), 0
}

// txRehash is SO_TXREHASH: -1 is the default, which is on.
func txRehash() *option {
	o := number("SO_TXREHASH", onTCP, 1, orDefault(1, 0, 1), nil)
	o.absent = EOPNOTSUPP
	return o
}
