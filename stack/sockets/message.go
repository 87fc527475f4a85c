package sockets

import "gvisor.dev/gvisor/pkg/tcpip"

// A ControlMessage is ancillary data of a message (cmsg(3)). Numbers and layouts
// are Linux's, in little-endian order. ControlInt, ControlPacketInfo and
// ControlSegment make what SendMsg takes; the methods read what RecvMsg gives.
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
	N       int      // bytes received; bytes sent, after SendMMsg
}

// SendMsg sends the buffers as one message (sendmsg(2)), to m.Addr if it is not
// nil. On a datagram socket the control messages may be IP_TTL, IP_TOS,
// IP_PKTINFO (source address and interface), IPV6_HOPLIMIT, IPV6_TCLASS,
// IPV6_PKTINFO and, for UDP, UDP_SEGMENT.
//
// Errors beside Send's and SendTo's: EINVAL for control messages that Linux
// refuses too, ENODEV for an interface that does not exist, ENETUNREACH for an
// IPv4 source address that is not the stack's; EOPNOTSUPP for a source address
// or TOS on a raw IPv6 socket or one with IP_HDRINCL.
func (s *Socket) SendMsg(m *Msg, opts ...CallOption) (int, error) {
	if m == nil {
		return 0, s.error("sendmsg", EFAULT)
	}
	c := s.sending(opts)
	n, err := s.sendMessage(m, &c, opts)
	return n, s.withRemote("sendmsg", m.Addr, err)
}

func (s *Socket) sendMessage(m *Msg, c *call, opts []CallOption) (int, error) {
	r := gatherOverAll(m.Buffers)
	defer r.free()
	if s.dead() {
		return 0, ErrClosed
	}
	if s.d.unix != nil {
		return s.sendMessageUnix(r, m, c)
	}
	if s.d.isTCP() {
		if _, errno := s.d.shapeOf(m.Control, false); errno != 0 {
			return 0, errno
		}
		if c.flags&MSG_FASTOPEN != 0 {
			if err := s.connectForSend(m.Addr, opts); err != nil {
				return 0, err
			}
		}
		return s.sendGather(r, tcpip.WriteOptions{}, c)
	}
	var to *tcpip.FullAddress
	if m.Addr != nil {
		full, err := s.to(c.ctx, m.Addr)
		if err != nil {
			return 0, s.d.autobind(err)
		}
		to = &full
	}
	return s.sendDatagram(r, to, m.Control, c)
}

// connectForSend is what MSG_FASTOPEN does before it sends. Netstack cannot put
// the data into the SYN, which a peer without the cookie would not see either.
func (s *Socket) connectForSend(a Sockaddr, opts []CallOption) error {
	if a == nil {
		return EINVAL
	}
	err := s.Connect(a, opts...)
	if e, ok := err.(*Error); ok && e.Err == nil {
		return e.Num
	}
	return err
}

// RecvMsg receives one message into the buffers (recvmsg(2)). oobLen is the size
// in bytes of the buffer for control messages that a C program would give:
// ControlLen tells how much each takes, and MSG_CTRUNC in the result's Flags that
// it was too small. A nil error with N 0 and no address is the end of a
// connection.
//
// With MSG_ERRQUEUE it takes an error from the queue that IP_RECVERR opens, at
// once or with EAGAIN: the data is the datagram that failed, Addr where it was
// sent to, and a control message an ExtendedError. Other errors are Recv's.
func (s *Socket) RecvMsg(bufs [][]byte, oobLen int, opts ...CallOption) (*Msg, error) {
	m := &Msg{Buffers: bufs}
	c := s.receiving(opts)
	if err := s.recvMessage(m, oobLen, &c); err != nil {
		return nil, s.error("recvmsg", err)
	}
	return m, nil
}

func (s *Socket) recvMessage(m *Msg, oobLen int, c *call) error {
	w := scatterOverAll(m.Buffers)
	defer w.free()
	if s.d.unix != nil {
		return s.recvMessageUnix(m, w, oobLen, c)
	}
	held := readMessages.Get().(*readMessage)
	defer held.free()
	dg := &held.meta
	r := s.recvScatter(w, c, dg)
	if r.err != nil {
		return r.err
	}
	m.Addr, m.N, m.Flags, m.Control = s.sender(r), r.count(c.flags), 0, nil
	if r.total > r.n && !r.toEnd {
		m.Flags |= MSG_TRUNC
	}
	var l controlList
	s.d.controlOf(&l, dg)
	room := controlRoom{left: oobLen}
	for _, cm := range l.messages {
		room.add(cm)
	}
	if room.cut {
		m.Flags |= MSG_CTRUNC
	}
	if dg.failed != nil {
		m.Flags |= MSG_ERRQUEUE
	}
	m.Control = room.messages
	return nil
}

// controlOf adds the control messages of what was received.
func (d *description) controlOf(l *controlList, dg *datagram) {
	switch {
	case dg.failed != nil:
		if dg.failed.isICMP() {
			d.ancillary(l, dg)
		}
		l.messages = append(l.messages, dg.failed.control(d.family))
	case d.in != nil:
		d.ancillary(l, dg)
	case d.isTCP() && d.asked(askQueued):
		l.addInt(SOL_TCP, TCP_CM_INQ, d.inq())
	}
}

// recvError takes an error from the queue. It never waits.
func (s *Socket) recvError(w *scatter, meta *datagram) received {
	q, ok := s.d.takeQueuedError()
	if !ok {
		return received{err: EAGAIN}
	}
	n, _ := w.Write(q.data)
	if meta != nil {
		*meta = q.icmp
		meta.failed = &q
	}
	return received{n: n, total: len(q.data), from: q.dst}
}
