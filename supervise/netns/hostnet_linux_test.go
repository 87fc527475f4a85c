package netns_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/link/hostnet"
	"github.com/userstack/userstack/supervise/netns"
)

// newHostnet returns an uplink to the machine, whose loopback is at 10.0.2.2.
func newHostnet(t testing.TB) *hostnet.Uplink {
	t.Helper()
	require(t)
	up, err := hostnet.New(hostnet.Config{HostLoopback: hostnet.AccessAllowed, MTU: 65520})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { up.Close() })
	return up
}

// newWeb starts a web server on the machine's loopback, and returns its URL as
// the program sees it.
func newWeb(t testing.TB, body []byte) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(body) }))
	t.Cleanup(s.Close)
	return strings.Replace(s.URL, "127.0.0.1", "10.0.2.2", 1)
}

// TestHostnet runs programs on the machine's own network.
func TestHostnet(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	url := newWeb(t, body)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, closed, _ := net.SplitHostPort(free.Addr().String())
	free.Close()
	for _, c := range []struct {
		name   string
		argv   []string
		want   string // of the output; in it, if it begins with "~"
		status int
	}{
		{"curl", []string{"curl", "-sS", "--noproxy", "*", url}, string(body), 0},
		{"curl to a closed port", []string{"curl", "-sS", "--noproxy", "*", "http://10.0.2.2:" + closed}, "~", 7},
		{"python", []string{"python3", "-Sc", "import sys, urllib.request as r; sys.stdout.buffer.write(r.urlopen(sys.argv[1]).read())", url}, string(body), 0},
		{"ping", []string{"ping", "-c1", "-W30", "10.0.2.2"}, "~1 received", 0},
		{"ping6", []string{"ping", "-6", "-c1", "-W30", "fd00::2"}, "~1 received", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := exec.LookPath(c.argv[0]); err != nil {
				t.Skipf("%s is missing: install it", c.argv[0])
			}
			cmd := netns.Command(newHostnet(t).Link(), c.argv[0], c.argv[1:]...)
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != c.status {
				t.Fatalf("%v, want exit status %d\n%.1000s", err, c.status, out)
			}
			if want, part := strings.CutPrefix(c.want, "~"); part && !strings.Contains(string(out), want) || !part && string(out) != want {
				t.Errorf("%d bytes of output, want %q: %.1000s", len(out), want[:min(100, len(want))], out)
			}
		})
	}
}

// TestHostnetIPv6 reaches a server on ::1.
func TestHostnetIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("this machine has no IPv6: %v", err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err == nil {
			io.WriteString(conn, "hello")
			conn.Close()
		}
	}()
	far := fmt.Sprintf("[fd00::2]:%d", l.Addr().(*net.TCPAddr).Port)
	if out, err := program(netns.Command(newHostnet(t).Link(), ""), "fetch", far).CombinedOutput(); string(out) != "hello" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
}

// TestHostnetDrain: what a program has written reaches the machine's network
// although it exits at once.
func TestHostnetDrain(t *testing.T) {
	const size = 3 << 20
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	up := newHostnet(t)
	far := fmt.Sprintf("10.0.2.2:%d", l.Addr().(*net.TCPAddr).Port)
	cmd := program(netns.Command(up.Link(), ""), "send", far, fmt.Sprint(size))
	cmd.Drain = up.Drain
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	awaitEnd(t, cmd.Process.Pid)
	conn.SetDeadline(time.Now().Add(patience))
	waited := make(chan error, 1)
	go func() { waited <- cmd.Wait() }()
	if n, err := readSlowly(conn); n != size || err != nil {
		t.Errorf("%d of %d bytes, %v", n, size, err)
	}
	if err := <-waited; err != nil {
		t.Error(err)
	}
}

// TestHostnetPublish lets the machine connect to a server in the namespace.
func TestHostnetPublish(t *testing.T) {
	up := newHostnet(t)
	addr, err := up.Publish("tcp", netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort("10.0.2.15:80"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := program(netns.Command(up.Link(), ""), "serve", "10.0.2.15:80")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	bufio.NewReader(out).ReadString('\n')
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, err := io.ReadAll(conn); !strings.HasPrefix(string(got), "hello, 10.0.2.2:") || err != nil { // loopback is at the gateway
		t.Errorf("%q, %v", got, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
