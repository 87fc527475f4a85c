package agent

import (
	"net/netip"

	"github.com/userstack/userstack/internal/bench/load"
	"github.com/userstack/userstack/stack/sockets"
)

// packets is a datagram socket of ours, a batch a call.
type packets struct {
	*sockets.Socket
	out, in []*sockets.Msg
}

func newPackets(s *sockets.Socket) *packets { return &packets{Socket: s} }

func (p *packets) Send(batch [][]byte) (int, error) { return p.SendMMsg(msgs(&p.out, batch)) }

func (p *packets) Receive(batch [][]byte) (int, error) {
	for i, b := range batch {
		batch[i] = b[:cap(b)]
	}
	ms := msgs(&p.in, batch)
	n, err := p.RecvMMsg(ms, 0, sockets.MSG_WAITFORONE)
	for i := range n {
		batch[i] = batch[i][:ms[i].N]
	}
	return n, err
}

// msgs puts a batch into messages that are kept from call to call.
func msgs(kept *[]*sockets.Msg, batch [][]byte) []*sockets.Msg {
	for len(*kept) < len(batch) {
		*kept = append(*kept, &sockets.Msg{Buffers: make([][]byte, 1)})
	}
	ms := (*kept)[:len(batch)]
	for i, b := range batch {
		ms[i].Buffers = append(ms[i].Buffers[:0], b)
	}
	return ms
}

type packetListener struct{ *packets }

func (l *packetListener) Addr() netip.AddrPort {
	name, err := l.GetSockName()
	if a, ok := name.(sockets.Inet4); err == nil && ok {
		at, _ := a.AddrPort()
		return at
	}
	return netip.AddrPort{}
}

func (l *packetListener) Accept(hello []byte) (load.Packets, int, error) {
	n, from, err := l.RecvFromInto(hello)
	if err == nil {
		err = l.Connect(from)
	}
	return l.packets, n, err
}
