package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// ICMP and ICMPv6 echo requests have eight bytes of header: type, code, checksum, identifier, sequence number (RFC 792,
// RFC 4443 section 4). A ping socket fills in identifier and checksum (icmp(7)).
const (
	echoHeader    = 8
	echoRequest4  = 8
	echoRequest6  = 128
	echoReply4    = 0
	echoReply6    = 129
	maxEchoPacket = 1 << 16
)

// A pinger sends echo requests to one address.
type pinger struct {
	sock    *sockets.Socket
	to      netip.Addr
	request byte
	reply   byte
	buf     []byte
}

func newPinger(h *sockets.Host, to netip.Addr) (*pinger, error) {
	family, proto := sockets.AF_INET, sockets.IPPROTO_ICMP
	p := &pinger{to: to, request: echoRequest4, reply: echoReply4, buf: make([]byte, maxEchoPacket)}
	if !to.Is4() {
		family, proto = sockets.AF_INET6, sockets.IPPROTO_ICMPV6
		p.request, p.reply = echoRequest6, echoReply6
	}
	sock, err := h.Socket(family, sockets.SOCK_DGRAM, proto)
	if err != nil {
		return nil, err
	}
	p.sock = sock
	level, option := sockets.SOL_IP, sockets.IP_RECVTTL
	if !to.Is4() {
		level, option = sockets.SOL_IPV6, sockets.IPV6_RECVHOPLIMIT
	}
	if err := sock.SetSockOptInt(level, option, 1); err != nil {
		sock.Close()
		return nil, err
	}
	return p, nil
}

// An echo is an answer.
type echo struct {
	seq   uint16
	bytes int // header and payload
	ttl   int // or hop limit, as it arrived
	from  string
}

// send sends one echo request.
func (p *pinger) send(seq uint16, payload []byte) error {
	packet := make([]byte, echoHeader, echoHeader+len(payload))
	packet[0] = p.request
	binary.BigEndian.PutUint16(packet[6:], seq)
	var to sockets.Sockaddr = sockets.Inet4{Host: p.to.String()}
	if !p.to.Is4() {
		to = sockets.Inet6{Host: p.to.String()}
	}
	_, err := p.sock.SendTo(append(packet, payload...), to)
	return err
}

// receive waits for the next echo reply.
func (p *pinger) receive(ctx context.Context) (echo, error) {
	for {
		m, err := p.sock.RecvMsg([][]byte{p.buf}, sockets.ControlLen(4), sockets.WithContext(ctx))
		if err != nil {
			return echo{}, err
		}
		if m.N < echoHeader || p.buf[0] != p.reply {
			continue
		}
		e := echo{seq: binary.BigEndian.Uint16(p.buf[6:]), bytes: m.N, from: p.to.String()}
		if a, ok := m.Addr.(interface{ AddrPort() (netip.AddrPort, bool) }); ok {
			ap, _ := a.AddrPort()
			e.from = ap.Addr().String()
		}
		for _, c := range m.Control {
			e.ttl, _ = c.Int()
		}
		return e, nil
	}
}

// pingPatience is how long once waits for an answer.
const pingPatience = time.Second

// once sends a request and waits for its answer. An error that is sockets.ErrTimeout says that there was none.
func (p *pinger) once(ctx context.Context, seq uint16) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, pingPatience)
	defer cancel()
	start := time.Now()
	if err := p.send(seq, nil); err != nil {
		return 0, err
	}
	for {
		got, err := p.receive(ctx)
		if err != nil {
			return 0, fmt.Errorf("echo request %d: %w", seq, err)
		}
		if got.seq == seq {
			return time.Since(start), nil
		}
	}
}

func (p *pinger) Close() error { return p.sock.Close() }
