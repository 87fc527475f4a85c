package hostnet

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// listenPacket returns a UDP socket of the machine, and the address by which the
// stack reaches it.
func listenPacket(t testing.TB, loopback, gateway string) (pc *net.UDPConn, address netip.AddrPort) {
	t.Helper()
	l, _ := listen(t, loopback, gateway) // skips where there is no such family
	l.Close()
	c, err := net.ListenPacket("udp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	port := c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	return c.(*net.UDPConn), netip.AddrPortFrom(netip.MustParseAddr(gateway), port)
}

// innerPacket returns a UDP socket of the stack.
func innerPacket(t testing.TB, h *sockets.Host, address string) net.PacketConn {
	t.Helper()
	pc, err := h.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	pc.SetDeadline(time.Now().Add(patience))
	return pc
}

// anyOf is the unspecified address of the family of a.
func anyOf(a string) string {
	if strings.Contains(a, ":") {
		return "[::]:0"
	}
	return "0.0.0.0:0"
}

func TestUDPBothWays(t *testing.T) {
	h, u := newHost(t, open)
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			server, to := listenPacket(t, f.loopback, f.gateway)
			inner := innerPacket(t, h, anyOf(f.gateway))
			for _, size := range []int{0, 1, 1400, 1500, 9000, 65507} {
				want := make([]byte, size)
				random(byte(size)).Read(want)
				if _, err := inner.WriteTo(want, net.UDPAddrFromAddrPort(to)); err != nil {
					t.Fatal(size, err)
				}
				b := make([]byte, maxMTU)
				n, from, err := server.ReadFromUDPAddrPort(b)
				if err != nil || !bytes.Equal(b[:n], want) {
					t.Fatalf("of %d bytes the machine read %d, %v", size, n, err)
				}
				if _, err := server.WriteToUDPAddrPort(b[:n], from); err != nil {
					t.Fatal(err)
				}
				n, back, err := inner.ReadFrom(b)
				if err != nil || !bytes.Equal(b[:n], want) {
					t.Fatalf("of %d bytes the stack read %d, %v", size, n, err)
				}
				if back.String() != to.String() {
					t.Errorf("the answer came from %v, want %v", back, to)
				}
			}
		})
	}
	if n := u.Stats().Flows; n != len(families) {
		t.Errorf("%d flows, want one for each socket of the stack", n)
	}
}

// TestUDPMapping: all peers see one address, whoever they are, and anyone may
// answer (RFC 4787 REQ-1 and REQ-8, endpoint-independent).
func TestUDPMapping(t *testing.T) {
	h, _ := newHost(t, open)
	one, toOne := listenPacket(t, "127.0.0.1", "10.0.2.2")
	two, toTwo := listenPacket(t, "127.0.0.1", "10.0.2.2")
	third, thirdAddr := listenPacket(t, "127.0.0.1", "10.0.2.2")
	inner := innerPacket(t, h, "0.0.0.0:0")
	b := make([]byte, 100)
	var seen [2]netip.AddrPort
	for i, peer := range []struct {
		pc *net.UDPConn
		to netip.AddrPort
	}{{one, toOne}, {two, toTwo}} {
		inner.WriteTo([]byte("hello"), net.UDPAddrFromAddrPort(peer.to))
		var err error
		if _, seen[i], err = peer.pc.ReadFromUDPAddrPort(b); err != nil {
			t.Fatal(err)
		}
	}
	if seen[0] != seen[1] {
		t.Errorf("one socket of the stack is %v to one peer and %v to another", seen[0], seen[1])
	}
	third.WriteToUDPAddrPort([]byte("unasked"), seen[0])
	n, from, err := inner.ReadFrom(b)
	if err != nil || string(b[:n]) != "unasked" || from.String() != thirdAddr.String() {
		t.Errorf("of a third peer the stack read %q from %v, %v", b[:n], from, err)
	}
}

func TestUDPLimits(t *testing.T) {
	cfg := open
	cfg.MaxFlows = 8
	h, u := newHost(t, cfg)
	server, to := listenPacket(t, "127.0.0.1", "10.0.2.2")
	b := make([]byte, 1)
	for range 3 * cfg.MaxFlows {
		innerPacket(t, h, "0.0.0.0:0").WriteTo([]byte{1}, net.UDPAddrFromAddrPort(to))
		if _, _, err := server.ReadFromUDPAddrPort(b); err != nil {
			t.Fatal(err)
		}
	}
	if s := u.Stats(); s.Flows != cfg.MaxFlows || s.FlowsEvicted != 2*uint64(cfg.MaxFlows) {
		t.Errorf("%d flows and %d evicted, want %d and %d", s.Flows, s.FlowsEvicted, cfg.MaxFlows, 2*cfg.MaxFlows)
	}
}

func TestUDPIdle(t *testing.T) {
	cfg := open
	cfg.UDPIdle = 20 * time.Millisecond
	h, u := newHost(t, cfg)
	_, to := listenPacket(t, "127.0.0.1", "10.0.2.2")
	innerPacket(t, h, "0.0.0.0:0").WriteTo([]byte{1}, net.UDPAddrFromAddrPort(to))
	eventually(t, "an idle flow ends", func() bool { return u.Stats().DatagramsOut > 0 && u.Stats().Flows == 0 })
}

// TestPolicy: what may not be reached says so.
func TestPolicy(t *testing.T) {
	lan := ownAddress(t)
	none := Config{}
	closed := Config{Policy: func(context.Context, string, netip.AddrPort) error { return errors.New("no") }}
	for _, row := range []struct {
		name, to string
		cfg      Config
		want     sockets.Errno
	}{
		{"the gateway's loopback", "10.0.2.2:80", none, sockets.ECONNREFUSED},
		{"the gateway's loopback, IPv6", "[fd00::2]:80", none, sockets.ECONNREFUSED},
		{"the DNS address, another port", "10.0.2.3:80", open, sockets.ECONNREFUSED},
		{"the machine's own address", lan + ":80", none, sockets.EHOSTUNREACH},
		{"a neighbour that does not exist", "10.0.2.77:80", open, sockets.EHOSTUNREACH},
		{"a neighbour that does not exist, IPv6", "[fd00::77]:80", open, sockets.EHOSTUNREACH},
		{"metadata", "169.254.169.254:80", open, sockets.EHOSTUNREACH},
		{"metadata that is not link-local", "100.100.100.200:80", open, sockets.EHOSTUNREACH},
		{"metadata, IPv6", "[fd00:ec2::254]:80", open, sockets.EACCES},
		{"metadata by NAT64", "[64:ff9b::169.254.169.254]:80", open, sockets.EACCES},
		{"loopback by NAT64", "[64:ff9b::127.0.0.1]:80", open, sockets.EACCES},
		{"the machine's own address by NAT64", "[64:ff9b::" + lan + "]:80", none, sockets.EACCES},
		{"forbidden", "192.0.2.77:80", closed, sockets.EHOSTUNREACH},
		{"forbidden, IPv6", "[2001:db8::77]:80", closed, sockets.EACCES},
	} {
		for _, network := range []string{"tcp", "udp"} {
			t.Run(row.name+"/"+network, func(t *testing.T) {
				h, _ := newHost(t, row.cfg)
				err := reach(h, network, row.to)
				if !errors.Is(err, row.want) {
					t.Errorf("%v, want %v", err, row.want)
				}
			})
		}
	}
}

// reach connects, and for UDP sends something and waits for what comes of it.
func reach(h *sockets.Host, network, to string) error {
	c, err := h.Dial(network, to)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if network == "tcp" {
		return nil
	}
	s := c.(*sockets.Conn).Socket()
	s.SetSockOptInt(sockets.SOL_IP, sockets.IP_RECVERR, 1) // or a host that is unreachable would be no error (udp(7))
	s.SetSockOptInt(sockets.SOL_IPV6, sockets.IPV6_RECVERR, 1)
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 1))
	return err
}

// ownAddress returns an IPv4 address of the machine besides the loopback.
func ownAddress(t *testing.T) string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		p, _ := netip.ParsePrefix(a.String())
		if p.Addr().Is4() && p.Addr().IsGlobalUnicast() && !defaultAddr4.Contains(p.Addr()) {
			return p.Addr().String()
		}
	}
	t.Skip("the machine has no IPv4 address but its loopback's")
	return ""
}

// TestOwnAddress: what the machine offers under an address of its own is reached
// with HostLoopback.
func TestOwnAddress(t *testing.T) {
	lan := ownAddress(t)
	h, _ := newHost(t, open)
	l, address := listen(t, lan, lan)
	inner := dialIn(t, h, "tcp", address)
	outer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	write(t, outer, "hello")
	outer.Close()
	if got := read(t, inner); got != "hello" {
		t.Errorf("read %q", got)
	}
}
