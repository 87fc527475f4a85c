package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/userstack/userstack/dnsresolver"
	"github.com/userstack/userstack/stack/sockets"
)

// demoSteps are the parts of the demo, in order.
var demoSteps = []func(*demo, context.Context) error{
	(*demo).resolve,
	func(d *demo, ctx context.Context) error { return d.fetch(ctx, farAddrs[0].Addr()) },
	func(d *demo, ctx context.Context) error { return d.fetch(ctx, farAddrs[1].Addr()) },
	(*demo).secure,
	(*demo).accept,
	func(d *demo, ctx context.Context) error { return d.ping(ctx, farAddrs[0].Addr()) },
	func(d *demo, ctx context.Context) error { return d.ping(ctx, farAddrs[1].Addr()) },
}

const (
	demoHost = "www." + demoName

	// Bytes of the large page: a moment's work, and many times any buffer. Where packets are lost, so that the sender slows
	// down for each, a page of a hundred packets is work enough.
	demoBulk         = 32 << 20
	demoBulkImpaired = 128 << 10
)

// bulkSize is the size of the large page in bytes.
func (d *demo) bulkSize() int64 {
	if d.settings.impair != nil {
		return demoBulkImpaired
	}
	return demoBulk
}

// resolve looks the demo's name up and shows each packet of it.
func (d *demo) resolve(ctx context.Context) error {
	return d.step("resolve "+demoHost, func() (lines []string, err error) {
		var mu sync.Mutex
		old := d.trace
		d.trace = func(e dnsresolver.Event) {
			if e.Kind == dnsresolver.EventSend || e.Kind == dnsresolver.EventReply {
				mu.Lock()
				lines = append(lines, strings.TrimSpace(e.String()))
				mu.Unlock()
			}
			if old != nil {
				old(e)
			}
		}
		defer func() { d.trace = old }()
		addrs, err := d.resolver.LookupNetIP(ctx, "ip", demoHost)
		mu.Lock()
		defer mu.Unlock()
		return append(lines, fmt.Sprintf("%s is %s", demoHost, joined(addrs))), err
	})
}

// fetch connects to the web server at an address, and over that one connection gets a small page and a large one.
func (d *demo) fetch(ctx context.Context, a netip.Addr) error {
	target := netip.AddrPortFrom(a, 80).String()
	var conn net.Conn
	err := d.step("connect to "+target, func() (lines []string, err error) {
		start := time.Now()
		if conn, err = d.host.DialContext(ctx, "tcp", target); err != nil {
			return nil, err
		}
		return []string{fmt.Sprintf("handshake %s, from %s", ms(time.Since(start)), conn.LocalAddr())}, nil
	})
	if err != nil {
		return err
	}
	transport := &http.Transport{DialContext: once(conn), DisableCompression: true}
	defer transport.CloseIdleConnections()
	if err := d.step("GET http://"+demoHost+"/", func() ([]string, error) {
		status, body, err := get(ctx, transport, "http://"+demoHost+"/")
		lines := append([]string{status}, strings.Split(strings.TrimSpace(string(body)), "\n")...)
		return lines, err
	}); err != nil {
		return err
	}
	return d.step(fmt.Sprintf("GET a page of %s", size(uint64(d.bulkSize()))), func() ([]string, error) {
		lines, err := d.bulk(ctx, transport)
		if view := d.servers.kernelSays(conn.LocalAddr()); view != "" {
			lines = append(lines, "the kernel says of this connection: "+view)
		}
		return lines, err
	})
}

// once is a dialer that hands out one connection.
func once(conn net.Conn) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		c := conn
		if conn = nil; c == nil {
			return nil, errors.New("the web server has closed the connection")
		}
		return c, nil
	}
}

// get fetches a page and describes the answer.
func get(ctx context.Context, t *http.Transport, url string) (status string, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", nil, err
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return "", nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return fmt.Sprintf("%s %s, %d bytes", resp.Proto, resp.Status, len(body)), body, err
}

// bulk fetches the large page and compares it with what it should be.
func (d *demo) bulk(ctx context.Context, t *http.Transport) ([]string, error) {
	start := time.Now()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/bytes/%d", demoHost, d.bulkSize()), nil)
	if err != nil {
		return nil, err
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	got, want := sha256.New(), sha256.New()
	n, err := io.Copy(got, resp.Body)
	if err != nil {
		return nil, err
	}
	took := time.Since(start)
	io.Copy(want, pattern(d.bulkSize())) // neither a hash nor a pattern fails
	sum := got.Sum(nil)
	if n != d.bulkSize() || !bytes.Equal(sum, want.Sum(nil)) {
		return nil, fmt.Errorf("%d bytes arrived, and they are not the ones that were sent", n)
	}
	const megabit = 1e6 / 8
	return []string{fmt.Sprintf("sha256 %s… as sent, %.0f Mbit/s", hex.EncodeToString(sum[:8]), float64(n)/megabit/took.Seconds())}, nil
}

// secure fetches the page over TLS and HTTP/2, by name.
func (d *demo) secure(ctx context.Context) error {
	return d.step("GET https://"+demoHost+"/", func() ([]string, error) {
		roots := x509.NewCertPool()
		roots.AddCert(d.servers.cert)
		var state tls.ConnectionState
		config := &tls.Config{RootCAs: roots, VerifyConnection: func(s tls.ConnectionState) error { state = s; return nil }}
		t := &http.Transport{DialContext: d.host.DialContext, TLSClientConfig: config, ForceAttemptHTTP2: true}
		defer t.CloseIdleConnections()
		status, _, err := get(ctx, t, "https://"+demoHost+"/")
		return []string{fmt.Sprintf("%s, %s", status, tls.VersionName(state.Version))}, err
	})
}

// accept listens on our stack and has the other end connect.
func (d *demo) accept(ctx context.Context) error {
	return d.step("accept a connection from the other end", func() ([]string, error) {
		ln, err := d.host.Listen("tcp", netip.AddrPortFrom(d.addrs[0].Addr(), 0).String())
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		dialled := make(chan error, 1)
		go func() { // ends with the dial, which ctx bounds
			c, err := d.servers.place.dial(ctx, "tcp", ln.Addr().String())
			if err == nil {
				_, err = io.WriteString(c, "hello, stack\n")
				err = errors.Join(err, c.Close())
			}
			if err != nil {
				ln.Close()
			}
			dialled <- err
		}()
		c, err := ln.Accept()
		if err != nil {
			return nil, errors.Join(<-dialled, err)
		}
		defer c.Close()
		said, err := io.ReadAll(c)
		return []string{fmt.Sprintf("%s connected to %s and said %q", c.RemoteAddr(), ln.Addr(), said)}, errors.Join(<-dialled, err)
	})
}

// demoPings is how many echo requests go to each address.
const demoPings = 3

func (d *demo) ping(ctx context.Context, a netip.Addr) error {
	return d.step("ping "+a.String(), func() ([]string, error) {
		p, err := newPinger(d.host, a)
		if err != nil {
			return nil, err
		}
		defer p.Close()
		line, lost := "round trips", 0
		for seq := range demoPings {
			took, err := p.once(ctx, uint16(seq+1))
			switch {
			case errors.Is(err, sockets.ErrTimeout) && lost < demoPings-1: // as --impair has it
				lost++
				line += " (lost)"
			case err != nil:
				return nil, err
			default:
				line += " " + ms(took)
			}
		}
		return []string{line}, nil
	})
}
