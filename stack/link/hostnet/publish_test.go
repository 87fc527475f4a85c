package hostnet

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// listenInner returns a listener of the stack.
func listenInner(t *testing.T, h *sockets.Host, address string) net.Listener {
	t.Helper()
	l, err := h.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// publish publishes a port and returns the address on the machine.
func publish(t *testing.T, u *Uplink, network, listen, to string) net.Addr {
	t.Helper()
	var l, dst netip.AddrPort
	if listen != "" {
		l = netip.MustParseAddrPort(listen)
	}
	dst = netip.MustParseAddrPort(to)
	addr, err := u.Publish(network, l, dst)
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// accepted connects from the machine and returns both ends.
func accepted(t *testing.T, l net.Listener, address string) (client, server net.Conn) {
	t.Helper()
	client, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	client.SetDeadline(time.Now().Add(patience))
	server.SetDeadline(time.Now().Add(patience))
	return client, server
}

func TestPublishTCP(t *testing.T) {
	h, u := newHost(t, Config{})
	l := listenInner(t, h, "10.0.2.15:80")
	lan := ownAddress(t)
	at := publish(t, u, "tcp", lan+":0", "10.0.2.15:80").String()
	client, server := accepted(t, l, at)
	if got, want := server.RemoteAddr().String(), client.LocalAddr().String(); got != want {
		t.Errorf("the stack sees the client %s as %s", want, got)
	}
	write(t, client, "question")
	client.(closeWriter).CloseWrite()
	if got := read(t, server); got != "question" {
		t.Errorf("the stack read %q", got)
	}
	write(t, server, "answer")
	server.Close()
	if got := read(t, client); got != "answer" {
		t.Errorf("the client read %q", got)
	}
}

// TestPublishTCPFromLoopback: the stack cannot see 127.0.0.1, so it sees its
// gateway; and it reaches nothing there.
func TestPublishTCPFromLoopback(t *testing.T) {
	h, u := newHost(t, Config{})
	for _, row := range []struct{ listen, to, gateway string }{
		{"127.0.0.1:0", "10.0.2.15:80", "10.0.2.2"},
		{"[::1]:0", "[fd00::15]:80", "fd00::2"},
		{"127.0.0.1:0", "[fd00::15]:80", "fd00::2"},
		{"", "0.0.0.0:80", "10.0.2.2"},
		{"[::1]:0", "[::]:80", "fd00::2"},
	} {
		t.Run(row.listen+" to "+row.to, func(t *testing.T) {
			if strings.Contains(row.listen, ":") {
				host, _, _ := net.SplitHostPort(row.listen)
				outer, _ := listen(t, host, host) // skips where there is no such family
				outer.Close()
			}
			inner := strings.NewReplacer("0.0.0.0", "10.0.2.15", "[::]", "[fd00::15]").Replace(row.to)
			l := listenInner(t, h, inner)
			at := publish(t, u, "tcp", row.listen, row.to).String()
			at = strings.Replace(at, "[::]", "127.0.0.1", 1)
			client, server := accepted(t, l, at)
			host, port, _ := net.SplitHostPort(server.RemoteAddr().String())
			if _, own, _ := net.SplitHostPort(client.LocalAddr().String()); host != row.gateway || port != own {
				t.Errorf("the stack sees %s, want the gateway %s, port %s", server.RemoteAddr(), row.gateway, own)
			}
			write(t, server, "hello")
			server.Close()
			if got := read(t, client); got != "hello" {
				t.Errorf("the client read %q", got)
			}
			l.Close()
		})
	}
}

func TestPublishTCPRefused(t *testing.T) {
	_, u := newHost(t, Config{})
	at := publish(t, u, "tcp", "127.0.0.1:0", "10.0.2.15:81").String()
	c, err := net.Dial("tcp", at) // the reset may come before Dial has returned
	if err == nil {
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a client of a port that nobody serves reads %v, want ECONNRESET", err)
	}
}

func TestPublishUDP(t *testing.T) {
	h, u := newHost(t, Config{})
	lan := ownAddress(t)
	for _, row := range []struct{ listen, from, inner string }{
		{lan + ":0", lan, "10.0.2.15:53"},
		{"127.0.0.1:0", "127.0.0.1", "10.0.2.15:54"},
		{"[::1]:0", "::1", "[fd00::15]:55"},
		{"127.0.0.1:0", "127.0.0.1", "[fd00::15]:56"},
	} {
		t.Run(row.listen+" to "+row.inner, func(t *testing.T) {
			outer, _ := listenPacket(t, row.from, row.from)
			other, _ := listenPacket(t, row.from, row.from)
			inner := innerPacket(t, h, row.inner)
			at := publish(t, u, "udp", row.listen, row.inner)
			b := make([]byte, 100)
			for i, client := range []*net.UDPConn{outer, other, outer} {
				if _, err := client.WriteTo([]byte{byte(i)}, at); err != nil {
					t.Fatal(err)
				}
				_, from, err := inner.ReadFrom(b)
				if err != nil || b[0] != byte(i) {
					t.Fatal(b[0], err)
				}
				if row.from == lan && from.String() != client.LocalAddr().String() {
					t.Errorf("the stack sees the client %v as %v", client.LocalAddr(), from)
				}
				if _, err := inner.WriteTo([]byte{byte(i) + 100}, from); err != nil {
					t.Fatal(err)
				}
				_, back, err := client.ReadFrom(b)
				if err != nil || b[0] != byte(i)+100 || back.String() != at.String() {
					t.Fatalf("the client got %d from %v, %v", b[0], back, err)
				}
			}
		})
	}
}

// TestPublishErrors: what bind(2) says is told.
func TestPublishErrors(t *testing.T) {
	_, u := newHost(t, Config{})
	l, taken := listen(t, "127.0.0.1", "127.0.0.1")
	defer l.Close()
	to := netip.MustParseAddrPort("10.0.2.15:80")
	if _, err := u.Publish("tcp", netip.MustParseAddrPort(taken), to); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port that is taken: %v", err)
	}
	if _, err := u.Publish("sctp", netip.AddrPort{}, to); err == nil {
		t.Error("SCTP was published")
	}
	if _, err := u.Publish("udp", netip.MustParseAddrPort("127.0.0.1:0"), to); err != nil {
		t.Error(err)
	}
	if _, err := u.Publish("udp", netip.MustParseAddrPort("127.0.0.1:0"), to); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a UDP port that is published already: %v", err)
	}
	if os.Getuid() != 0 {
		_, err := u.Publish("tcp", netip.MustParseAddrPort("127.0.0.1:1"), to)
		if err != nil && !errors.Is(err, syscall.EACCES) {
			t.Errorf("a low port: %v", err)
		}
		if err != nil && !strings.Contains(err.Error(), "ip_unprivileged_port_start") {
			t.Errorf("%q has no remedy", err)
		}
	}
	u.Close()
	if _, err := u.Publish("tcp", netip.MustParseAddrPort("127.0.0.1:0"), to); err == nil {
		t.Error("a closed uplink publishes")
	}
}
