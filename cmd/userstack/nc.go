package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/userstack/userstack/stack/sockets"
)

// netcat has the flags of nc.
type netcat struct {
	listen    bool
	keep      bool
	udp       bool
	scan      bool
	shutdown  bool
	localPort uint16
	patience  time.Duration
	version   ipVersion

	settings *settings
	network  *network
	in       io.Reader
	out, log io.Writer

	readInput sync.Once   // starts readAll
	chunks    chan []byte // pieces of in
	inputErr  error       // why in ended before its end; set before chunks is closed
}

func newNC(s *settings) *cobra.Command {
	n := &netcat{settings: s}
	cmd := &cobra.Command{
		Use:     "nc [flags] HOST PORT | nc -l [flags] [ADDRESS] PORT",
		GroupID: groupTools,
		Short:   "connect standard input and output to a TCP or UDP port",
		Long: `nc connects to a port of a host, or with -l waits for a connection, and copies
standard input to the connection and the connection to standard output. The flags
are those of OpenBSD's nc(1).

A TCP connection is done when both directions have ended: standard input, and what
the peer sends; on a terminal, when the peer has ended. The end of standard input
is not told to the peer, which may still answer, unless -N is given. What was sent
is waited for until the peer has it, 10 seconds at most.

With UDP each read of standard input is a datagram. UDP has no end: -w SECONDS, or
a signal, ends nc. With -l the first peer is the only one.

With -z nothing is sent: nc finds out which of the ports, which may be a range such
as 20-30, are open, and -v says which. A UDP port that answers nothing counts as
open. The exit status is 0 if one is.`,
		Example: `  echo hello | userstack nc -N www.demo.test 7
  echo hello | userstack nc -u -w 1 www.demo.test 7
  printf 'GET / HTTP/1.0\r\n\r\n' | userstack nc www.demo.test 80
  userstack nc -v -z www.demo.test 50-90
  userstack nc --link tun:us0 --addr 10.9.0.2/24 -l 8080`,
		Args: args(1, 2, "a host and a port, or with -l a port"),
		RunE: func(cmd *cobra.Command, args []string) error {
			host, first, last, err := n.target(args)
			if err != nil {
				return err
			}
			n.in, n.out, n.log = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			return s.use(cmd, func(ctx context.Context, nw *network) error {
				n.network = nw
				switch {
				case n.scan:
					return n.scanPorts(ctx, host, first, last)
				case n.listen:
					return n.serve(ctx, host, first)
				default:
					return n.connect(ctx, host, first)
				}
			})
		},
	}
	n.addFlags(cmd)
	return cmd
}

func (n *netcat) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVarP(&n.listen, "listen", "l", false, "wait for a connection")
	f.BoolVarP(&n.keep, "keep", "k", false, "with -l: wait for the next one afterwards")
	f.BoolVarP(&n.udp, "udp", "u", false, "UDP instead of TCP")
	f.BoolVarP(&n.scan, "zero", "z", false, "only see whether ports are open")
	f.BoolVarP(&n.shutdown, "shutdown", "N", false, "tell the peer when standard input ends")
	f.Uint16VarP(&n.localPort, "port", "p", 0, "connect from this `PORT` (default any)")
	f.VarP(&seconds{&n.patience, time.Millisecond}, "wait", "w", "give up connecting, and end when nothing happens, after this time")
	versionFlags(cmd, &n.version)
	cmd.MarkFlagsMutuallyExclusive("listen", "zero")
	cmd.MarkFlagsMutuallyExclusive("listen", "port")
	cmd.MarkFlagsMutuallyExclusive("keep", "udp")
}

// target reads host and port, or a range of ports for -z.
func (n *netcat) target(args []string) (host string, first, last uint16, err error) {
	if len(args) == 1 && !n.listen {
		return "", 0, 0, usagef("needs a host and a port")
	}
	if len(args) == 2 {
		host = args[0]
	}
	text := args[len(args)-1]
	from, to, isRange := strings.Cut(text, "-")
	if !isRange || !n.scan {
		from, to = text, text
	}
	a, err := strconv.ParseUint(from, 10, 16)
	b, err2 := strconv.ParseUint(to, 10, 16)
	if err != nil || err2 != nil || a > b || (b == 0 && !n.listen) {
		return "", 0, 0, usagef("%q is not a port: a number from 1 to 65535, or with -z a range such as 20-30", text)
	}
	return host, uint16(a), uint16(b), nil
}

// dial connects to the first of the addresses that answers. The error is the first one's.
func (n *netcat) dial(ctx context.Context, addrs []netip.Addr, port uint16) (net.Conn, error) {
	if n.patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, n.patience)
		defer cancel()
	}
	var first error
	for _, a := range addrs {
		c, err := n.dialOne(ctx, netip.AddrPortFrom(a, port))
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// dialOne connects to an address, from the port of -p if there is one.
func (n *netcat) dialOne(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	sock, err := n.socket(to)
	if err != nil {
		return nil, err
	}
	if n.localPort != 0 {
		err = sock.Bind(sockaddr(netip.AddrPortFrom(unspecified(to.Addr()), n.localPort)))
	}
	if err == nil {
		err = sock.Connect(sockaddr(to), sockets.WithContext(ctx))
	}
	if err != nil {
		return nil, errors.Join(err, sock.Close())
	}
	return sock.Conn()
}

// socket makes a socket of the right kind for an address.
func (n *netcat) socket(a netip.AddrPort) (*sockets.Socket, error) {
	family, typ := sockets.AF_INET6, sockets.SOCK_STREAM
	if a.Addr().Is4() {
		family = sockets.AF_INET
	}
	if n.udp {
		typ = sockets.SOCK_DGRAM
	}
	return n.network.host.Socket(family, typ, 0)
}

func sockaddr(a netip.AddrPort) sockets.Sockaddr {
	if a.Addr().Is4() {
		return sockets.Inet4{Host: a.Addr().String(), Port: int(a.Port())}
	}
	return sockets.Inet6{Host: a.Addr().String(), Port: int(a.Port())}
}

func unspecified(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

func (n *netcat) connect(ctx context.Context, host string, port uint16) error {
	addrs, err := n.network.lookup(ctx, host, n.version)
	if err != nil {
		return err
	}
	c, err := n.dial(ctx, addrs, port)
	if err != nil {
		return because(ctx, err)
	}
	n.say("connected to %s from %s", c.RemoteAddr(), c.LocalAddr())
	return n.talk(ctx, c)
}

func (n *netcat) say(format string, args ...any) {
	if n.settings.verbose > 0 {
		fmt.Fprintf(n.log, "nc: "+format+"\n", args...)
	}
}

// probePatience is how long a UDP port may take to say that it is closed.
const probePatience = time.Second

// scanPorts finds out which ports are open.
func (n *netcat) scanPorts(ctx context.Context, host string, first, last uint16) error {
	addrs, err := n.network.lookup(ctx, host, n.version)
	if err != nil {
		return err
	}
	var failed error
	open := false
	for port := int(first); port <= int(last) && ctx.Err() == nil; port++ {
		c, err := n.dial(ctx, addrs, uint16(port))
		if err == nil && n.udp {
			err = n.probe(c)
		}
		if c != nil {
			c.Close()
		}
		if err != nil {
			failed = err
			n.say("%s port %d: %v", host, port, plain(err))
			continue
		}
		open = true
		n.say("%s port %d: open", host, port)
	}
	switch {
	case open:
		return nil
	case failed == nil:
		return context.Cause(ctx)
	case first != last:
		return fmt.Errorf("%s: none of the ports %d to %d is open: the last said: %w", host, first, last, failed)
	}
	return failed
}

// probe sends a datagram and returns an error if the port turns out to be closed.
func (n *netcat) probe(c net.Conn) error {
	if _, err := c.Write([]byte{0}); err != nil {
		return err
	}
	patience := probePatience
	if n.patience > 0 {
		patience = n.patience
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 1))
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return nil
	}
	return err
}
