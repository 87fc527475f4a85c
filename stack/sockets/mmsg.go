package sockets

// SendMMsg sends messages one after another, as SendMsg does, and returns how
// many it sent (sendmmsg(2)). N of each is then the number of its bytes that were
// sent. An error is returned only if none was sent; the error of a later message
// is that of the next call.
func (s *Socket) SendMMsg(msgs []*Msg, opts ...CallOption) (int, error) {
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
