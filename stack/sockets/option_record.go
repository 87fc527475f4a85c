package sockets

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// A setOption is an option that was set, kept so that a new endpoint, or an
// accepted one, can be given the same. The value is in Linux's form.
type setOption struct {
	opt   *option
	value []byte
}

// endpoint returns the endpoint, nil for AF_UNIX.
func (d *description) endpoint() tcpip.Endpoint {
	if ep := d.ep.Load(); ep != nil {
		return ep.Endpoint
	}
	return nil
}

func (d *description) setOption(o *option, value []byte) Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if o.fresh && d.hasPort() {
		return EINVAL
	}
	if o.read != nil {
		v, errno := o.read(d, value)
		if errno != 0 {
			return errno
		}
		value = v
	}
	if set := o.target.set; set != nil {
		if errno := set(d, d.endpoint(), value); errno != 0 {
			return errno
		}
	}
	if !o.once {
		d.recordLocked(o.target, value)
	}
	if o.key.level == SOL_SOCKET || o.key.level == SOL_IPV6 {
		d.forgetFlows() // SO_BINDTODEVICE, SO_REUSEPORT, IPV6_V6ONLY
	}
	return 0
}

// recordLocked keeps a value. The last that was set is the last to be replayed.
func (d *description) recordLocked(o *option, value []byte) {
	for i := range d.record {
		if d.record[i].opt == o {
			d.record = append(d.record[:i], d.record[i+1:]...)
			break
		}
	}
	d.record = append(d.record, setOption{o, append([]byte(nil), value...)})
}

// option returns the value of an option that the socket has.
func (d *description) option(o *option) ([]byte, Errno) {
	if o.get != nil {
		return o.get(d, d.endpoint())
	}
	if v := d.recorded(o.key); v != nil {
		return v, 0
	}
	width := 4
	if o.width > 0 {
		width = o.width
	}
	return binary.LittleEndian.AppendUint64(nil, uint64(o.initial))[:width], 0
}

// recorded returns the value that the option was set to, nil if it never was.
func (d *description) recorded(key optionKey) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.recordedLocked(key)
}

func (d *description) recordedLocked(key optionKey) []byte {
	for _, r := range d.record {
		if r.opt.key == key {
			return append([]byte{}, r.value...)
		}
	}
	return nil
}

// inherited returns what a listener's sockets have of its record.
func (d *description) inherited() []setOption {
	d.mu.Lock()
	defer d.mu.Unlock()
	var record []setOption
	for _, r := range d.record {
		if r.opt.inherit {
			record = append(record, r)
		}
	}
	return record
}

// replay gives another endpoint the recorded options. Their values were taken
// once, so they are taken again.
func (d *description) replay(ep tcpip.Endpoint) {
	for _, r := range d.record {
		if r.opt.set != nil {
			r.opt.set(d, ep, r.value)
		}
	}
}

func intBytes(v int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }

// intValue returns the int that an option's value begins with.
func intValue(b []byte) int {
	if len(b) < 4 {
		return 0
	}
	return int(int32(binary.LittleEndian.Uint32(b)))
}
