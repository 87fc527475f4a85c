package sockets

import (
	"encoding/binary"

	"golang.org/x/net/bpf"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// filterOptions are a program's own filter on what it receives, in classic BPF
// (socket(7), SO_ATTACH_FILTER). The value is the instructions themselves, as
// struct sock_filter has them, where C has a pointer to them. Linux's ancillary
// loads (SKF_AD_*) and BPF_NEG are EINVAL.
var filterOptions = map[optionKey]*option{
	{SOL_SOCKET, SO_ATTACH_FILTER}: {name: "SO_ATTACH_FILTER", only: onAll, size: 4, once: true,
		get: getFilter, set: setFilter, reason: "streams are not filtered"},
	{SOL_SOCKET, SO_DETACH_FILTER}: {name: "SO_DETACH_FILTER", only: onAll, size: 4, once: true, set: detachFilter},
}

func (d *description) filterLocked() bool {
	return intValue(d.recordedLocked(optionKey{SOL_SOCKET, SO_LOCK_FILTER})) != 0
}

func detachFilter(d *description, _ tcpip.Endpoint, _ []byte) Errno {
	switch {
	case d.filterLocked():
		return EPERM
	case d.in == nil || d.in.filter.Swap(nil) == nil:
		return ENOENT
	}
	return 0
}

// A program is a filter that is attached to a socket.
type program struct {
	vm  *bpf.VM
	raw []byte
}

const (
	instructionSize = 8    // bytes of a struct sock_filter
	maxInstructions = 4096 // BPF_MAXINSNS
)

func getFilter(d *description, _ tcpip.Endpoint) ([]byte, Errno) {
	if d.in == nil {
		return []byte{}, 0
	}
	if p := d.in.filter.Load(); p != nil {
		return append([]byte(nil), p.raw...), 0
	}
	return []byte{}, 0
}

func setFilter(d *description, _ tcpip.Endpoint, v []byte) Errno {
	if d.filterLocked() {
		return EPERM
	}
	if d.kind&onDatagram == 0 {
		return errRefused
	}
	p, ok := assemble(v)
	if !ok {
		return EINVAL
	}
	d.in.filter.Store(p)
	return 0
}

// assemble reads and checks the instructions of a filter.
func assemble(v []byte) (*program, bool) {
	n := len(v) / instructionSize
	if n == 0 || n > maxInstructions || len(v)%instructionSize != 0 {
		return nil, false
	}
	code := make([]bpf.Instruction, n)
	for i := range code {
		b := v[i*instructionSize:]
		raw := bpf.RawInstruction{Op: binary.LittleEndian.Uint16(b), Jt: b[2], Jf: b[3], K: binary.LittleEndian.Uint32(b[4:])}
		code[i] = raw.Disassemble()
		switch code[i].(type) {
		case bpf.RawInstruction, bpf.NegateA: // which the machine meets only when it runs
			return nil, false
		}
	}
	vm, err := bpf.NewVM(code)
	if err != nil {
		return nil, false
	}
	return &program{vm: vm, raw: append([]byte(nil), v...)}, true
}

// pass runs the filter over a datagram, and cuts it to the length that the
// filter returns. A filter of a UDP socket sees the UDP header, of a raw socket
// what the socket receives.
func (p *program) pass(d *description, dg *datagram) bool {
	data, skip := dg.body.bytes(), 0
	if d.kind == onUDP {
		skip = header.UDPMinimumSize
		h := make(header.UDP, skip, skip+len(data))
		h.Encode(&header.UDPFields{SrcPort: dg.from.Port(), DstPort: dg.dst.Port(), Length: uint16(skip + len(data))})
		data = append(h, data...)
	}
	n, err := p.vm.Run(data)
	if err != nil || n == 0 {
		return false
	}
	if keep := max(n-skip, 0); dg.body != nil && keep < len(dg.body.data) {
		dg.body.data = dg.body.data[:keep]
	}
	return true
}
