package sockets

import (
	"context"
	"errors"
	"net"
	"slices"
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
	// or a duration, within which a connection must be made. Nil is
	// Host.DefaultTimeout.
	Timeout *time.Duration
	// PerAttempt tries one address after the other, and gives each the whole
	// Timeout, as Python does: dead addresses cost that much each. So it is also with
	// a source port, which one attempt at a time can have, and with a Timeout of 0.
	PerAttempt bool
	// Source is bound before connecting. An empty host and port 0 leave the
	// choice to the stack. Nil binds nothing.
	Source Sockaddr
}

// CreateConnection is CreateConnectionContext without a context.
func (h *Host) CreateConnection(addr HostPort, o *ConnectOptions) (*Socket, error) {
	return h.CreateConnectionContext(context.Background(), addr, o)
}

// CreateConnectionContext connects to a host by TCP: it looks the name up in
// both families and tries every address, in the order of GetAddrInfo but with the
// families taking turns, a quarter of a second apart, until one answers (RFC 8305).
// The error is a *GAIError when the look-up failed, or else that of the last
// address; the sockets of the others are closed.
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
	if len(list) == 0 {
		return nil, &GAIError{Code: EAI_NODATA, Name: addr.Host}
	}
	if o.sequential(h) {
		return h.connectInTurn(ctx, list, o)
	}
	if limit := o.timeout(h); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	s, errs := race(ctx, alternate(list, func(e AddrInfoEntry) Family { return e.Family }),
		func(ctx context.Context, entry AddrInfoEntry) (*Socket, error) { return h.connectTo(ctx, entry, o) },
		func(s *Socket) { s.Close() })
	if s != nil {
		return s, nil
	}
	slices.Reverse(errs)
	return nil, raceError(ctx, errs)
}

// timeout is the one in effect.
func (o *ConnectOptions) timeout(h *Host) time.Duration {
	if o.Timeout != nil {
		return *o.Timeout
	}
	return h.DefaultTimeout()
}

// sequential reports whether only one attempt may be made at a time.
func (o *ConnectOptions) sequential(h *Host) bool {
	port := 0
	switch a := o.Source.(type) {
	case Inet4:
		port = a.Port
	case Inet6:
		port = a.Port
	}
	return o.PerAttempt || port != 0 || o.timeout(h) == 0
}

// connectInTurn tries one address after the other.
func (h *Host) connectInTurn(ctx context.Context, list []AddrInfoEntry, o *ConnectOptions) (*Socket, error) {
	var last error
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
