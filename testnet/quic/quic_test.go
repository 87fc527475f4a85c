package quic

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	quicgo "github.com/quic-go/quic-go"
	"golang.org/x/net/ipv4"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

const patience = 60 * time.Second // bounds a test that hangs

func TestMain(m *testing.M) {
	os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true") // it is about the descriptor, whose size is of no importance
	os.Exit(m.Run())
}

// A counted is a connection that counts what quic-go does with it.
type counted struct {
	*sockets.ProbedConn
	segmented, batches, received, ecnSent, ecnSeen atomic.Int64
}

func (c *counted) WriteMsgUDP(p, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	c.count(oob, &c.ecnSent)
	return c.ProbedConn.WriteMsgUDP(p, oob, addr)
}

func (c *counted) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	n, err := c.ProbedConn.ReadBatch(ms, flags)
	c.batches.Add(1)
	c.received.Add(int64(n))
	for _, m := range ms[:n] {
		c.count(m.OOB[:m.NN], &c.ecnSeen)
	}
	return n, err
}

// count looks for what concerns it among control messages.
func (c *counted) count(oob []byte, ecn *atomic.Int64) {
	ms, err := sockets.ParseControl(oob)
	if err != nil {
		panic(err)
	}
	for _, m := range ms {
		switch {
		case m.Level == sockets.SOL_UDP && m.Type == sockets.UDP_SEGMENT:
			c.segmented.Add(1)
		case m.Level == sockets.SOL_IP && m.Type == sockets.IP_TOS && m.Data[0]&3 != 0:
			ecn.Add(1)
		}
	}
}

func (c *counted) String() string {
	return fmt.Sprintf("%d sends by UDP_SEGMENT, %d with ECN; %d batches of %d datagrams, %d with ECN",
		c.segmented.Load(), c.ecnSent.Load(), c.batches.Load(), c.received.Load(), c.ecnSeen.Load())
}

// hosts returns two hosts on a wire in memory.
func hosts(t testing.TB) (a, b *sockets.Host) {
	left, right := link.NewPipe(link.PipeConfig{GSOMaxSize: link.MaxGSOSize})
	host := func(l *link.PipeEnd, addr string) *sockets.Host {
		s, err := stack.New(stack.Config{NICs: []stack.NIC{{Link: l, Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}}}})
		if err != nil {
			t.Fatal(err)
		}
		h, err := sockets.New(sockets.Config{Stack: s})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close(); s.Close() })
		return h
	}
	return host(left, "10.0.0.1/24"), host(right, "10.0.0.2/24")
}

func listen(t testing.TB, h *sockets.Host, addr string) *sockets.PacketConn {
	pc, err := h.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return pc.(*sockets.PacketConn)
}

// probed returns a connection on which quic-go finds what it wants.
func probed(t testing.TB, h *sockets.Host, addr string) *counted {
	p, err := listen(t, h, addr).Probed()
	if err != nil {
		t.Fatal(err)
	}
	return &counted{ProbedConn: p}
}

const protocol = "test"

func certificate(t testing.TB) *tls.Config {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}}, NextProtos: []string{protocol},
	}
}

// connect returns the two ends of a QUIC connection over two sockets.
func connect(t testing.TB, near, far net.PacketConn) (dialled, accepted *quicgo.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client, server := &quicgo.Transport{Conn: near}, &quicgo.Transport{Conn: far}
	ln, err := server.Listen(certificate(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Close()
		near.Close()
		far.Close()
	})
	dialled, err = client.Dial(ctx, far.LocalAddr(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if accepted, err = ln.Accept(ctx); err != nil {
		t.Fatal(err)
	}
	return dialled, accepted
}

// pattern is an endless stream whose bytes tell where they are.
type pattern struct{ at int }

func (p *pattern) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(p.at) ^ byte(p.at>>8)*31
		p.at++
	}
	return len(b), nil
}

// Write checks what has arrived.
func (p *pattern) Write(b []byte) (int, error) {
	for i := range b {
		if b[i] != byte(p.at)^byte(p.at>>8)*31 {
			return i, fmt.Errorf("byte %d is wrong", p.at)
		}
		p.at++
	}
	return len(b), nil
}

// transfer sends n bytes from one end to the other.
func transfer(from, to *quicgo.Conn, n int64) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	sent := make(chan error, 1)
	go func() {
		s, err := from.OpenUniStreamSync(ctx)
		if err == nil {
			_, err = io.CopyN(s, new(pattern), n)
			err = errors.Join(err, s.Close())
		}
		sent <- err
	}()
	s, err := to.AcceptUniStream(ctx)
	if err == nil {
		var got int64
		if got, err = io.Copy(new(pattern), s); got != n && err == nil {
			err = fmt.Errorf("%d bytes arrived of %d", got, n)
		}
	}
	return errors.Join(err, <-sent)
}

// TestTransfer moves 50 MB each way over a connection of quic-go's and sees that it took the fast way.
func TestTransfer(t *testing.T) {
	const size = 50e6
	a, b := hosts(t)
	near, far := probed(t, a, "10.0.0.1:0"), probed(t, b, "10.0.0.2:4433")
	dialled, accepted := connect(t, near, far)
	for _, way := range [][2]*quicgo.Conn{{dialled, accepted}, {accepted, dialled}} {
		if err := transfer(way[0], way[1], size); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]*counted{"client": near, "server": far} {
		t.Log(name, c)
		if c.segmented.Load() == 0 || c.batches.Load() == 0 || c.ecnSent.Load() == 0 || c.ecnSeen.Load() == 0 {
			t.Errorf("the %s does not take the fast way: %v", name, c)
		}
	}
}

// plain hides everything of a connection but net.PacketConn.
type plain struct{ net.PacketConn }

// BenchmarkTransfer measures how fast a stream arrives, with what quic-go finds on a ProbedConn and without.
func BenchmarkTransfer(b *testing.B) {
	for name, open := range map[string]func(h *sockets.Host, addr string) net.PacketConn{
		"probed": func(h *sockets.Host, addr string) net.PacketConn { return probed(b, h, addr) },
		"plain": func(h *sockets.Host, addr string) net.PacketConn {
			c := listen(b, h, addr)
			if err := c.SetReadBuffer(7 << 20); err != nil { // what quic-go asks for of the other
				b.Fatal(err)
			}
			return plain{c}
		},
	} {
		b.Run(name, func(b *testing.B) {
			one, two := hosts(b)
			dialled, accepted := connect(b, open(one, "10.0.0.1:0"), open(two, "10.0.0.2:4433"))
			const size = 20e6
			b.SetBytes(size)
			for b.Loop() {
				if err := transfer(dialled, accepted, size); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
