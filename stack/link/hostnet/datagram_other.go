//go:build !linux

package hostnet

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// askForErrors does nothing: ICMP errors are told on Linux only.
func askForErrors(syscall.RawConn) error { return nil }

// send writes a datagram. Its header fields are the machine's own.
func (f *flow) send(p []byte, to netip.AddrPort, _ outgoing) error {
	_, err := f.sock.(*net.UDPConn).WriteToUDPAddrPort(p, to)
	return err
}

// receive hands over what comes in until the socket's deadline or end.
func (u *Uplink) receive(f *flow) {
	b := datagrams.get()
	defer datagrams.put(b)
	for {
		n, from, err := f.sock.(*net.UDPConn).ReadFromUDPAddrPort(*b)
		if err != nil {
			return
		}
		u.received(f, from, envelope{}, (*b)[:n])
	}
}

// openEcho fails: pings are answered on Linux only.
func (u *Uplink) openEcho(*flow) error { return errors.ErrUnsupported }
