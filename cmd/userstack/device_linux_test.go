package main

import (
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/namespace"
)

// kernel is a namespace with the demo's servers on its kernel, and no device yet.
type kernel struct {
	ns     *namespace.Namespace
	cacert string // file with the certificate of the web server
}

func newKernel(t *testing.T) *kernel {
	t.Helper()
	needNamespace(t)
	ns, err := namespace.New(namespace.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	s, err := serve(place{name: "a kernel", listen: ns.Listen, listenPacket: ns.ListenPacket, dial: ns.Dial})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	k := &kernel{ns: ns, cacert: filepath.Join(t.TempDir(), "ca.pem")}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.cert.Raw})
	if err := os.WriteFile(k.cacert, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

// userstack prepares the command inside the namespace, where it is root.
func (k *kernel) userstack(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	plain := userstack(t, args...)
	cmd := k.ns.Command(plain.Args[0], plain.Args[1:]...)
	cmd.Env = plain.Env
	return cmd
}

// sh runs a shell command inside the namespace.
func (k *kernel) sh(t *testing.T, script string) {
	t.Helper()
	if out, err := k.ns.Command("sh", "-ec", script).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

// TestDeviceCreated: a device that is not there is made, and both sides get addresses.
func TestDeviceCreated(t *testing.T) {
	t.Parallel()
	for _, link := range []string{"tun:us0", "tap:us0"} {
		t.Run(link, func(t *testing.T) {
			t.Parallel()
			k := newKernel(t)
			common := []string{"--link", link, "--dns", "10.78.0.1", "--cacert", k.cacert}
			output(t, k.userstack(t, append([]string{"fetch", "https://www.demo.test/"}, common...)...), "").
				expect(t, exitOK, `You are 10\.78\.0\.2:.*HTTP/2\.0`, "")
			output(t, k.userstack(t, append([]string{"fetch", "-6", "https://www.demo.test/"}, common...)...), "").
				expect(t, exitOK, `You are \[fd78::2\]:`, "")
			output(t, k.userstack(t, "fetch", "https://10.78.0.1/", "--link", link), "").
				expect(t, exitFailure, "", `certificate signed by unknown authority; trust its certificate with --cacert FILE`)
			output(t, k.userstack(t, "fetch", "-k", "https://10.78.0.1/", "--link", link), "").expect(t, exitOK, "Hello", "")
			output(t, k.userstack(t, "fetch", "http://www.demo.test/", "--link", link), "").
				expect(t, exitFailure, "", `no DNS servers configured; name a server with --dns`)
			output(t, k.userstack(t, "fetch", "--link", link, "--addr", "10.9.0.1/30", "http://10.9.0.2/"), "").
				expect(t, exitOK, `You are 10\.9\.0\.1:`, "")
			output(t, k.userstack(t, "fetch", "--link", link, "--addr", "10.9.0.7/24", "--gateway", "10.9.0.77", "http://10.9.0.77/"), "").
				expect(t, exitOK, `You are 10\.9\.0\.7:`, "")
			output(t, k.userstack(t, "ping", "-c", "2", "-i", "0.02", "--link", link, "--mtu", "9000", "-s", "8000", "10.78.0.1"), "").
				expect(t, exitOK, `2 received`, "")
		})
	}
}

// TestDevicePrepared: a device that somebody has set up is used as it is, and stays.
func TestDevicePrepared(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip of iproute2: ", err)
	}
	for _, mode := range []string{"tun", "tap"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			k := newKernel(t)
			k.sh(t, "ip tuntap add us0 mode "+mode+"; ip addr add 10.7.0.9/24 dev us0; ip addr add fd07::9/64 dev us0 nodad; ip link set us0 up mtu 1400")
			output(t, k.userstack(t, "fetch", "--link", mode+":us0", "http://10.7.0.9/"), "").expect(t, exitOK, `You are 10\.7\.0\.1:`, "")
			output(t, k.userstack(t, "fetch", "--link", mode+":us0", "http://[fd07::9]/"), "").expect(t, exitOK, `You are \[fd07::1\]:`, "")
			// Another address of the kernel's is reached by way of the one on the device.
			k.sh(t, "ip addr add 192.0.2.1/32 dev lo")
			output(t, k.userstack(t, "fetch", "--link", mode+":us0", "http://192.0.2.1/"), "").expect(t, exitOK, `you asked 192\.0\.2\.1:80`, "")
			k.sh(t, "ip link show us0")
			output(t, k.userstack(t, "fetch", "--link", map[string]string{"tun": "tap", "tap": "tun"}[mode]+":us0", "http://10.7.0.9/"), "").
				expect(t, exitFailure, "", `us0.*(choose another name|not such a device|exists)`)
		})
	}
}

func init() { inherit = inheritDevice }

func inheritDevice() error {
	cfg := tun.Config{Name: "us0", Addrs: farAddrs}
	if os.Getenv(inheriting) == "tap" {
		cfg.Mode = tun.TAP
	}
	dev, err := tun.Open(cfg)
	if err != nil {
		return err
	}
	conn, err := dev.(interface {
		SyscallConn(queue int) (syscall.RawConn, error)
	}).SyscallConn(0)
	if err != nil {
		return err
	}
	const given = 3
	var dupErr error
	if err := conn.Control(func(fd uintptr) {
		if dupErr = unix.Dup3(int(fd), given, 0); errors.Is(dupErr, unix.EINVAL) { // it is that descriptor already
			_, dupErr = unix.FcntlInt(fd, unix.F_SETFD, 0)
		}
	}); err != nil || dupErr != nil {
		return errors.Join(err, dupErr)
	}
	os.Unsetenv(inheriting)
	os.Setenv(asCommand, "1")
	return syscall.Exec("/proc/self/exe", os.Args, os.Environ())
}

func TestDeviceInherited(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ mode, link string }{{"tun", "fd:3"}, {"tap", "fd:3,tap"}} {
		t.Run(c.mode, func(t *testing.T) {
			t.Parallel()
			k := newKernel(t)
			run := func(args ...string) result {
				cmd := k.userstack(t, append(args, "--link", c.link)...)
				cmd.Env = append(os.Environ(), inheriting+"="+c.mode)
				return output(t, cmd, "")
			}
			run("fetch", "--addr", "10.78.0.2/24", "--dns", "10.78.0.1", "http://ipv4.demo.test/").
				expect(t, exitOK, `You are 10\.78\.0\.2:`, "")
			run("fetch", "http://10.78.0.1/").expect(t, exitUsage, "", `no address: give it one with --addr`)
		})
	}
	try(t, "fetch", "--link", "fd:0", "--addr", "10.78.0.2/24", "http://10.78.0.1/").
		expect(t, exitFailure, "", `--link fd:0: .*not one of /dev/net/tun`)
}

// TestNetcatListens: the kernel connects to us.
func TestNetcatListens(t *testing.T) {
	t.Parallel()
	k := newKernel(t)
	r := start(t, k.userstack(t, strings.Fields("nc -v -N --link tun:us0 --addr 10.9.0.2/24 -l 8080")...), strings.NewReader("from us"))
	r.await(t, `listening on .*8080`)
	c, err := k.ns.Dial(t.Context(), "tcp", "10.9.0.2:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "from the kernel"); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil || string(got) != "from us" {
		t.Errorf("the kernel received %q, %v", got, err)
	}
	r.end(t).expect(t, exitOK, "^from the kernel$", `connection from 10\.9\.0\.1:\d+\n$`)
}

// TestNetcatLingers: what was sent arrives, though the peer has nothing more to say and nc ends with its input.
func TestNetcatLingers(t *testing.T) {
	t.Parallel()
	k := newKernel(t)
	want, _ := io.ReadAll(pattern(2_000_000))
	r := start(t, k.userstack(t, strings.Fields("nc -v --link tun:us0 --impair delay=20ms -l 8080")...), strings.NewReader(string(want)))
	r.await(t, `listening on`)
	c, err := k.ns.Dial(t.Context(), "tcp", "10.78.0.2:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(commandPatience)); err != nil { // a stack that is gone resets nothing
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err != nil || string(got) != string(want) {
		t.Errorf("the kernel received %d bytes of %d, %v", len(got), len(want), err)
	}
	r.end(t).expect(t, exitOK, "", `connection from`)
}

// TestNetcatKeeps: with -k one peer comes after the other, and standard input goes to whoever is there.
func TestNetcatKeeps(t *testing.T) {
	t.Parallel()
	k := newKernel(t)
	stdin, write := io.Pipe()
	defer write.Close()
	r := start(t, k.userstack(t, "nc", "-v", "-k", "--link", "tun:us0", "-l", "10.78.0.2", "8080"), stdin)
	r.await(t, `listening on 10\.78\.0\.2:8080`)
	for _, text := range []string{"one", "two"} {
		c, err := k.ns.Dial(t.Context(), "tcp", "10.78.0.2:8080")
		if err != nil {
			t.Fatal(err)
		}
		r.await(t, "connection from")
		io.WriteString(write, "hello "+text)
		buf := make([]byte, len("hello ")+len(text))
		if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "hello "+text {
			t.Fatalf("received %q, %v", buf, err)
		}
		io.WriteString(c, text+"\n")
		c.Close()
	}
	c, err := k.ns.Dial(t.Context(), "tcp", "10.78.0.2:8080") // the third finds that the second is done
	if err != nil {
		t.Fatal(err)
	}
	r.await(t, "connection from")
	c.Close()
	r.cmd.Process.Signal(os.Interrupt)
	write.Close()
	r.end(t).expect(t, exitSignal+int(syscall.SIGINT), "^one\ntwo\n$", "listening")
}

func TestNetcatListensUDP(t *testing.T) {
	t.Parallel()
	k := newKernel(t)
	r := start(t, k.userstack(t, "nc", "-v", "-u", "-w", "0.5", "--link", "tun:us0", "-l", "8080"), strings.NewReader("from us"))
	r.await(t, `listening on \[::\]:8080`)
	c, err := k.ns.Dial(t.Context(), "udp", netip.AddrPortFrom(ourAddrs[0].Addr(), 8080).String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "from the kernel")
	buf := make([]byte, 100)
	n, err := c.Read(buf)
	if err != nil || string(buf[:n]) != "from us" {
		t.Errorf("the kernel received %q, %v", buf[:n], err)
	}
	r.end(t).expect(t, exitOK, "^from the kernel$", `datagram from .*10\.78\.0\.1`)
}

// Programs that people run serve us too.
func TestRealServers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "page.txt"), []byte("a real page\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	nginxConf := filepath.Join(dir, "nginx.conf")
	conf := "user root root; daemon off; master_process off; pid " + dir + "/pid; error_log stderr notice; events {}\n" +
		"http { access_log off; client_body_temp_path " + dir + "/b; proxy_temp_path " + dir + "/p; fastcgi_temp_path " + dir +
		"/f; uwsgi_temp_path " + dir + "/u; scgi_temp_path " + dir + "/s; server { listen 8000; root " + dir + "; } }\n"
	if err := os.WriteFile(nginxConf, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, server := range []struct {
		program string
		args    []string
		ready   string
	}{
		{"python3", []string{"-u", "-c", "import functools, http.server as h, sys; " +
			"s = h.ThreadingHTTPServer(('', 8000), functools.partial(h.SimpleHTTPRequestHandler, directory='" + dir + "')); " +
			"print('ready', file=sys.stderr, flush=True); s.serve_forever()"}, "ready"},
		{"nginx", []string{"-e", "stderr", "-c", nginxConf}, "getrlimit"},
	} {
		t.Run(server.program, func(t *testing.T) {
			t.Parallel()
			path, err := exec.LookPath(server.program)
			if err != nil {
				t.Skipf("needs %s: %v", server.program, err)
			}
			k := newKernel(t)
			r := start(t, k.ns.Command(path, server.args...), nil)
			r.await(t, server.ready)
			go io.Copy(io.Discard, r.stderr) // ends with the program
			output(t, k.userstack(t, "fetch", "-i", "--link", "tun:us0", "http://10.78.0.1:8000/page.txt"), "").
				expect(t, exitOK, "200 OK\r\n.*\r\n\r\na real page\n$", "")
		})
	}
}
