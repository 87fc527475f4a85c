package sockets

// admits reports whether the socket wants a datagram that the network delivered
// to it. What it does not want is dropped before it is charged.
func (d *description) admits(*datagram) bool { return true }
