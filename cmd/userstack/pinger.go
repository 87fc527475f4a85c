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
	var err error
	p.sock, err = h.Socket(family, sockets.SOCK_DGRAM, proto)
	return p, err
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

// receive waits for the next echo reply and returns its sequence number and payload, which holds until the next call.
func (p *pinger) receive(ctx context.Context) (seq uint16, payload []byte, from string, err error) {
	for {
		n, addr, err := p.sock.RecvFromInto(p.buf, sockets.WithContext(ctx))
		if err != nil {
			return 0, nil, "", err
		}
		if n < echoHeader || p.buf[0] != p.reply {
			continue
		}
		from := p.to.String()
		if a, ok := addr.(interface{ AddrPort() (netip.AddrPort, bool) }); ok {
			ap, _ := a.AddrPort()
			from = ap.Addr().String()
		}
		return binary.BigEndian.Uint16(p.buf[6:]), p.buf[echoHeader:n], from, nil
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
		got, _, _, err := p.receive(ctx)
		if err != nil {
			return 0, fmt.Errorf("echo request %d: %w", seq, err)
		}
		if got == seq {
			return time.Since(start), nil
		}
	}
}

func (p *pinger) Close() error { return p.sock.Close() }
