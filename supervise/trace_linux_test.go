//go:build amd64 || arm64

package supervise_test

import (
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/userstack/userstack/supervise"
)

// TestTrace: the arguments of calls are written as strace writes them, those that the program passes and those that it
// gets, and Stats has counted them.
func TestTrace(t *testing.T) {
	need(t, "python3")
	var (
		mu    sync.Mutex
		lines []string
	)
	cmd := supervise.Command(newHost(t), "python3", "-c", `
import select, socket
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", 4000))
s.listen(7)
c = socket.create_connection(("127.0.0.1", 4000))
d, _ = s.accept()
d.sendall(b"four")
c.recv(4)
c.shutdown(socket.SHUT_WR)
c.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
try: c.getsockopt(socket.SOL_SOCKET, 9999)
except OSError: pass
try: socket.socket(socket.AF_INET6).connect(("::1", 1))
except OSError: pass
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
u.bind(("127.0.0.1", 5000))
u.sendto(b'say "hi"\n\x00', ("127.0.0.1", 5000))
select.select([u], [], [])
u.recvfrom(100)
u.sendmsg([b"part", b"s"], [], socket.MSG_DONTWAIT, ("127.0.0.1", 5000))
select.select([u], [], [])
u.recvmsg(100)
`)
	cmd.Trace = func(e supervise.Event) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, e.String())
		if e.PID != cmd.Process.Pid {
			t.Errorf("process %d, want %d", e.PID, cmd.Process.Pid)
		}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := strings.Join(lines, "\n") + "\n"
	for _, want := range []string{
		`^\d+ socket\(AF_INET, SOCK_STREAM\|SOCK_CLOEXEC, IPPROTO_IP\) = 3 <[\d.]+(µs|ms|s)>\n`,
		`setsockopt\(3, SOL_SOCKET, SO_REUSEADDR, 1\) = 0 <`,
		`bind\(3, \{AF_INET, 127\.0\.0\.1:4000\}\) = 0 <`,
		`listen\(3, 7\) = 0 <`,
		`connect\(4, \{AF_INET, 127\.0\.0\.1:4000\}\) = 0 <`,
		`accept4\(3, \{AF_INET, 127\.0\.0\.1:\d+\}, SOCK_CLOEXEC\) = 5 <`,
		`shutdown\(4, SHUT_WR\) = 0 <`,
		`getsockopt\(4, SOL_SOCKET, SO_TYPE, 1\) = 0 <`,
		`getsockopt\(4, SOL_SOCKET, 9999, 0x[0-9a-f]+\) = -1 ENOPROTOOPT \(Protocol not available\) <`,
		`socket\(AF_INET, SOCK_DGRAM\|SOCK_NONBLOCK\|SOCK_CLOEXEC, IPPROTO_IP\) = \d <`,
		`sendto\(\d, "say \\"hi\\"\\n\\x00", 10, 0, \{AF_INET, 127\.0\.0\.1:5000\}\) = 10 <`,
		`recvfrom\(\d, "say \\"hi\\"\\n\\x00", 100, 0, \{AF_INET, 127\.0\.0\.1:5000\}\) = 10 <`,
		`sendmsg\(\d, \{\{AF_INET, 127\.0\.0\.1:5000\}, "part" and 1 more\}, MSG_DONTWAIT\) = 5 <`,
		`recvmsg\(\d, \{\{AF_INET, 127\.0\.0\.1:5000\}, "parts"\}, 0\) = 5 <`,
		`connect\(\d, \{AF_INET6, \[::1\]:1\}\) = -1 ECONNREFUSED \(Connection refused\) <`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("no line like %s", want)
		}
	}
	if t.Failed() {
		t.Log("the trace:\n" + text)
	}
	s := cmd.Stats()
	if s.Opened != 5 || s.Open != 0 || s.Peak < 3 || s.Sent != 4+10+5 || s.Received != s.Sent {
		t.Errorf("opened %d, open %d, peak %d, sent %d, received %d", s.Opened, s.Open, s.Peak, s.Sent, s.Received)
	}
	for _, c := range s.Calls {
		if c.Name == "connect" && (c.Count != 2 || c.Failed != 1 || c.P50 <= 0 || c.P99 < c.P50) {
			t.Errorf("calls of connect: %+v", c)
		}
	}
}
