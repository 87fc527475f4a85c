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
type option struct {
	name  string
	only  sockets // kinds of socket that have the option
	size  int     // bytes of the value; shorter is EINVAL, unless tiny
	tiny  bool    // 1 to 3 bytes are accepted as well: options of IPPROTO_IP
	get   func(*description, tcpip.Endpoint) ([]byte, Errno)
	set   func(*description, tcpip.Endpoint, []byte) Errno
	fresh bool // may be set only before Bind

	inherit bool // accepted sockets have the listener's value
}

// sockets is a set of kinds of socket.
type sockets int

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
)

// A setOption is an option that was set, kept so that a new endpoint, or an
// accepted one, can be given the same.
type setOption struct {
	key   optionKey
	opt   *option
	value []byte
}

// options is the table; its parts stand in the option_*.go files.
var options = func() map[optionKey]*option {
	all := map[optionKey]*option{}
	for _, part := range []map[optionKey]*option{
		socketOptions, ipOptions, ipv6Options, tcpOptions, udpOptions,
		multicastOptions, rawOptions, packetOptions, messageOptions, unixOptions,
	} {
		maps.Copy(all, part)
	}
	return all
}()

func (d *description) has(o *option) bool {
	switch {
	case o.only&d.kind == 0:
		return false
	case o.only&on4 != 0:
		return d.family == AF_INET
	case o.only&on6 != 0:
		return d.family == AF_INET6
	}
	return true
}

// SetSockOpt sets an option to the bytes of a C value (setsockopt(2)). Numbers
// and layouts are Linux's, in little-endian order. Errors: ENOPROTOOPT for an
// option that the socket does not have, EINVAL for a value out of range or too
// short, and those that the option documents.
func (s *Socket) SetSockOpt(level, name int, value []byte) error {
	if s.closed() {
		return s.error("setsockopt", ErrClosed)
	}
	key := optionKey{level, name}
	o := options[key]
	if (level == SOL_SOCKET || level == SOL_TCP) && len(value) < 4 && (o == nil || o.size >= 4) {
		return s.error("setsockopt", EINVAL) // before the name is even looked at
	}
	if o == nil || !s.d.has(o) || o.set == nil {
		return unknownOption("setsockopt", key, ENOPROTOOPT)
	}
	if len(value) < o.size && !(o.tiny && len(value) > 0) {
		return s.error("setsockopt", EINVAL)
	}
	return s.error("setsockopt", s.d.setOption(key, o, value).orNil())
}

func (e Errno) orNil() error {
	if e == 0 {
		return nil
	}
	return e
}

func (d *description) setOption(key optionKey, o *option, value []byte) Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	ep := d.ep.Load()
	if o.fresh && d.bound.IsValid() {
		return EINVAL
	}
	if errno := o.set(d, ep, value); errno != 0 {
		return errno
	}
	for i := range d.record {
		if d.record[i].key == key {
			d.record[i].value = append([]byte(nil), value...)
			return 0
		}
	}
	d.record = append(d.record, setOption{key, o, append([]byte(nil), value...)})
	return 0
}

// unknownOption is the refusal of an option that the table does not have for
// this kind of socket.
func unknownOption(op string, key optionKey, num Errno) error {
	name := fmt.Sprintf("option %d of level %d", key.name, key.level)
	if o := options[key]; o != nil {
		return &Error{Op: op, Num: num, Msg: o.name + " does not apply to this socket"}
	}
	return &Error{Op: op, Num: num, Msg: name + " is not implemented by userstack", Err: ErrUnsupported}
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
	key := optionKey{level, name}
	o := options[key]
	if o == nil || !s.d.has(o) || o.get == nil {
		return nil, unknownOption("getsockopt", key, s.d.noSuchGet(level))
	}
	value, errno := o.get(s.d, s.d.ep.Load())
	if errno != 0 {
		return nil, s.error("getsockopt", errno)
	}
	if o.tiny && size > 0 && size < len(value) && onlyFirst(value) {
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

// noSuchGet is what getsockopt says to an option that a socket does not have: on
// AF_INET sockets the level of another protocol is EOPNOTSUPP.
func (d *description) noSuchGet(level int) Errno {
	own := level == SOL_SOCKET || level == SOL_IP || level == SOL_TCP && d.isTCP() || level == SOL_UDP && !d.isTCP()
	if d.family == AF_INET && !own {
		return EOPNOTSUPP
	}
	return ENOPROTOOPT
}

func intBytes(v int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }

func intValue(b []byte) int {
	if len(b) < 4 {
		return int(b[0])
	}
	return int(int32(binary.LittleEndian.Uint32(b)))
}
