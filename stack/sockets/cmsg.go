package sockets

// ancillary returns the control messages that the socket has asked to have with
// a datagram, in Linux's order.
func (d *description) ancillary(*datagram) []ControlMessage { return nil }
