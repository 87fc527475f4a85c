package sockets_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

func ExampleSocket_MakeFile() {
	host, end := loopbackHost()
	defer end()
	client, server := loopbackPair(host)
	defer client.Close()

	f, err := server.MakeFile("rwb", -1)
	if err != nil {
		fmt.Println(err)
		return
	}
	server.Close() // the file has a descriptor of its own
	_, _ = client.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
	request, _ := f.ReadLine(0)
	_, _ = f.Write([]byte("HTTP/1.0 204 No Content\r\n"))
	_ = f.WriteLines([][]byte{[]byte("\r\n")})
	_ = f.Flush()
	fmt.Printf("%q %s\n", request, f.Mode())
	answer, _ := client.ReadLine(0)
	fmt.Printf("%q %v\n", answer, f.Close())
	// Output:
	// "GET / HTTP/1.0\r\n" rwb
	// "HTTP/1.0 204 No Content\r\n" <nil>
}

func file(t *testing.T, s *sockets.Socket, mode string, bufsize int, opts ...sockets.FileOption) *sockets.File {
	t.Helper()
	f, err := s.MakeFile(mode, bufsize, opts...)
	check(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func TestMakeFileModes(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	must[int](t)(server.Send([]byte("0123456789")))
	for _, mode := range []string{"", "r", "rb", "w", "wb", "rw", "rwb", "r+", "rb+", "r+b", "w+"} {
		f := file(t, client, mode, 0)
		_, rerr := f.ReadN(1)
		_, werr := f.Write([]byte("x"))
		reads, writes := mode == "" || strings.ContainsAny(mode, "r+"), strings.ContainsAny(mode, "w+")
		if (rerr == nil) != reads || (werr == nil) != writes {
			t.Errorf("mode %q: reading %v, writing %v", mode, rerr, werr)
		}
		if !reads {
			wantErrno(t, rerr, sockets.EBADF)
		}
		if !writes {
			wantErrno(t, werr, sockets.EBADF)
		}
		if f.Mode() != mode || f.Name() != fmt.Sprintf("<socket %d>", f.Fileno()) || f.Fileno() == client.Fileno() {
			t.Errorf("mode %q, name %q, descriptor %d", f.Mode(), f.Name(), f.Fileno())
		}
		_, err := f.Seek(0, io.SeekStart)
		wantErrno(t, err, sockets.ESPIPE)
		check(t, f.Close())
		if f.Fileno() != -1 {
			t.Error("a closed file has a descriptor")
		}
	}
	for _, mode := range []string{"a", "rt", "U", "rU", "x", "bb", "rr", "r++", "+", "R"} {
		_, err := client.MakeFile(mode, 0)
		wantErrno(t, err, sockets.EINVAL)
	}
	_, err := client.MakeFile("r", 0, 7)
	wantErrno(t, err, sockets.EINVAL)
	_, err = udpSocket(t, a).MakeFile("r", 0)
	wantErrno(t, err, sockets.EOPNOTSUPP)
	check(t, client.Close())
	_, err = client.MakeFile("r", 0)
	wantErrno(t, err, sockets.EBADF)
}

// What the buffer holds back, by its size.
func TestFileBuffers(t *testing.T) {
	a, b := pair(t)
	for _, tc := range []struct {
		bufsize int
		writes  []string
		sent    string // before any flush
	}{
		{0, []string{"a", "b"}, "ab"},
		{1, []string{"a", "b\nc", "d"}, "ab\nc"},
		{4, []string{"abc", "d", "e"}, "abcd"},
		{4, []string{"ab", "0123456789", "c"}, "ab0123456789"},
		{-1, []string{"a\n", strings.Repeat("x", 8190), "b"}, "a\n" + strings.Repeat("x", 8190)},
	} {
		client, server := connected(t, a, b)
		f := file(t, client, "w", tc.bufsize)
		for _, w := range tc.writes {
			if n := must[int](t)(f.Write([]byte(w))); n != len(w) {
				t.Errorf("wrote %d of %d bytes", n, len(w))
			}
		}
		if got := must[[]byte](t)(server.ReadN(len(tc.sent))); string(got) != tc.sent {
			t.Errorf("buffer of %d: %.20q came, want %.20q", tc.bufsize, got, tc.sent)
		}
		if p, err := server.Recv(1, sockets.MSG_DONTWAIT); !errors.Is(err, sockets.EAGAIN) {
			t.Errorf("buffer of %d: %q came as well", tc.bufsize, p)
		}
		check(t, f.Close())
		check(t, client.Close())
		rest := strings.TrimPrefix(strings.Join(tc.writes, ""), tc.sent)
		if got := must[[]byte](t)(server.ReadAll()); string(got) != rest {
			t.Errorf("buffer of %d: closing sent %q, want %q", tc.bufsize, got, rest)
		}
		_, err := f.Write([]byte("x"))
		wantErrno(t, err, sockets.EBADF)
		wantErrno(t, f.Flush(), sockets.EBADF)
		check(t, f.Close())
	}
}

// A write that runs out of time says how much it took, and loses nothing of it.
func TestFileKeepsWhatItTook(t *testing.T) {
	a, b := pair(t)
	for _, bufsize := range []int{0, 1, 1000, -1} {
		client, server := connected(t, a, b)
		f := file(t, client, "w", bufsize)
		client.SetBlocking(false)
		line := append(bytes.Repeat([]byte("0123456789"), 70), '\n')
		var want []byte
		for full := false; !full; {
			n, err := f.Write(line)
			want = append(want, line[:n]...)
			if n == len(line) {
				check(t, err)
				continue
			}
			wantErrno(t, err, sockets.EAGAIN)
			full = bufsize == 0 || bufsize == 1 // nothing is left in the buffer of those
			if err := f.Flush(); !full && err != nil {
				wantErrno(t, err, sockets.EAGAIN)
				full = true // and otherwise the peer has made room
			}
		}
		check(t, client.SetTimeout(5*time.Millisecond))
		big := bytes.Repeat([]byte("y"), 8<<20)
		n, err := f.Write(big)
		if n == len(big) || !errors.Is(err, sockets.ErrTimeout) {
			t.Errorf("buffer of %d: wrote %d bytes over a full buffer, %v", bufsize, n, err)
		}
		want = append(want, big[:n]...)
		client.SetBlocking(true)
		got := make(chan []byte, 1)
		go func() {
			p, _ := server.ReadAll()
			got <- p
		}()
		check(t, f.Close())
		check(t, client.Close())
		if p := <-got; !bytes.Equal(p, want) {
			t.Errorf("buffer of %d: %d bytes came, want %d, or other ones", bufsize, len(p), len(want))
		}
		check(t, server.Close())
	}
}

// The bytes that a file read ahead are the socket's, also when it is gone.
func TestFileReadAheadStaysInSocket(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	f := file(t, client, "r", -1)
	must[int](t)(server.Send([]byte("one\ntw")))
	if p := must[[]byte](t)(f.ReadLine(0)); string(p) != "one\n" {
		t.Errorf("line %q", p)
	}
	check(t, client.SetTimeout(20*time.Millisecond)) // the file sees it (D5)
	for range 2 {
		if lines, err := f.ReadLines(0); len(lines) != 0 || !errors.Is(err, sockets.ErrTimeout) {
			t.Errorf("%q, %v", lines, err)
		}
	}
	check(t, f.Close())
	if p := must[[]byte](t)(client.Recv(10)); string(p) != "tw" {
		t.Errorf("the socket has %q", p)
	}
	must[int](t)(server.Send([]byte("3\n4\n")))
	check(t, server.Close())
	g := file(t, client, "r", -1)
	for line, err := range g.Lines() {
		if err != nil || string(line) != "3\n" {
			t.Errorf("%q, %v", line, err)
		}
		break
	}
	if p := must[[]byte](t)(g.ReadAll()); string(p) != "4\n" {
		t.Errorf("the rest is %q", p)
	}
	if n, err := g.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("%d, %v, want io.EOF", n, err)
	}
}

// The connection ends with its last reference (D4), or with the file when that
// was asked for.
func TestFileReferences(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	f, g := file(t, client, "w", 0), file(t, client, "r", 0)
	check(t, client.Close())
	check(t, g.Close())
	must[int](t)(f.Write([]byte("still there")))
	check(t, f.Close())
	if p := must[[]byte](t)(server.ReadAll()); string(p) != "still there" {
		t.Errorf("read %q", p)
	}
	client, server = connected(t, a, b)
	check(t, file(t, client, "w", -1, sockets.FileClosesSocket).Close())
	_, err := client.Send([]byte("x"))
	wantErrno(t, err, sockets.EBADF)
	if p := must[[]byte](t)(server.ReadAll()); len(p) != 0 {
		t.Errorf("read %q", p)
	}
}

// Close ends a write that waits for the peer, and says what is lost.
func TestFileCloseWakesWriter(t *testing.T) {
	a, b := pair(t)
	client, _ := connected(t, a, b)
	f := file(t, client, "rw", -1)
	must[int](t)(f.Write([]byte("buffered")))
	wrote, read := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := f.Write(make([]byte, 64<<20))
		wrote <- err
	}()
	go func() {
		_, err := f.ReadLine(0)
		read <- err
	}()
	awaitBlocked(t, "Write")
	awaitBlocked(t, "ReadLine")
	check(t, f.Close())
	wantErrno(t, <-wrote, sockets.EBADF)
	wantErrno(t, <-read, sockets.EBADF)

	client, server := connected(t, a, b)
	f = file(t, client, "w", -1)
	must[int](t)(f.Write([]byte("never sent")))
	check(t, client.Shutdown(sockets.SHUT_WR))
	err := f.Close()
	wantErrno(t, err, sockets.EPIPE)
	if !strings.Contains(err.Error(), "10 bytes were not sent") {
		t.Error(err)
	}
	check(t, server.Close())
}
