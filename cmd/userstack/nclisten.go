package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/userstack/userstack/stack/sockets"
)

// serve waits for a peer and talks with it; with -k for one after the other.
func (n *netcat) serve(ctx context.Context, host string, port uint16) error {
	if n.udp {
		return n.serveUDP(ctx, host, port)
	}
	ln, err := n.network.host.Listen("tcp"+string(n.version), net.JoinHostPort(host, strconv.Itoa(int(port))))
	if err != nil {
		return err
	}
	defer ln.Close()
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	n.say("listening on %s", ln.Addr())
	for {
		c, err := ln.Accept()
		if err != nil {
			return because(ctx, err)
		}
		n.say("connection from %s", c.RemoteAddr())
		if !n.keep {
			ln.Close()
			return n.talk(ctx, c)
		}
		if err := n.talk(ctx, c); err != nil {
			if ctx.Err() != nil {
				return err
			}
			fmt.Fprintln(n.log, "nc:", plain(err)) // the next peer may do better
		}
	}
}

// serveUDP takes the first sender for the peer.
func (n *netcat) serveUDP(ctx context.Context, host string, port uint16) error {
	at := netip.IPv6Unspecified()
	if n.version == "4" {
		at = netip.IPv4Unspecified()
	}
	if host != "" {
		addrs, err := n.network.lookup(ctx, host, n.version)
		if err != nil {
			return err
		}
		at = addrs[0]
	}
	sock, err := n.socket(netip.AddrPortFrom(at, port))
	if err != nil {
		return err
	}
	c, err := n.firstPeer(ctx, sock, netip.AddrPortFrom(at, port))
	if err != nil {
		return errors.Join(because(ctx, err), sock.Close())
	}
	return n.talk(ctx, c)
}

// firstPeer waits for a datagram and connects the socket to its sender. The datagram stays in the queue.
func (n *netcat) firstPeer(ctx context.Context, sock *sockets.Socket, at netip.AddrPort) (net.Conn, error) {
	if err := sock.Bind(sockaddr(at)); err != nil {
		return nil, err
	}
	name, err := sock.GetSockName()
	if err != nil {
		return nil, err
	}
	n.say("listening on %s", name)
	_, peer, err := sock.RecvFromInto(make([]byte, 1), sockets.MSG_PEEK, sockets.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	n.say("datagram from %s", peer)
	if err := sock.Connect(peer); err != nil {
		return nil, err
	}
	return sock.Conn()
}
