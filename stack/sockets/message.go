package sockets

import "gvisor.dev/gvisor/pkg/tcpip"

// A ControlMessage is ancillary data of a message (cmsg(3)). Numbers and layouts
// are Linux's, in little-endian order.
type ControlMessage struct {
	Level, Type int
	Data        []byte
}

// A Msg is what SendMsg sends and what RecvMsg received.
type Msg struct {
	Buffers [][]byte
	Control []ControlMessage
	Flags   MsgFlags // of a received message: MSG_TRUNC, MSG_CTRUNC, MSG_EOR, MSG_ERRQUEUE
	Addr    Sockaddr // where to, or from whom; nil on a connection
	N       int      // bytes received
}

// SendMsg sends the buffers as one message (sendmsg(2)), to m.Addr if it is not
// nil. Errors beside Send's and SendTo's: EINVAL for ancillary data that is not
// understood.
func (s *Socket) SendMsg(m *Msg, opts ...CallOption) (int, error) {
	c := s.sending(opts)
	r := gatherOverAll(m.Buffers)
	defer r.free()
	var wo tcpip.WriteOptions
	if m.Addr != nil && !s.d.isTCP() {
		if s.dead() {
			return 0, s.error("sendmsg", ErrClosed)
		}
		ap, err := s.peer(c.ctx, m.Addr)
		if err != nil {
			return 0, s.withRemote("sendmsg", m.Addr, err)
		}
		full, errno := s.d.sendDestination(ap)
		if errno != 0 {
			return 0, s.withRemote("sendmsg", m.Addr, errno)
		}
		wo.To = &full
	}
	n, err := s.sendGather(r, wo, &c)
	return n, s.withRemote("sendmsg", m.Addr, err)
}

// RecvMsg receives one message into the buffers (recvmsg(2)), with at most
// oobLen bytes of ancillary data as Linux counts them. A nil error with N 0 and
// no address is the end of a connection. Errors are Recv's.
func (s *Socket) RecvMsg(bufs [][]byte, oobLen int, opts ...CallOption) (*Msg, error) {
	c := s.receiving(opts)
	w := scatterOverAll(bufs)
	defer w.free()
	var dg datagram
	r := s.recvScatter(w, &c, &dg)
	if r.err != nil {
		return nil, s.error("recvmsg", r.err)
	}
	m := &Msg{Buffers: bufs, Addr: s.sender(r), N: r.count(c.flags)}
	if r.total > r.n {
		m.Flags |= MSG_TRUNC
	}
	if s.d.in != nil && oobLen > 0 {
		m.Control = s.d.ancillary(&dg)
	}
	return m, nil
}
