package sockets

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"
)

// HostPort is where CreateConnection connects to: a name or a numeric address,
// and a port from 0 to 65535.
type HostPort struct {
	Host string
	Port int
}

// String returns "host:port", an IPv6 address in brackets.
func (a HostPort) String() string { return net.JoinHostPort(a.Host, strconv.Itoa(a.Port)) }

// ConnectOptions change CreateConnection. The zero value is Python's default.
type ConnectOptions struct {
	// Timeout is that of the socket, from before it connects on: NoTimeout, 0
	// or a duration, which each address has for itself. Nil is
	// Host.DefaultTimeout.
	Timeout *time.Duration
	// Source is bound before connecting. An empty host and port 0 leave the
	// choice to the stack. Nil binds nothing.
	Source Sockaddr
}

// CreateConnection is CreateConnectionContext without a context.
func (h *Host) CreateConnection(addr HostPort, o *ConnectOptions) (*Socket, error) {
	return h.CreateConnectionContext(context.Background(), addr, o)
}

// CreateConnectionContext connects to a host by TCP: it looks the name up in
// both families and tries every address in the order of GetAddrInfo, until one
// answers. The error is a *GAIError when the look-up failed, or else that of the
// last address; the sockets of the others are closed. Package net's way of
// sharing out the time is DialContext.
func (h *Host) CreateConnectionContext(ctx context.Context, addr HostPort, o *ConnectOptions) (*Socket, error) {
	if o == nil {
		o = new(ConnectOptions)
	}
	if addr.Port < 0 || addr.Port > 0xffff {
		return nil, &Error{Op: "create_connection", Num: EINVAL, Msg: "the port is not in 0 to 65535"}
	}
	list, err := h.GetAddrInfoContext(ctx, addr.Host, strconv.Itoa(addr.Port), &AddrInfoHints{Type: SOCK_STREAM})
	if err != nil {
		return nil, err
	}
	var last error = &GAIError{Code: EAI_NODATA, Name: addr.Host} // should the list be empty
	for _, entry := range list {
		s, err := h.connectTo(ctx, entry, o)
		if err == nil {
			return s, nil
		}
		last = err
		if ctx.Err() != nil || errors.Is(err, ErrClosed) {
			break
		}
	}
	return nil, last
}

// connectTo makes one attempt.
func (h *Host) connectTo(ctx context.Context, entry AddrInfoEntry, o *ConnectOptions) (*Socket, error) {
	s, err := h.Socket(entry.Family, entry.Type, entry.Proto)
	if err != nil {
		return nil, err
	}
	if err := s.connectFrom(ctx, entry, o); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Socket) connectFrom(ctx context.Context, entry AddrInfoEntry, o *ConnectOptions) error {
	if o.Timeout != nil {
		if err := s.SetTimeout(*o.Timeout); err != nil {
			return err
		}
	}
	if o.Source != nil {
		if err := s.Bind(sourceFor(entry.Family, o.Source)); err != nil {
			return err
		}
	}
	return s.Connect(entry.Addr, Within(s.Timeout()), WithContext(ctx))
}

// sourceFor returns the source in the family of the destination, where it names
// no host and so is good for both.
func sourceFor(f Family, source Sockaddr) Sockaddr {
	switch a := source.(type) {
	case Inet4:
		if a.Host == "" && f == AF_INET6 {
			return Inet6{Port: a.Port}
		}
	case Inet6:
		if a.Host == "" && f == AF_INET {
			return Inet4{Port: a.Port}
		}
	}
	return source
}
