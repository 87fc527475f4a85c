package dnsresolver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
	"github.com/userstack/userstack/dnsresolver/netdb"
)

// Multicast DNS (RFC 6762), as a resolver that asks now and then does it (section
// 5.1): names below .local are asked of everybody on the links, from a port that is
// not mDNS's own, and whoever has the name answers us directly.

// PacketTransport is what Options.MDNS needs of Config.Transport.
type PacketTransport interface {
	// ListenPacket opens a datagram socket on "udp4" or "udp6" and ":0". Writing to
	// a multicast address must reach the links of the stack.
	ListenPacket(network, address string) (net.PacketConn, error)
}

const (
	mdnsPort = 5353 // RFC 6762 section 3
	// mdnsWait is how long after the first question somebody may answer; it is
	// repeated once, after mdnsRepeat (section 5.2).
	mdnsWait   = 2 * time.Second
	mdnsRepeat = time.Second
	// mdnsTTL bounds the life of what we are told: we do not hear goodbyes (section
	// 6.7).
	mdnsTTL = 10 * time.Second
)

var mdnsGroups = map[string]netip.Addr{
	"udp4": netip.MustParseAddr("224.0.0.251"),
	"udp6": netip.MustParseAddr("ff02::fb"),
}

// isMDNS reports whether a name is asked for by multicast: one label below .local.
// More labels are asked of servers, as domains of that name exist.
func (s *settings) isMDNS(name string) bool {
	if !s.options.MDNS {
		return false
	}
	first, ok := strings.CutSuffix(netdb.FoldName(name), ".local")
	return ok && first != "" && !strings.Contains(first, ".")
}

// mdns asks for the records of one type of a name. That nobody answers means that
// there are none.
func (l *lookup) mdns(ctx context.Context, name string, t wire.Type) reply {
	ctx, cancel := context.WithTimeoutCause(ctx, mdnsWait, errTimeout)
	defer cancel()
	q := wire.Query{ID: randomID(), Name: name, Type: t}
	packet, err := q.Pack()
	if err != nil {
		return reply{status: statusBroken, failure: failure{code: EAI_FAIL, err: err}}
	}
	answers := make(chan walked)
	asked := 0
	for network := range mdnsGroups {
		conn, err := l.r.cfg.Transport.(PacketTransport).ListenPacket(network, ":0")
		if err != nil {
			continue // the stack may lack one of the families
		}
		asked++
		l.r.running.Go(func() {
			<-ctx.Done()
			conn.Close()
		})
		l.r.running.Go(func() { l.mdnsAsk(ctx, conn, network, packet) })
		l.r.running.Go(func() { l.mdnsListen(ctx, conn, q, answers) })
	}
	if asked == 0 {
		return reply{status: statusUnanswered, failure: failure{code: EAI_AGAIN, err: ErrNoServers}}
	}
	select {
	case w := <-answers:
		return reply{status: w.status, addrs: w.addrs, ptrs: w.ptrs, data: w.data, names: w.names, ttl: min(w.ttl, mdnsTTL)}
	case <-ctx.Done():
	}
	if !errors.Is(context.Cause(ctx), errTimeout) {
		_, f, st := stopped(ctx, nil)
		return reply{status: st, failure: f}
	}
	return reply{status: statusNXDomain, absent: mdnsTTL}
}

// mdnsAsk sends the question to every link, and once more for those who missed it.
func (l *lookup) mdnsAsk(ctx context.Context, conn net.PacketConn, network string, packet []byte) {
	for {
		for _, group := range l.mdnsGroupAddrs(network) {
			// On a link that does not take it nobody will answer either.
			conn.WriteTo(packet, net.UDPAddrFromAddrPort(netip.AddrPortFrom(group, mdnsPort)))
			l.trace(Event{Kind: EventSend, Network: "mdns", Server: netip.AddrPortFrom(group, mdnsPort), Name: l.name, Bytes: len(packet)})
		}
		select {
		case <-time.After(mdnsRepeat):
		case <-ctx.Done():
			return
		}
	}
}

// mdnsGroupAddrs returns the group to send to: for IPv6, once for each interface.
func (l *lookup) mdnsGroupAddrs(network string) []netip.Addr {
	group := mdnsGroups[network]
	if group.Is4() || l.r.cfg.NICs == nil {
		return []netip.Addr{group}
	}
	var list []netip.Addr
	for _, nic := range l.r.cfg.NICs() {
		list = append(list, group.WithZone(nic.Name))
	}
	return list
}

// mdnsListen passes the first answer on. Only who has the mDNS port is believed,
// which nobody outside the link can have towards us, as the question never leaves
// it.
func (l *lookup) mdnsListen(ctx context.Context, conn net.PacketConn, q wire.Query, answers chan<- walked) {
	buf := udpBuffers.Get().(*[udpBuffer + 1]byte)
	defer udpBuffers.Put(buf)
	for range maxRejects {
		n, from, err := conn.ReadFrom(buf[:])
		if err != nil {
			return
		}
		msg, err := acceptUDP(q, buf[:n])
		addr, ok := from.(*net.UDPAddr)
		if err != nil || !ok || addr.Port != mdnsPort {
			continue
		}
		w, err := walk(msg, question{name: q.Name, typ: q.Type})
		if err != nil || w.status != statusData {
			continue
		}
		select {
		case answers <- w:
		case <-ctx.Done():
		}
		return
	}
}
