//go:build amd64 || arm64

package supervise_test

import (
	"bytes"
	"os/exec"
	"testing"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/supervise"
)

// newHost returns a Host that has a loopback interface and nothing else.
func newHost(t testing.TB) *sockets.Host {
	t.Helper()
	s, err := stack.New(stack.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	h, err := sockets.New(sockets.Config{Stack: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// need skips the test unless the program is installed.
func need(t testing.TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed", program)
	}
}

// output runs a program under supervision and returns what it printed.
func output(t *testing.T, h *sockets.Host, name string, arg ...string) string {
	t.Helper()
	cmd := supervise.Command(h, name, arg...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", name, err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.String()
}

func TestRun(t *testing.T) {
	need(t, "python3")
	h := newHost(t)
	out := output(t, h, "python3", "-c", `
import socket, threading
s = socket.create_server(("127.0.0.1", 0))
def serve():
    c, a = s.accept()
    while True:
        d = c.recv(100)
        if not d: break
        c.sendall(d.upper())
    c.close()
t = threading.Thread(target=serve); t.start()
c = socket.create_connection(s.getsockname())
c.sendall(b"hello")
print(c.recv(10))
c.shutdown(socket.SHUT_WR)
print(c.recv(10))
t.join()
try:
    socket.create_connection(("127.0.0.1", 1))
except OSError as e: print(e)
`)
	want := "b'HELLO'\nb''\n[Errno 111] Connection refused\n"
	if out != want {
		t.Errorf("printed %q, want %q", out, want)
	}
}
