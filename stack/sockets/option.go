package sockets

import (
	"encoding/binary"
	"fmt"
	"maps"

	"gvisor.dev/gvisor/pkg/tcpip"
)

type optionKey struct{ level, name int }

// An option is a row of the table of socket options. Nothing that is not in the
// table reaches netstack, which accepts options and values that it then ignores
// (T23).
//
// A value that is set goes through read, which brings it into Linux's form or
// refuses it, and set, which gives it effect. Then it is recorded, so that a new
// endpoint, or an accepted one, can be given the same.
type option struct {
	name string
	only sockets // kinds of socket that have the option
	size int     // bytes of the value; shorter is EINVAL, unless tiny or zero
	tiny bool    // 1 to 3 bytes are accepted as well, and the first counts: options of IPPROTO_IP
	zero bool    // shorter values are accepted as well, and count as 0

	exact bool // longer values are EINVAL too
	fresh bool // may be set only before Bind
	once  bool // an act, not a setting: it is not recorded

	// read is called with the description locked, as is set.
	read func(*description, []byte) ([]byte, Errno)
	set  func(*description, tcpip.Endpoint, []byte) Errno
	get  func(*description, tcpip.Endpoint) ([]byte, Errno)

	// A stored option without get is read from the record, and is initial until
	// it is set. Unless it is fixed it can be set without a function set.
	stored  bool
	fixed   bool
	initial int
	width   int // bytes of initial, if not 4

	inherit bool      // accepted sockets have the listener's value
	as      optionKey // the option that is set in truth, if not this one
	target  *option   // that option, or this one
	key     optionKey // of target

	needs   int    // bytes that a get must have room for, or EINVAL
	snug    bool   // and it is EINVAL to ask for more than there are
	absent  Errno  // what sockets without the option answer, instead of ENOPROTOOPT
	refusal Errno  // what errRefused stands for, instead of ENOPROTOOPT
	reason  string // why userstack refuses it, or some values
}

// errRefused is what read, set or get returns for a value that Linux would take
// and userstack does not. The user sees the option's refusal and its reason.
const errRefused Errno = -1

// sockets is a set of kinds of socket.
type sockets uint16

const (
	onTCP sockets = 1 << iota
	onUDP
	onPing
	onRaw
	onPacket
	onUnix
	on4 // AF_INET only
	on6 // AF_INET6 only

	onInet     = onTCP | onUDP | onPing | onRaw // AF_INET and AF_INET6
	onDatagram = onUDP | onPing | onRaw | onPacket
	onEndpoint = onInet | onPacket // what has an endpoint of netstack's
	onAll      = onEndpoint | onUnix
)

// options is the table; its parts stand in the option_*.go files.
var options = func() map[optionKey]*option {
	all := map[optionKey]*option{}
	for _, part := range []map[optionKey]*option{
		socketOptions, hintOptions, ipOptions, ipv6Options, tcpOptions, udpOptions, refusedOptions(),
		multicastOptions, groupOptions, rawOptions, packetOptions, filterOptions, messageOptions, unixOptions,
	} {
		maps.Copy(all, part)
	}
	for key, o := range all {
		o.key, o.target = key, o
	}
	for _, o := range all {
		if other := all[o.as]; other != nil {
			o.key, o.target = o.as, other
		}
	}
	return all
}()

func (d *description) has(o *option) bool {
	switch {
	case o.only&d.kind == 0:
		return false
	case o.key.level == SOL_IP && d.kind == onRaw:
		return d.family == AF_INET // TCP and UDP have an IPv4 half on AF_INET6, raw sockets none
	case o.only&on4 != 0:
		return d.family == AF_INET
	case o.only&on6 != 0:
		return d.family == AF_INET6
	}
	return true
}

func (o *option) settable() bool { return o.set != nil || o.stored && !o.fixed || o.target != o }

func (o *option) gettable() bool { return o.get != nil || o.stored }

// SetSockOpt sets an option to the bytes of a C value (setsockopt(2)). Numbers
// and layouts are Linux's, in little-endian order. Errors: ENOPROTOOPT for an
// option that the socket does not have, EINVAL for a value out of range or too
// short, and those that the option documents. The error for an option, or a
// value of one, that Linux has and userstack does not says so and wraps
// ErrUnsupported.
func (s *Socket) SetSockOpt(level, name int, value []byte) error {
	if s.closed() {
		return s.error("setsockopt", ErrClosed)
	}
	o := options[optionKey{level, name}]
	if s.d.checksLengthFirst(level) && len(value) < 4 && (o == nil || o.size >= 4) {
		return s.error("setsockopt", EINVAL) // before the name is even looked at
	}
	if o == nil || !s.d.has(o) || !o.settable() {
		return s.d.noSuchOption("setsockopt", level, name, o)
	}
	short := len(value) < o.size && !(o.tiny && len(value) > 0) && !o.zero
	if short || o.exact && len(value) > o.size {
		return s.error("setsockopt", EINVAL)
	}
	if len(value) < o.size {
		value = shortInt(o, value)
	}
	return s.optionError("setsockopt", o, s.d.setOption(o, value))
}

// shortInt returns the int that a value of less than 4 bytes stands for.
func shortInt(o *option, value []byte) []byte {
	if o.tiny && len(value) > 0 {
		return intBytes(int(value[0]))
	}
	return intBytes(0)
}

func (s *Socket) optionError(op string, o *option, num Errno) error {
	if num == 0 {
		return nil
	}
	if num != errRefused {
		return s.error(op, num)
	}
	num = o.refusal
	if num == 0 {
		num = ENOPROTOOPT
	}
	return &Error{Op: op, Num: num, Msg: o.refusalText(), Err: ErrUnsupported}
}

func (o *option) refusalText() string {
	return o.name + " is refused by userstack: " + o.reason
}

// noSuchOption is the refusal of an option that the socket does not have. o is
// nil when the table does not have it either.
func (d *description) noSuchOption(op string, level, name int, o *option) error {
	num := ENOPROTOOPT
	switch own := d.ownLevel(level); {
	case !own && (d.kind == onUnix || op == "getsockopt" && d.family == AF_INET):
		num = EOPNOTSUPP
	case o != nil && o.absent != 0 && !d.has(o):
		num = o.absent
	}
	switch {
	case o == nil:
		msg := fmt.Sprintf("option %d of level %d is refused by userstack", name, level)
		return &Error{Op: op, Num: num, Msg: msg, Err: ErrUnsupported}
	case d.has(o) && o.reason != "":
		return &Error{Op: op, Num: num, Msg: o.refusalText(), Err: ErrUnsupported}
	case d.has(o) && o.gettable():
		return &Error{Op: op, Num: num, Msg: o.name + " can only be read"}
	case d.has(o):
		return &Error{Op: op, Num: num, Msg: o.name + " can only be set"}
	}
	return &Error{Op: op, Num: num, Msg: o.name + " does not apply to this socket"}
}

// ownLevel reports whether the socket has options of the level at all. AF_INET6
// sockets pass on what they do not know, AF_INET ones say so.
func (d *description) ownLevel(level int) bool {
	switch level {
	case SOL_SOCKET:
		return true
	case SOL_IP:
		return d.kind&onInet != 0
	case SOL_TCP:
		return d.kind == onTCP
	case SOL_UDP:
		return d.kind == onUDP
	case SOL_RAW:
		return d.kind == onRaw
	}
	return d.kind != onUnix && d.family != AF_INET
}

// checksLengthFirst reports whether a level refuses short values before it looks
// at the option.
func (d *description) checksLengthFirst(level int) bool {
	return d.ownLevel(level) && (level == SOL_SOCKET || level == SOL_TCP || level == SOL_UDP)
}

// SetSockOptInt sets an option whose value is a C int.
func (s *Socket) SetSockOptInt(level, name, value int) error {
	return s.SetSockOpt(level, name, intBytes(value))
}

// GetSockOpt returns at most size bytes of an option's value (getsockopt(2)).
// Errors: ENOPROTOOPT, or EOPNOTSUPP for the level of another address family;
// EINVAL for a negative size or one above 64 KiB.
func (s *Socket) GetSockOpt(level, name, size int) ([]byte, error) {
	if s.closed() {
		return nil, s.error("getsockopt", ErrClosed)
	}
	if size < 0 || size > maxOptionSize {
		return nil, s.error("getsockopt", EINVAL)
	}
	o := options[optionKey{level, name}]
	if o == nil || !s.d.has(o) || !o.gettable() {
		return nil, s.d.noSuchOption("getsockopt", level, name, o)
	}
	value, errno := s.d.option(o)
	if errno != 0 {
		return nil, s.optionError("getsockopt", o, errno)
	}
	if o.needs > size && len(value) > 0 || o.snug && size > len(value) {
		return nil, s.error("getsockopt", EINVAL)
	}
	if level == SOL_IP && len(value) == 4 && size > 0 && size < 4 && onlyFirst(value) {
		size = 1
	}
	return value[:min(size, len(value))], nil
}

const maxOptionSize = 64 << 10

func onlyFirst(v []byte) bool {
	for _, b := range v[1:] {
		if b != 0 {
			return false
		}
	}
	return true
}

// GetSockOptInt returns an option whose value is a C int.
func (s *Socket) GetSockOptInt(level, name int) (int, error) {
	v, err := s.GetSockOpt(level, name, 4)
	if err != nil {
		return 0, err
	}
	var buf [4]byte
	copy(buf[:], v)
	return int(int32(binary.LittleEndian.Uint32(buf[:]))), nil
}
