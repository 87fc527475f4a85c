package testnet_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/userstack/userstack/testnet"
)

// transferSize is what crosses the wire in each direction, in bytes; the race detector makes all of it slow.
var transferSize = map[bool]int64{false: 100 << 20, true: 4 << 20}[raceEnabled]

// noise returns n bytes that nothing can compress or guess, the same for each seed.
func noise(seed byte, n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{seed}), n)
}

// digestOf reads everything and returns its SHA-256 and length.
func digestOf(r io.Reader) (string, int64, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), n, err
}

// files answers GET with noise, and POST with the digest of what was sent.
func files(w http.ResponseWriter, r *http.Request) {
	size, err := strconv.ParseInt(r.URL.Query().Get("size"), 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.Method == http.MethodGet {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		io.Copy(w, noise('d', size))
		return
	}
	digest, n, err := digestOf(r.Body)
	if err != nil || n != size {
		http.Error(w, fmt.Sprintf("got %d bytes of %d, %v", n, size, err), http.StatusBadRequest)
		return
	}
	io.WriteString(w, digest)
}

// startHTTP serves files on a side.
func startHTTP(t *testing.T, server side, on string, start func(*httptest.Server)) *httptest.Server {
	t.Helper()
	ln, err := server.listen("tcp", on)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(files))
	s.Listener.Close()
	s.Listener = ln
	start(s)
	t.Cleanup(s.Close)
	return s
}

// clientOf returns an HTTP client that reaches the server from a side, whatever name the URL has.
func clientOf(t *testing.T, from side, s *httptest.Server) *http.Client {
	t.Helper()
	tr := s.Client().Transport.(*http.Transport).Clone()
	tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return from.dial(ctx, network, s.Listener.Addr().String())
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// fetch downloads and uploads size bytes and compares digests.
func fetch(t *testing.T, c *http.Client, url string, size int64, wantProto string) {
	t.Helper()
	check := func(what string, resp *http.Response, err error, seed byte, read func(io.Reader) (string, int64, error)) {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		defer resp.Body.Close()
		want, _, _ := digestOf(noise(seed, size))
		got, n, err := read(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || resp.Proto != wantProto || got != want {
			t.Errorf("%s: %s %s, %d bytes, digest %s, %v; want %s and digest %s", what, resp.Proto, resp.Status, n, got, err, wantProto, want)
		}
	}
	url = fmt.Sprintf("%s/?size=%d", url, size)
	resp, err := c.Get(url)
	check("download", resp, err, 'd', digestOf)
	resp, err = c.Post(url, "application/octet-stream", noise('u', size))
	check("upload", resp, err, 'u', func(r io.Reader) (string, int64, error) {
		b, err := io.ReadAll(r)
		return string(b), int64(len(b)), err
	})
}

// TestHTTP1 moves a megabyte in the clear, every way.
func TestHTTP1(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, client, server side, on string) {
		s := startHTTP(t, server, on, (*httptest.Server).Start)
		fetch(t, clientOf(t, client, s), "http://example.com", 1<<20, "HTTP/1.1")
	})
}

// TestHTTP2 moves 100 MB each way over TLS and HTTP/2 between ours and the kernel. The networks come one after the other:
// they share the machine's cores.
func TestHTTP2(t *testing.T) {
	for _, family := range families {
		for _, direction := range directions {
			t.Run(family.name+"/"+direction.name, func(t *testing.T) {
				l := testnet.Namespaces(t)
				client, server := direction.choose(ours(l.Node), kernels(l.Kernel))
				s := startHTTP(t, server, family.on(server), func(s *httptest.Server) {
					s.EnableHTTP2 = true
					s.StartTLS()
				})
				fetch(t, clientOf(t, client, s), "https://example.com", transferSize, "HTTP/2.0")
			})
		}
	}
}
