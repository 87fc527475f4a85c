package sockets_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

func ExampleSocket_ReadLine() {
	host, end := loopbackHost()
	defer end()
	client, server := loopbackPair(host)
	defer client.Close()
	defer server.Close()

	_, _ = client.Write([]byte("one\ntwo\nthr"))
	line, err := server.ReadLine(0)
	fmt.Printf("%q %v\n", line, err)
	line, err = server.ReadLine(2)
	fmt.Printf("%q %v\n", line, err)
	_ = server.SetTimeout(time.Millisecond)
	_, _ = server.ReadLine(0) // the rest of the line
	_, err = server.ReadLine(0)
	fmt.Println(err)
	_ = client.Shutdown(sockets.SHUT_WR)
	_ = server.SetTimeout(sockets.NoTimeout)
	line, err = server.ReadLine(0)
	fmt.Printf("%q %v\n", line, err)
	_, err = server.ReadLine(0)
	fmt.Println(err == io.EOF)
	// Output:
	// "one\n" <nil>
	// "tw" <nil>
	// readline: timed out
	// "thr" <nil>
	// true
}

func ExampleSocket_Lines() {
	host, end := loopbackHost()
	defer end()
	client, server := loopbackPair(host)
	defer server.Close()

	_, _ = client.Write([]byte("a\nb\nc"))
	client.Close()
	for line, err := range server.Lines() {
		fmt.Printf("%q %v\n", line, err)
	}
	// Output:
	// "a\n" <nil>
	// "b\n" <nil>
	// "c" <nil>
}

func ExampleSocket_ReadN() {
	host, end := loopbackHost()
	defer end()
	client, server := loopbackPair(host)
	defer server.Close()

	_, _ = client.Write([]byte("0123456789"))
	client.Close()
	four, _ := server.ReadN(4)
	buf := make([]byte, 2)
	n, _ := server.ReadInto(buf)
	rest, err := server.ReadAll()
	fmt.Printf("%s %s %d %s %v\n", four, buf, n, rest, err)
	// Output: 0123 45 2 6789 <nil>
}

func ExampleSocket_AcceptRead() {
	host, end := loopbackHost()
	defer end()
	l, _ := host.TCP()
	defer l.Close()
	_ = l.Bind(sockets.Inet4{Host: "127.0.0.1", Port: 7000})
	_ = l.Listen(1)
	client, _ := host.TCP()
	defer client.Close()
	_ = client.Connect(sockets.Inet4{Host: "127.0.0.1", Port: 7000})
	_, _ = client.Send([]byte("hello"))

	conn, peer, first, err := l.AcceptRead(100, sockets.Within(patience))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	fmt.Printf("%s %s %v\n", first, peer.(sockets.Inet4).Host, err)
	// Output: hello 127.0.0.1 <nil>
}

// loopbackPair returns two connected sockets of one host, for examples.
func loopbackPair(h *sockets.Host) (client, server *sockets.Socket) {
	l, err := h.TCP()
	if err != nil {
		panic(err)
	}
	defer l.Close()
	_ = l.Bind(sockets.Inet4{Host: "127.0.0.1"})
	_ = l.Listen(1)
	addr, _ := l.GetSockName()
	client, _ = h.TCP()
	if err := client.Connect(addr); err != nil {
		panic(err)
	}
	server, _, err = l.Accept()
	if err != nil {
		panic(err)
	}
	return client, server
}

// A read that runs out of time leaves what came in the socket, where every other
// call finds it.
func TestTimeoutKeepsPartialReads(t *testing.T) {
	reads := map[string]func(*sockets.Socket) error{
		"ReadLine": func(s *sockets.Socket) error { _, err := s.ReadLine(0); return err },
		"ReadN":    func(s *sockets.Socket) error { _, err := s.ReadN(100); return err },
		"ReadInto": func(s *sockets.Socket) error { n, err := s.ReadInto(make([]byte, 100)); return errIf(err, n != 0) },
		"ReadAll":  func(s *sockets.Socket) error { _, err := s.ReadAll(); return err },
	}
	finds := map[string]func(*testing.T, *sockets.Socket) []byte{
		"Recv": func(t *testing.T, s *sockets.Socket) []byte { return must[[]byte](t)(s.Recv(100)) },
		"Recv byte by byte": func(t *testing.T, s *sockets.Socket) []byte {
			return slices.Concat(must[[]byte](t)(s.Recv(1)), must[[]byte](t)(s.Recv(1)), must[[]byte](t)(s.Recv(9)))
		},
		"MSG_PEEK": func(t *testing.T, s *sockets.Socket) []byte {
			peeked := must[[]byte](t)(s.Recv(2, sockets.MSG_PEEK))
			all := must[[]byte](t)(s.Recv(100))
			if !bytes.HasPrefix(all, peeked) {
				t.Errorf("peeked %q, received %q", peeked, all)
			}
			return all
		},
		"RecvMsg": func(t *testing.T, s *sockets.Socket) []byte {
			bufs := [][]byte{make([]byte, 1), make([]byte, 100)}
			m := must[*sockets.Msg](t)(s.RecvMsg(bufs, 0))
			return slices.Concat(bufs...)[:m.N]
		},
		"Read": func(t *testing.T, s *sockets.Socket) []byte {
			p := make([]byte, 100)
			return p[:must[int](t)(s.Read(p))]
		},
		"Conn": func(t *testing.T, s *sockets.Socket) []byte {
			p := make([]byte, 100)
			return p[:must[int](t)(asConn(t, s).Read(p))]
		},
		"Poll": func(t *testing.T, s *sockets.Socket) []byte {
			d := []sockets.PollDesc{{Sock: s, In: sockets.POLLIN}}
			must[int](t)(s.Host().Poll(d, 0))
			if d[0].Out != sockets.POLLIN {
				t.Errorf("ready for %v", d[0].Out)
			}
			return must[[]byte](t)(s.ReadN(3))
		},
		"WAITALL": func(t *testing.T, s *sockets.Socket) []byte { return must[[]byte](t)(s.Recv(3, sockets.MSG_WAITALL)) },
	}
	a, b := pair(t)
	for read, try := range reads {
		for find, get := range finds {
			client, server := connected(t, a, b)
			for i, piece := range []string{"ab", "c"} {
				must[int](t)(client.Send([]byte(piece)))
				awaitUnread(t, server, i+2)
				check(t, server.SetTimeout(20*time.Millisecond))
				if err := try(server); !errors.Is(err, sockets.ErrTimeout) {
					t.Fatalf("%s: %v, want ErrTimeout", read, err)
				}
			}
			check(t, server.SetTimeout(sockets.NoTimeout))
			if got := get(t, server); string(got) != "abc" {
				t.Errorf("%s after %s: %q", find, read, got)
			}
			check(t, server.Close())
			check(t, client.Close())
		}
	}
}

func errIf(err error, also bool) error {
	if err != nil && also {
		return errors.New("bytes with an error")
	}
	return err
}

func asConn(t *testing.T, s *sockets.Socket) io.Reader {
	t.Helper()
	c, err := s.Conn()
	check(t, err)
	return c
}

func TestReadsOfNonBlockingSocket(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	server.SetBlocking(false)
	_, err := server.ReadN(3)
	wantErrno(t, err, sockets.EAGAIN)
	_, err = server.ReadAll()
	wantErrno(t, err, sockets.EAGAIN)
	_, err = server.ReadInto(make([]byte, 3))
	wantErrno(t, err, sockets.EAGAIN)
	_, err = server.ReadLine(0)
	wantErrno(t, err, sockets.EAGAIN)
	must[int](t)(client.Send([]byte("ab")))
	awaitReadable(t, server, 2)
	_, err = server.ReadLine(0)
	wantErrno(t, err, sockets.EAGAIN)
	if p := must[[]byte](t)(server.ReadN(3)); string(p) != "ab" {
		t.Errorf("ReadN: %q, want what there is", p)
	}
	must[int](t)(client.Send([]byte("cd")))
	awaitReadable(t, server, 2)
	buf := make([]byte, 3)
	if n := must[int](t)(server.ReadInto(buf)); string(buf[:n]) != "cd" {
		t.Errorf("ReadInto: %q, want what there is", buf[:n])
	}
	must[int](t)(client.Send([]byte("e\nf")))
	awaitReadable(t, server, 3)
	if p := must[[]byte](t)(server.ReadLine(0)); string(p) != "e\n" {
		t.Errorf("ReadLine: %q", p)
	}
	if p := must[[]byte](t)(server.ReadAll()); string(p) != "f" {
		t.Errorf("ReadAll: %q, want what there is", p)
	}
	check(t, client.Close())
	awaitEnd(t, server)
	if p := must[[]byte](t)(server.ReadAll()); p == nil || len(p) != 0 {
		t.Errorf("ReadAll at the end: %q", p)
	}
	for name, err := range map[string]error{
		"Read":     second(server.Read(buf)),
		"ReadN":    second(server.ReadN(1)),
		"ReadInto": second(server.ReadInto(buf)),
		"ReadLine": second(server.ReadLine(0)),
	} {
		if err != io.EOF {
			t.Errorf("%s at the end: %v, want io.EOF", name, err)
		}
	}
}

// awaitReadable returns once n bytes wait in the socket, whatever its mode.
func awaitReadable(t *testing.T, s *sockets.Socket, n int) {
	t.Helper()
	end := time.Now().Add(patience)
	for time.Now().Before(end) {
		if p, err := s.Recv(n, sockets.MSG_PEEK, sockets.Within(time.Second)); err == nil && len(p) == n {
			return
		}
	}
	t.Fatalf("%d bytes did not come", n)
}

// awaitUnread returns once n bytes wait, in the socket's queue or read ahead.
func awaitUnread(t *testing.T, s *sockets.Socket, n int) {
	t.Helper()
	for end := time.Now().Add(patience); must[any](t)(s.Ioctl(sockets.FIONREAD, nil)) != any(n); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%v bytes wait, want %d", must[any](t)(s.Ioctl(sockets.FIONREAD, nil)), n)
		}
	}
}

// awaitEnd returns once the peer's end of the stream has come.
func awaitEnd(t *testing.T, s *sockets.Socket) {
	t.Helper()
	if p, err := s.Recv(1, sockets.MSG_PEEK, sockets.Within(patience)); err != nil || len(p) != 0 {
		t.Fatalf("%q, %v, want the end", p, err)
	}
}

func TestReadLine(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	long := strings.Repeat("x", 12<<20) + "\n" // more than the largest receive buffer
	go func() {
		client.SendAll([]byte("a\x00b\n\n" + long + "0123456789\nlast"))
		client.Close()
	}()
	for _, want := range []string{"a\x00b\n", "\n", long} {
		if got := must[[]byte](t)(server.ReadLine(0)); string(got) != want {
			t.Fatalf("line %.20q of %d bytes, want %.20q of %d", got, len(got), want, len(want))
		}
	}
	for _, want := range []string{"0123", "4567", "89\n", "last"} {
		if got := must[[]byte](t)(server.ReadLine(4)); string(got) != want {
			t.Errorf("limited line %q, want %q", got, want)
		}
	}
	if _, err := server.ReadLine(4); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func TestReadLines(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	must[int](t)(client.Write([]byte("1\n22\n333\n4444\n")))
	lines := must[[][]byte](t)(server.ReadLines(5))
	if got := string(bytes.Join(lines, []byte("|"))); got != "1\n|22\n" {
		t.Errorf("lines of at least 5 bytes: %q", got)
	}
	check(t, server.SetTimeout(20*time.Millisecond))
	lines, err := server.ReadLines(0)
	if got := string(bytes.Join(lines, []byte("|"))); got != "333\n|4444\n" || !errors.Is(err, sockets.ErrTimeout) {
		t.Errorf("lines before the error: %q, %v", got, err)
	}
	check(t, server.SetTimeout(sockets.NoTimeout))
	must[int](t)(client.Write([]byte("5\n6")))
	check(t, client.Close())
	lines = must[[][]byte](t)(server.ReadLines(0))
	if got := string(bytes.Join(lines, []byte("|"))); got != "5\n|6" { // D23: no empty line at the end
		t.Errorf("the last lines: %q", got)
	}
	if lines = must[[][]byte](t)(server.ReadLines(0)); len(lines) != 0 {
		t.Errorf("after the end: %q", lines)
	}
}

// An error other than the end ends a range over lines, and a new one goes on.
func TestLinesGoOnAfterAnError(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	must[int](t)(client.Write([]byte("one\ntw")))
	awaitReadable(t, server, len("one\ntw"))
	check(t, server.SetTimeout(20*time.Millisecond))
	var got []string
	for line, err := range server.Lines() {
		if err != nil && (line != nil || !errors.Is(err, sockets.ErrTimeout)) {
			t.Errorf("%q, %v", line, err)
		}
		got = append(got, string(line))
	}
	must[int](t)(client.Write([]byte("o\nthree\n")))
	check(t, server.SetTimeout(sockets.NoTimeout))
	for line, err := range server.Lines() {
		check(t, err)
		got = append(got, string(line))
		if len(got) == 4 {
			break
		}
	}
	if want := []string{"one\n", "", "two\n", "three\n"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestReadRefusals(t *testing.T) {
	a, b := pair(t)
	client, _ := connected(t, a, b)
	_, err := client.ReadN(-1)
	wantErrno(t, err, sockets.EINVAL)
	if p := must[[]byte](t)(client.ReadN(0)); len(p) != 0 {
		t.Errorf("ReadN(0): %q", p)
	}
	if n := must[int](t)(client.ReadInto(nil)); n != 0 {
		t.Errorf("ReadInto(nil): %d", n)
	}
	fresh := tcpSocket(t, a)
	_, err = fresh.ReadLine(0)
	wantErrno(t, err, sockets.ENOTCONN)
	_, err = fresh.ReadInto(make([]byte, 1))
	wantErrno(t, err, sockets.ENOTCONN)
	if v := must[int](t)(fresh.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_ERROR)); v != 0 {
		t.Errorf("SO_ERROR is %d", v)
	}
	udp := udpSocket(t, a)
	for _, err := range []error{
		second(udp.ReadLine(0)), second(udp.ReadN(1)), second(udp.ReadAll()), second(udp.ReadInto(make([]byte, 1))),
	} {
		wantErrno(t, err, sockets.EOPNOTSUPP)
	}
	check(t, client.Close())
	for _, err := range []error{
		second(client.Read(make([]byte, 1))), second(client.ReadN(1)), second(client.ReadLine(0)),
		second(client.ReadInto(make([]byte, 1))), second(client.ReadAll()), second(client.Write([]byte("x"))),
	} {
		wantErrno(t, err, sockets.EBADF)
	}
}

// A datagram socket is an io.Reader of datagrams, of which an empty one is not
// the end.
func TestReadDatagram(t *testing.T) {
	a, b := pair(t)
	client, server := udpSocket(t, a), udpSocket(t, b)
	check(t, server.Bind(sockets.Inet4{Host: addrB, Port: 99}))
	check(t, client.Connect(sockets.Inet4{Host: addrB, Port: 99}))
	buf := make([]byte, 10)
	for _, want := range []string{"one", "", "two"} {
		must[int](t)(client.Write([]byte(want)))
		if n := must[int](t)(server.Read(buf)); string(buf[:n]) != want {
			t.Errorf("read %q, want %q", buf[:n], want)
		}
	}
	must[error](t)(server.Shutdown(sockets.SHUT_RD), nil)
	if _, err := server.Read(buf); err != io.EOF {
		t.Errorf("after SHUT_RD: %v", err)
	}
}

// A reset is told after what was read of the stream is safe, and once.
func TestReadKeepsDataBeforeReset(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	must[int](t)(client.Send([]byte("partial")))
	awaitReadable(t, server, 7)
	got := make(chan error, 1)
	go func() {
		_, err := server.ReadLine(0)
		got <- err
	}()
	awaitBlocked(t, "ReadLine")
	check(t, client.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_LINGER, []byte{1, 0, 0, 0, 0, 0, 0, 0}))
	check(t, client.Close())
	wantErrno(t, <-got, sockets.ECONNRESET)
	if p := must[[]byte](t)(server.Recv(100)); string(p) != "partial" {
		t.Errorf("after the reset %q, want what came before", p)
	}
	if p := must[[]byte](t)(server.Recv(100)); len(p) != 0 {
		t.Errorf("in the end: %q", p)
	}
}

// Each of several readers gets whole lines, and all lines are got once.
func TestConcurrentReadLine(t *testing.T) {
	const readers, lines = 4, 2000
	a, b := pair(t)
	client, server := connected(t, a, b)
	var sent bytes.Buffer
	for i := range lines {
		fmt.Fprintf(&sent, "%d %s\n", i, strings.Repeat("z", i%700))
	}
	go func() {
		for p := sent.Bytes(); len(p) > 0; {
			n := min(len(p), 1+len(p)%997) // pieces that end anywhere
			client.SendAll(p[:n])
			p = p[n:]
		}
		client.Close()
	}()
	var mu sync.Mutex
	var got []string
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			for line, err := range server.Lines() {
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				got = append(got, string(line))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	want := strings.SplitAfter(strings.TrimSuffix(sent.String(), "\n"), "\n")
	want[len(want)-1] += "\n"
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d lines, want %d, or other ones", len(got), len(want))
	}
}

// Who waits for less gets what a call that waits for more has found.
func TestPartialReadWakesOthers(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	const rounds = 200
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { // takes every byte out of the queue as soon as it comes
		_, err := server.ReadN(1 << 30)
		done <- err
	}()
	awaitBlocked(t, "ReadN")
	for i := range rounds {
		got := make(chan []byte, 1)
		go func() {
			p, _ := server.Recv(1, sockets.WithContext(ctx))
			got <- p
		}()
		must[int](t)(client.Send([]byte{byte(i)}))
		select {
		case p := <-got:
			if len(p) != 1 || p[0] != byte(i) {
				t.Fatalf("round %d: received %v", i, p)
			}
		case <-time.After(patience):
			t.Fatalf("round %d: the receiver sleeps although there is a byte", i)
		}
	}
	check(t, server.Close())
	if err := <-done; !errors.Is(err, sockets.ErrClosed) {
		t.Errorf("ReadN: %v", err)
	}
}

// Poll sees the bytes that a waiting read has taken out of the queue, at whatever
// moment it looks.
func TestPartialReadWakesPoll(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	const rounds = 2000
	done := make(chan error, 1)
	go func() { done <- second(server.ReadN(1 << 30)) }()
	awaitBlocked(t, "ReadN")
	for i := range rounds {
		ready := make(chan int, 1)
		go func() {
			n, _ := b.Poll([]sockets.PollDesc{{Sock: server, In: sockets.POLLIN}}, patience)
			ready <- n
		}()
		must[int](t)(client.Send([]byte{byte(i)}))
		if n := <-ready; n != 1 {
			t.Fatalf("round %d: poll sleeps although there is a byte", i)
		}
		if p := must[[]byte](t)(server.Recv(1)); p[0] != byte(i) {
			t.Fatalf("round %d: received %v", i, p)
		}
	}
	check(t, server.Close())
	wantErrno(t, <-done, sockets.EBADF)
}

// MSG_WAITALL that an error cuts short gives what came, and the next call the
// error.
func TestWaitAllKeepsTheError(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	must[int](t)(client.Send([]byte("abc")))
	got := make(chan []byte, 1)
	go func() { p, _ := server.Recv(6, sockets.MSG_WAITALL); got <- p }()
	awaitBlocked(t, "recv")
	check(t, client.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_LINGER, []byte{1, 0, 0, 0, 0, 0, 0, 0}))
	check(t, client.Close())
	if p := <-got; string(p) != "abc" {
		t.Errorf("received %q", p)
	}
	_, err := server.Recv(6)
	wantErrno(t, err, sockets.ECONNRESET)
	if p := must[[]byte](t)(server.Recv(6)); len(p) != 0 {
		t.Errorf("in the end %q", p)
	}
}

// A read takes nothing beyond what it returns: the rest is the socket's unread
// data, which resets the connection when it closes, and so is what a read found
// that ran out of time.
func TestUnreadRestResets(t *testing.T) {
	a, b := pair(t)
	for _, sent := range []string{"line\nrest", "half a line"} {
		client, server := connected(t, a, b)
		must[int](t)(client.Send([]byte(sent)))
		awaitReadable(t, server, len(sent))
		check(t, server.SetTimeout(20*time.Millisecond))
		if _, err := server.ReadLine(0); err != nil && !errors.Is(err, sockets.ErrTimeout) {
			t.Error(err)
		}
		check(t, server.Close())
		_, err := client.Recv(1)
		wantErrno(t, err, sockets.ECONNRESET)
	}
}

// Disconnecting forgets the stream, what was read ahead of it included.
func TestDisconnectDropsAhead(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	must[int](t)(server.Send([]byte("old")))
	check(t, client.SetTimeout(20*time.Millisecond))
	awaitReadable(t, client, 3)
	if _, err := client.ReadLine(0); !errors.Is(err, sockets.ErrTimeout) {
		t.Fatal(err)
	}
	check(t, client.Connect(nil))
	for range 2 {
		if p, err := client.Recv(10); err == nil {
			t.Errorf("received %q of a connection that is gone", p)
		}
	}
}

func TestWriteIsWhole(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	want := randomBytes(9, 8<<20)
	client.SetBlocking(false)
	n, err := client.Write(want)
	wantErrno(t, err, sockets.EAGAIN)
	if n == 0 || n == len(want) {
		t.Errorf("wrote %d of %d bytes without blocking", n, len(want))
	}
	client.SetBlocking(true)
	go func() {
		client.Write(want[n:])
		client.Close()
	}()
	if got := must[[]byte](t)(server.ReadAll()); !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, wrote %d", len(got), len(want))
	}
}

func TestAcceptRead(t *testing.T) {
	a, b := pair(t)
	l, addr := listener(t, b, addrB)
	dial := func(msg string) *sockets.Socket {
		s := tcpSocket(t, a)
		check(t, s.Connect(addr))
		if msg != "" {
			must[int](t)(s.Send([]byte(msg)))
		}
		return s
	}
	silent := dial("")
	_, _, _, err := l.AcceptRead(10, sockets.Within(10*time.Millisecond)) // bounds the receive alone
	if !errors.Is(err, sockets.ErrTimeout) {
		t.Errorf("a silent peer: %v", err)
	}
	if p := must[[]byte](t)(silent.Recv(1, sockets.Within(patience))); len(p) != 0 {
		t.Errorf("the connection without data is still there: %q", p)
	}
	check(t, dial("").Close())
	s, _, p, err := l.AcceptRead(10)
	check(t, err)
	if s == nil || p == nil || len(p) != 0 {
		t.Errorf("a peer that closed: %v, %v", s, p)
	}
	check(t, s.Close())
	dial("0123456789")
	s, peer, p, err := l.AcceptRead(4)
	check(t, err)
	if string(p) != "0123" || peer.(sockets.Inet4).Host != addrA {
		t.Errorf("first bytes %q from %v", p, peer)
	}
	if p := must[[]byte](t)(s.Recv(10)); string(p) != "456789" {
		t.Errorf("then %q", p)
	}
	check(t, s.Close())
	check(t, l.SetTimeout(10*time.Millisecond))
	if _, _, _, err = l.AcceptRead(4, sockets.Within(patience)); !errors.Is(err, sockets.ErrTimeout) {
		t.Errorf("nobody connects: %v", err)
	}
	l.SetBlocking(false)
	_, _, _, err = l.AcceptRead(4)
	wantErrno(t, err, sockets.EINVAL)
	l.SetBlocking(true)
	_, _, _, err = l.AcceptRead(-1)
	wantErrno(t, err, sockets.EINVAL)
	check(t, l.Close())
	_, _, _, err = l.AcceptRead(4)
	wantErrno(t, err, sockets.EBADF)
}
