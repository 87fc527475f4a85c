package sockets

// SendMMsg sends messages one after another, as SendMsg does, and returns how
// many it sent (sendmmsg(2)). N of each is then the number of its bytes that were
// sent. An error is returned only if none was sent; the error of a later message
// is that of the next call.
//
// UDP datagrams of one size that follow each other to one address leave in one
// piece, which the link or its device cuts.
func (s *Socket) SendMMsg(msgs []*Msg, opts ...CallOption) (int, error) {
	if s.d.kind == onUDP {
		return s.sendDatagrams(msgs, opts)
	}
	for i, m := range msgs {
		if m == nil {
			return i, s.nilMessage("sendmmsg", i)
		}
		c := s.sending(opts)
		n, err := s.sendMessage(m, &c, opts)
		if err != nil {
			if i > 0 {
				return i, nil
			}
			return 0, s.withRemote("sendmmsg", m.Addr, err)
		}
		m.N = n
	}
	return len(msgs), nil
}

// sendDatagrams is SendMMsg for UDP.
func (s *Socket) sendDatagrams(msgs []*Msg, opts []CallOption) (int, error) {
	c := s.sending(opts)
	b := newSendBatch()
	defer b.free()
	for i, m := range msgs {
		if m == nil {
			break
		}
		o := b.add(m.Buffers, m.Control)
		switch {
		case m.Addr == nil:
		case i > 0 && sameName(m.Addr, msgs[i-1].Addr):
			before := &b.out[i-1]
			o.to, o.named, o.err = before.to, true, before.err
		default:
			o.named = true
			o.to, o.err = s.to(c.ctx, m.Addr)
		}
	}
	n, err := s.sendBatch(b, &c)
	for i, m := range msgs[:n] {
		m.N = b.out[i].size
	}
	switch {
	case n == len(b.out) && n < len(msgs):
		return n, s.nilMessage("sendmmsg", n)
	case err != nil && n == 0:
		return 0, s.withRemote("sendmmsg", msgs[0].Addr, err)
	}
	return n, nil
}

// sameName reports whether two addresses are equal, as far as that can be seen
// without looking names up.
func sameName(a, b Sockaddr) bool {
	switch a := a.(type) {
	case Inet4:
		b, ok := b.(Inet4)
		return ok && a == b
	case Inet6:
		b, ok := b.(Inet6)
		return ok && a == b
	}
	return false
}

// nilMessage is the error of a message that is nil, which those before it hide.
func (s *Socket) nilMessage(op string, before int) error {
	if before > 0 {
		return nil
	}
	return s.error(op, EFAULT)
}

// RecvMMsg receives messages into the buffers of msgs until each has one, as
// RecvMsg does, and returns how many it received (recvmmsg(2)). With
// MSG_WAITFORONE it waits for the first alone and takes what else there is. A
// Within or a context counts for each message anew.
//
// An error is returned only if nothing was received; otherwise, unless it is
// EAGAIN or that time ran out, the next call returns it.
func (s *Socket) RecvMMsg(msgs []*Msg, oobLen int, opts ...CallOption) (int, error) {
	for i, m := range msgs {
		if m == nil {
			return i, s.nilMessage("recvmmsg", i)
		}
		c := s.receiving(opts)
		if i > 0 && c.flags&MSG_WAITFORONE != 0 {
			c.flags |= MSG_DONTWAIT
		}
		err := s.recvMessage(m, oobLen, &c)
		switch errno, isErrno := err.(Errno); {
		case err == nil && m.N == 0 && s.d.isTCP():
			return i, nil // the end: there is no more to wait for
		case err == nil:
		case i == 0:
			return 0, s.error("recvmmsg", err)
		case isErrno && errno != EAGAIN:
			s.d.untell(errno)
			return i, nil
		default:
			return i, nil
		}
	}
	return len(msgs), nil
}
