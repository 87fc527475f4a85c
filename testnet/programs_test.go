package testnet_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/userstack/userstack/testnet"
)

// What is moved to and from a program, in bytes.
const (
	programSize = 8 << 20
	iperfSize   = 64 << 20
)

// need skips the test where a program is not installed.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("needs %s: %v", program, err)
	}
}

// startUntil starts a program in the kernel's namespace and returns what the first line of its output (stderr and
// stdout) that matches says. The program ends with the test.
func startUntil(t *testing.T, k *testnet.Kernel, ready *regexp.Regexp, name string, args ...string) []string {
	t.Helper()
	m, _, _ := startProgram(t, k, ready, name, args...)
	return m
}

// startProgram is startUntil for who ends the program earlier: stop does, and waits until it is gone.
func startProgram(t *testing.T, k *testnet.Kernel, ready *regexp.Regexp, name string, args ...string) (m []string, p *os.Process, stop func()) {
	t.Helper()
	cmd := k.Command(name, args...)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		t.Fatal(err)
	}
	found := make(chan []string)
	var read sync.WaitGroup
	read.Go(func() {
		defer close(found)
		lines := bufio.NewScanner(r)
		var said []string
		for lines.Scan() {
			if m := ready.FindStringSubmatch(lines.Text()); m != nil {
				found <- m
				io.Copy(io.Discard, r)
				return
			}
			said = append(said, lines.Text())
		}
		t.Errorf("%s ended and had said %q", name, said)
	})
	stop = sync.OnceFunc(func() {
		cmd.Process.Signal(syscall.SIGTERM) // nginx ends its worker on this, but not when killed
		cmd.Wait()
		read.Wait()
		r.Close()
	})
	t.Cleanup(stop)
	m, ok := <-found
	if !ok {
		t.FailNow()
	}
	return m, cmd.Process, stop
}

// TestCurl: curl downloads from a server of ours and uploads to it.
func TestCurl(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	l := testnet.Namespaces(t)
	for _, family := range families {
		t.Run(family.name, func(t *testing.T) {
			s := startHTTP(t, ours(l.Node), family.on(ours(l.Node)), (*httptest.Server).Start)
			url := fmt.Sprintf("%s/?size=%d", s.URL, programSize)
			curl := func(stdin io.Reader, args ...string) []byte {
				cmd := l.Kernel.Command("curl", append([]string{"--silent", "--show-error", "--fail", "--globoff", "--noproxy", "*", url}, args...)...)
				cmd.Stdin, cmd.Stderr = stdin, os.Stderr
				out, err := cmd.Output()
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			want, _, _ := digestOf(noise('d', programSize))
			if got, n, _ := digestOf(strings.NewReader(string(curl(nil)))); got != want {
				t.Errorf("curl downloaded %d bytes with digest %s, want %s", n, got, want)
			}
			want, _, _ = digestOf(noise('u', programSize))
			if got := curl(noise('u', programSize), "--data-binary", "@-"); string(got) != want {
				t.Errorf("curl's upload has digest %q, want %s", got, want)
			}
		})
	}
}

// download fetches a URL from our side and compares the digest.
func download(t *testing.T, n *testnet.Node, url, want string) {
	t.Helper()
	tr := &http.Transport{DialContext: n.Host.DialContext}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, size, err := digestOf(resp.Body)
	if err != nil || got != want || resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s, %d bytes, digest %s, %v; want %s", url, resp.Status, size, got, err, want)
	}
}

// noiseFile writes a file for a web server and returns its directory and digest. The server may run as another user.
func noiseFile(t *testing.T) (dir, digest string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "userstack-web-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	digest, _, err = digestOf(io.TeeReader(noise('f', programSize), f))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, digest
}

// TestPythonServer: our client downloads from Python's web server.
func TestPythonServer(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	l := testnet.Namespaces(t)
	dir, digest := noiseFile(t)
	serving := regexp.MustCompile(`Serving HTTP on .* port (\d+)`)
	for _, addr := range []netip.Addr{l.Kernel.Addr4, l.Kernel.Addr6} {
		m := startUntil(t, l.Kernel, serving, "python3", "-u", "-m", "http.server", "--bind", addr.String(), "--directory", dir, "0")
		download(t, l.Node, "http://"+net.JoinHostPort(addr.String(), m[1])+"/file", digest)
	}
}

// nginxConfig serves a directory; %[1]s is the directory, the rest the addresses to listen on.
const nginxConfig = `
user root; daemon off; master_process on; worker_processes 1; pid %[1]s/pid; error_log stderr notice;
events {}
http {
	access_log off; sendfile on; tcp_nopush on;
	client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
	server { listen %[2]s:80; listen [%[3]s]:80; root %[1]s; }
}`

// TestNginx: our client downloads from nginx, which sends with sendfile and corks.
func TestNginx(t *testing.T) {
	t.Parallel()
	need(t, "nginx")
	l := testnet.Namespaces(t)
	dir, digest := noiseFile(t)
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(nginxConfig, dir, l.Kernel.Addr4, l.Kernel.Addr6)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	startUntil(t, l.Kernel, regexp.MustCompile("start worker process "), "nginx", "-p", dir, "-e", "stderr", "-c", conf)
	for _, addr := range []netip.Addr{l.Kernel.Addr4, l.Kernel.Addr6} {
		download(t, l.Node, "http://"+net.JoinHostPort(addr.String(), "80")+"/file", digest)
	}
}

// iperfReport is the part of iperf3's JSON that says whether the run was good.
type iperfReport struct {
	Error string
	End   struct {
		SumReceived struct{ Bytes float64 } `json:"sum_received"`
	}
}

// TestIperf3 relays iperf3's connections through our stack, in and out again: client to us, and from us to the server.
func TestIperf3(t *testing.T) {
	t.Parallel()
	need(t, "iperf3")
	l := testnet.Namespaces(t)
	startUntil(t, l.Kernel, regexp.MustCompile("Server listening"), "iperf3", "--server", "--forceflush")
	const port = "5201" // iperf3's default
	for _, c := range []struct {
		near, far netip.Addr
		args      []string
	}{
		{l.Addr4, l.Kernel.Addr4, nil},
		{l.Addr6, l.Kernel.Addr6, []string{"--reverse", "--parallel", "4"}},
	} {
		t.Run(strings.Join(append([]string{c.near.String()}, c.args...), " "), func(t *testing.T) {
			ln, err := l.Host.Listen("tcp", net.JoinHostPort(c.near.String(), port))
			if err != nil {
				t.Fatal(err)
			}
			var relays sync.WaitGroup
			relays.Go(func() {
				for {
					in, err := ln.Accept()
					if err != nil {
						return
					}
					relays.Go(func() { relay(t.Context(), l.Node, in, net.JoinHostPort(c.far.String(), port)) })
				}
			})
			defer relays.Wait()
			defer ln.Close()
			args := []string{"--client", c.near.String(), "--bytes", fmt.Sprint(iperfSize), "--json"}
			out, err := l.Kernel.Command("iperf3", append(args, c.args...)...).Output()
			var report iperfReport
			if jsonErr := json.Unmarshal(out, &report); err != nil || jsonErr != nil || report.Error != "" {
				t.Fatalf("%v, %v, %q:\n%s", err, jsonErr, report.Error, out)
			}
			// The receiver stops counting when the sender is done, with some of it still in the relay.
			if report.End.SumReceived.Bytes < iperfSize/2 {
				t.Errorf("iperf3 received %.0f bytes of %d", report.End.SumReceived.Bytes, iperfSize)
			}
		})
	}
}

// relay copies both ways between a connection and another one that it makes.
func relay(ctx context.Context, n *testnet.Node, in net.Conn, to string) {
	defer in.Close()
	out, err := n.Host.DialContext(ctx, "tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	var back sync.WaitGroup
	back.Go(func() {
		io.Copy(in, out)
		in.(interface{ CloseWrite() error }).CloseWrite()
	})
	io.Copy(out, in)
	out.(interface{ CloseWrite() error }).CloseWrite()
	back.Wait()
}
