package sockets_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// connPair returns two ends of a TCP connection as net.Conns.
func connPair(t testing.TB, a, b *sockets.Host) (client, server *sockets.Conn) {
	t.Helper()
	c, s := connected(t, a, b)
	return must[net.Conn](t)(c.Conn()).(*sockets.Conn), must[net.Conn](t)(s.Conn()).(*sockets.Conn)
}

// result returns what a goroutine has to say.
func result[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

type copied struct {
	n   int64
	err error
}

// copying runs a copy beside the test.
func copying(copy func() (int64, error)) <-chan copied {
	ch := make(chan copied, 1)
	go func() {
		n, err := copy()
		ch <- copied{n, err}
	}()
	return ch
}

// TestCopyToWriter has io.Copy take a stream out of a connection.
func TestCopyToWriter(t *testing.T) {
	a, b := pair(t)
	client, server := connPair(t, a, b)
	want := randomBytes(1, 3<<20)
	var got bytes.Buffer
	done := copying(func() (int64, error) { return io.Copy(struct{ io.Writer }{&got}, server) })
	must[int](t)(client.Write(want))
	check(t, client.CloseWrite())
	if r := result(t, done); r.err != nil || r.n != int64(len(want)) || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("copied %d bytes, %v; got the right ones: %v", r.n, r.err, bytes.Equal(got.Bytes(), want))
	}
}

// TestCopyBetween has io.Copy join two connections, as a proxy does, in the three
// ways that it may come by them.
func TestCopyBetween(t *testing.T) {
	const size = 3 << 20
	for name, join := range map[string]func(dst, src *sockets.Conn) (int64, error){
		"WriteTo":  func(dst, src *sockets.Conn) (int64, error) { return io.Copy(dst, src) },
		"ReadFrom": func(dst, src *sockets.Conn) (int64, error) { return dst.ReadFrom(src) },
		"CopyN":    func(dst, src *sockets.Conn) (int64, error) { return io.CopyN(dst, src, size) },
		"neither": func(dst, src *sockets.Conn) (int64, error) {
			return io.Copy(struct{ io.Writer }{dst}, struct{ io.Reader }{src})
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t)
			sender, in := connPair(t, a, b)
			receiver, out := connPair(t, a, b)
			want := randomBytes(1, size)
			joined := copying(func() (int64, error) {
				n, err := join(out, in)
				return n, errors.Join(err, out.CloseWrite())
			})
			got := make(chan []byte, 1)
			go func() {
				p, _ := io.ReadAll(receiver)
				got <- p
			}()
			must[int](t)(sender.Write(want))
			check(t, sender.CloseWrite())
			if r := result(t, joined); r.err != nil || r.n != size {
				t.Errorf("the proxy copied %d bytes, %v", r.n, r.err)
			}
			if !bytes.Equal(result(t, got), want) {
				t.Error("other bytes came than were sent")
			}
		})
	}
}

// TestEcho has a connection copied to itself.
func TestEcho(t *testing.T) {
	a, b := pair(t)
	client, server := connPair(t, a, b)
	echoed := copying(func() (int64, error) {
		n, err := io.Copy(server, server)
		return n, errors.Join(err, server.CloseWrite())
	})
	want := randomBytes(1, 2<<20)
	got := make(chan []byte, 1)
	go func() {
		p, _ := io.ReadAll(client)
		got <- p
	}()
	must[int](t)(client.Write(want))
	check(t, client.CloseWrite())
	if !bytes.Equal(result(t, got), want) {
		t.Error("other bytes came back than were sent")
	}
	if r := result(t, echoed); r.err != nil || r.n != int64(len(want)) {
		t.Errorf("copied %d bytes, %v", r.n, r.err)
	}
}

// A stubborn writer takes some bytes and then fails.
type stubborn struct {
	left int
	err  error
	took []byte
}

func (w *stubborn) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	w.left -= n
	w.took = append(w.took, p[:n]...)
	if n < len(p) {
		return n, w.err
	}
	return n, nil
}

// TestCopyToFailingWriter wants what a writer does not take to stay in the
// connection.
func TestCopyToFailingWriter(t *testing.T) {
	broken := errors.New("broken")
	for _, tc := range []struct {
		name      string
		err, want error
	}{{"error", broken, broken}, {"short", nil, io.ErrShortWrite}} {
		t.Run(tc.name, func(t *testing.T) {
			a, b := pair(t)
			client, server := connPair(t, a, b)
			sent := randomBytes(1, 100_000)
			must[int](t)(client.Write(sent))
			check(t, client.CloseWrite())
			w := &stubborn{left: 33_333, err: tc.err}
			n, err := server.WriteTo(w)
			if n != 33_333 || err != tc.want {
				t.Errorf("WriteTo = %d, %v; want 33333, %v", n, err, tc.want)
			}
			line, _ := server.Socket().ReadN(7) // of those that were put back
			rest, err := io.ReadAll(server)
			if got := bytes.Join([][]byte{w.took, line, rest}, nil); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("then come %d bytes, %v; with the writer's %d they are what was sent: %v",
					len(rest), err, len(w.took), bytes.Equal(got, sent))
			}
		})
	}
}

// TestCopyBetweenFails has the connection that is copied to end on the way: the
// bytes that it did not take are still in the other, whether the copy waits for
// room or does not.
func TestCopyBetweenFails(t *testing.T) {
	a, b := pair(t)
	sender, in := connPair(t, a, b)
	receiver, out := connPair(t, a, b)
	sent := randomBytes(1, 100_000)
	must[int](t)(sender.Write(sent))
	check(t, sender.CloseWrite())
	check(t, out.CloseWrite())
	n, err := io.Copy(out, in)
	if n != 0 || !errors.Is(err, sockets.EPIPE) {
		t.Errorf("io.Copy = %d, %v; want EPIPE", n, err)
	}
	if rest, err := io.ReadAll(in); err != nil || !bytes.Equal(rest, sent) {
		t.Errorf("then come %d bytes, %v; want all %d", len(rest), err, len(sent))
	}
	check(t, receiver.Close())
}

// A liar says that it wrote more than it was given.
type liar struct{}

func (liar) Write(p []byte) (int, error) { return len(p) + 1, nil }

func TestCopyToLiar(t *testing.T) {
	a, b := pair(t)
	client, server := connPair(t, a, b)
	must[int](t)(client.Write([]byte("four")))
	if n, err := server.WriteTo(liar{}); n != 0 || err == nil {
		t.Errorf("WriteTo = %d, %v", n, err)
	}
	if p, err := server.Socket().ReadN(4); string(p) != "four" {
		t.Errorf("then ReadN gives %q, %v", p, err)
	}
}

// TestCopyEnds has a deadline and a Close end a copy that waits: for bytes, and for
// room.
func TestCopyEnds(t *testing.T) {
	past := time.Unix(1, 0)
	for _, tc := range []struct {
		name string
		full bool // the copy waits for room
		end  func(out, in *sockets.Conn) error
		want error
	}{
		{"read deadline", false, func(_, in *sockets.Conn) error { return in.SetReadDeadline(past) }, os.ErrDeadlineExceeded},
		{"close of the source", false, func(_, in *sockets.Conn) error { return in.Close() }, net.ErrClosed},
		{"write deadline", true, func(out, _ *sockets.Conn) error { return out.SetWriteDeadline(past) }, os.ErrDeadlineExceeded},
		{"close of the destination", true, func(out, _ *sockets.Conn) error { return out.Close() }, net.ErrClosed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, b := pair(t)
			sender, in := connPair(t, a, b)
			_, out := connPair(t, a, b) // whose peer does not read
			if tc.full {
				go sender.ReadFrom(endless{}) // ends with the connection
			}
			done := copying(func() (int64, error) { return io.Copy(out, in) })
			waitsIn := "sockets.(*Conn).awaitData"
			if tc.full {
				waitsIn = "sockets.(*Conn).awaitRoom"
			}
			awaitStacks(t, 1, func(g string) bool {
				return strings.Contains(g, " [select") && strings.Contains(g, waitsIn)
			})
			check(t, tc.end(out, in))
			if r := result(t, done); !errors.Is(r.err, tc.want) {
				t.Errorf("the copy ended after %d bytes with %v, want %v", r.n, r.err, tc.want)
			}
			sender.Close()
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestCopyIgnoresDeadlineAhead has a deadline set while a copy waits that does not
// pass.
func TestCopyIgnoresDeadlineAhead(t *testing.T) {
	a, b := pair(t)
	client, server := connPair(t, a, b)
	done := copying(func() (int64, error) { return server.WriteTo(io.Discard) })
	check(t, server.SetReadDeadline(time.Now().Add(time.Hour)))
	must[int](t)(client.Write([]byte("x")))
	check(t, client.CloseWrite())
	if r := result(t, done); r.n != 1 || r.err != nil {
		t.Errorf("WriteTo = %d, %v", r.n, r.err)
	}
}

// loopbackConns returns a connection within a Host.
func loopbackConns(t testing.TB, h *sockets.Host) (client, server *sockets.Conn) {
	t.Helper()
	l := must[net.Listener](t)(h.Listen("tcp", "127.0.0.1:0"))
	defer l.Close()
	c := must[net.Conn](t)(h.DialContext(t.Context(), "tcp", l.Addr().String()))
	return c.(*sockets.Conn), must[net.Conn](t)(l.Accept()).(*sockets.Conn)
}

// TestNoAllocationPerCall wants none by reading and by deadlines. Of writing it
// cannot tell, since netstack makes one for each packet (PacketBufferList), and others
// for what waits: BenchmarkTCPRoundTrip has as many over a bare endpoint.
func TestNoAllocationPerCall(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties sync.Pools; run this without -race")
	}
	h, end := loopbackHost()
	defer end()
	client, server := loopbackConns(t, h)
	defer client.Close()
	defer server.Close()
	const runs = 1000
	one, far := make([]byte, 1), time.Now().Add(time.Hour)
	must[int](t)(client.Write(make([]byte, 4*runs)))
	for _, tc := range []struct {
		name string
		call func() error
	}{
		{"Conn.Read", func() error { _, err := server.Read(one); return err }},
		{"Socket.RecvInto", func() error { _, err := server.Socket().RecvInto(one); return err }},
		{"Conn.SetReadDeadline", func() error { return server.SetReadDeadline(far) }},
	} {
		n := testing.AllocsPerRun(runs, func() {
			if err := tc.call(); err != nil {
				t.Fatalf("%s: %v", tc.name, err)
			}
		})
		if n > 0 {
			t.Errorf("%s makes %v allocations", tc.name, n)
		}
	}
}
