package netns_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/userstack/userstack/internal/needs"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/supervise/netns"
	"github.com/userstack/userstack/testnet"
	"github.com/userstack/userstack/tun"
)

// TestCmd checks that a Cmd is used as an exec.Cmd is.
func TestCmd(t *testing.T) {
	uplink, _ := newUplink(t)
	cmd := netns.Command(uplink, "sh", "-c", `read line; read extra <&3; echo "$0 $line $extra $VAR $(pwd) $(id -u)"; ls /proc/sys/net/ipv4/conf >&2; exit 7`, "zero")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	io.WriteString(w, "passed\n")
	w.Close()
	cmd.Dir, cmd.Env, cmd.ExtraFiles = "/", append(os.Environ(), "VAR=value"), []*os.File{r}
	cmd.Stdin = strings.NewReader("input\n")
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 7 {
		t.Errorf("%v, want exit status 7", err)
	}
	if got, want := stdout.String(), fmt.Sprintf("zero input passed value / %d\n", os.Geteuid()); got != want {
		t.Errorf("output %q, want %q", got, want)
	}
	if got, want := stderr.String(), "all\ndefault\nlo\ntun0\n"; got != want {
		t.Errorf("interfaces %q, want %q", got, want)
	}
	if got := cmd.String(); !strings.Contains(got, "sh -c") {
		t.Errorf("String: %q", got)
	}
}

// TestConnect fetches from the other end of the uplink, and serves to it.
func TestConnect(t *testing.T) {
	for _, far := range []string{"10.0.2.2:80", "[fd00::2]:80"} {
		uplink, host := newUplink(t)
		greet(t, host, far, "hello")
		if out, err := program(netns.Command(uplink, ""), "fetch", far).Output(); string(out) != "hello" || err != nil {
			t.Errorf("fetch %s: %q, %v", far, out, err)
		}
	}
	// The clients are far away, as those of a published port are.
	for _, near := range []string{"10.0.2.15:80", "[fd00::15]:80"} {
		uplink, host := newUplinkTo(t, "203.0.113.9/32", "2001:db8::9/128")
		cmd := program(netns.Command(uplink, ""), "serve", near)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		bufio.NewReader(out).ReadString('\n')
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		conn, err := host.DialContext(ctx, "tcp", near)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); string(got) != "hello, "+conn.LocalAddr().String() || err != nil {
			t.Errorf("from %s: %q, %v", near, got, err)
		}
		conn.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// TestRaw opens the sockets that the mode is for.
func TestRaw(t *testing.T) {
	uplink, _ := newUplink(t)
	if out, err := program(netns.Command(uplink, ""), "raw").CombinedOutput(); err != nil {
		t.Errorf("%s%v", out, err)
	}
}

// TestOrdinaryUser runs as nobody, who may or may not have /dev/net/tun.
func TestOrdinaryUser(t *testing.T) {
	if testnet.AsNobody(t) {
		return
	}
	if file, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0); errors.Is(err, syscall.EACCES) {
		if err := netns.Check(); !errors.Is(err, syscall.EACCES) || !strings.Contains(err.Error(), "chmod 0666 /dev/net/tun") {
			if err != nil && strings.Contains(err.Error(), "namespaces") {
				needs.Have(t, "netns", err)
			}
			t.Errorf("Check: %v, want EACCES and the remedy", err)
		}
		return
	} else if err == nil {
		file.Close()
	}
	t.Run("Cmd", TestCmd)
	t.Run("Connect", TestConnect)
	t.Run("Raw", TestRaw)
	t.Run("Files", TestFiles)
	t.Run("Capabilities", testCapabilities)
	t.Run("Root", func(t *testing.T) {
		uplink, _ := newUplink(t)
		cmd := netns.Command(uplink, "sh", "-c", "id -u; ip link set lo down")
		cmd.User = netns.Root
		if out, err := cmd.CombinedOutput(); string(out) != "0\n" || err != nil {
			t.Errorf("%q, %v", out, err)
		}
	})
}

// testCapabilities: a program that is not root has two capabilities, and those
// only in its namespace.
func testCapabilities(t *testing.T) {
	uplink, _ := newUplink(t)
	out, err := netns.Command(uplink, "grep", "^Cap[IPEA]", "/proc/self/status").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := ""
	for _, set := range []string{"Inh", "Prm", "Eff", "Amb"} {
		want += "Cap" + set + ":\t0000000000002400\n" // CAP_NET_BIND_SERVICE is 10 and CAP_NET_RAW 13
	}
	if string(out) != want {
		t.Errorf("%s, want\n%s", out, want)
	}
}

// TestFiles gives the program other contents of a file, and nobody else.
func TestFiles(t *testing.T) {
	uplink, _ := newUplink(t)
	dir := t.TempDir()
	file, symlink := dir+"/file", dir+"/symlink"
	if err := errors.Join(os.WriteFile(file, []byte("outside\n"), 0o644), os.Symlink("file", symlink)); err != nil {
		t.Fatal(err)
	}
	cmd := netns.Command(uplink, "cat", symlink, file, "/etc/passwd")
	cmd.Files = map[string][]byte{symlink: []byte("inside\n"), "/etc/passwd": nil}
	if out, err := cmd.Output(); string(out) != "inside\ninside\n" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
	if after, err := os.ReadFile(file); string(after) != "outside\n" || err != nil {
		t.Errorf("outside: %q, %v", after, err)
	}
}

// TestDaemon: a child that the program leaves behind keeps its network until it
// ends.
func TestDaemon(t *testing.T) {
	uplink, host := newUplink(t)
	l, err := host.Listen("tcp", "10.0.2.2:80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cmd := netns.Command(uplink, "sh", "-c", `"$0" 10.0.2.2:80 & echo started`, self(t))
	cmd.Env = append(os.Environ(), "USERSTACK_TEST_PROGRAM=echo", "GORACE=atexit_sleep_ms=0")
	r, w, err := os.Pipe() // a file: exec.Cmd.Wait does not wait for its end
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd.Stdout = w
	err = cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() { waited <- cmd.Wait() }()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(r).ReadString('\n'); line != "started\n" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	awaitEnd(t, cmd.Process.Pid)
	conn.SetDeadline(time.Now().Add(patience))
	for i := range 200 { // a network that ended with the program would not last
		if _, err := conn.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		var got [1]byte
		if _, err := io.ReadFull(conn, got[:]); got[0] != byte(i) || err != nil {
			t.Fatalf("after %d bytes: %v", i, err)
		}
	}
	select {
	case err := <-waited:
		t.Error("Wait returned while the daemon ran:", err)
	default:
	}
	conn.Close()
	if err := <-waited; err != nil {
		t.Error(err)
	}
}

// TestCancel ends the context of a program that has left a daemon behind.
func TestCancel(t *testing.T) {
	uplink, _ := newUplink(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := netns.CommandContext(ctx, uplink, "sh", "-c", `setsid sh -c 'trap "" HUP INT TERM; echo $$; while :; do sleep 1; done' </dev/null &`)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd.Stdout = w
	err = cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(r, &pid); err != nil {
		t.Fatal(err)
	}
	cancel()
	cmd.Wait()
	awaitEnd(t, pid)
}

// TestDrain: what a program has written arrives although it exits at once.
func TestDrain(t *testing.T) {
	const size = 3 << 20
	uplink, host := newUplink(t)
	l, err := host.Listen("tcp", "10.0.2.2:80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cmd := program(netns.Command(uplink, ""), "send", "10.0.2.2:80", fmt.Sprint(size))
	lost := errors.New("lost")
	cmd.Drain = func(context.Context) error { return lost }
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
	if err := <-waited; !errors.Is(err, lost) {
		t.Errorf("Wait: %v, want Drain's error", err)
	}
}

// TestConfig gives everything by hand.
func TestConfig(t *testing.T) {
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("ip(8) is missing: install iproute2")
	}
	uplink, _ := newUplink(t)
	cmd := netns.Command(uplink, "sh", "-c", "cut -f1-3 /proc/net/route | tail -n +2; ip -o -4 addr show vpn0 | tr -s ' ' | cut -d' ' -f4; cat /proc/sys/net/ipv6/conf/vpn0/mtu")
	cmd.Device, cmd.MTU = "vpn0", 1400
	cmd.Addrs = []netip.Prefix{netip.MustParsePrefix("192.0.2.7/31")}
	cmd.Routes = []tun.Route{{Dst: netip.MustParsePrefix("198.51.100.0/24")}}
	out, err := cmd.Output()
	want := "vpn0\t060200C0\t00000000\nvpn0\t006433C6\t00000000\n192.0.2.7/31\n1400\n"
	if string(out) != want || err != nil {
		t.Errorf("%q, %v; want %q", out, err, want)
	}
}

// TestStartErrors: each error is what exec.Cmd would say, or names the fault,
// and leaves nothing behind.
func TestStartErrors(t *testing.T) {
	require(t)
	text := t.TempDir() + "/text"
	if err := os.WriteFile(text, []byte("\x00\x01"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		path  string
		spoil func(cmd *netns.Cmd)
		want  error
	}{
		{"not in the path", "no-such-program", nil, exec.ErrNotFound},
		{"not there", "/no-such-program", nil, syscall.ENOENT},
		{"not a program", text, nil, syscall.ENOEXEC},
		{"a directory", "/etc", func(cmd *netns.Cmd) { cmd.Err = nil }, syscall.EACCES},
		{"no such file to replace", "true", func(cmd *netns.Cmd) { cmd.Files = map[string][]byte{"/etc/no-such-file": nil} }, syscall.ENOENT},
		{"a relative file", "true", func(cmd *netns.Cmd) { cmd.Files = map[string][]byte{"etc/hosts": nil} }, syscall.EINVAL},
		{"a bad name", "true", func(cmd *netns.Cmd) { cmd.Device = "a/b" }, syscall.EINVAL},
		{"a route that leads nowhere", "true", func(cmd *netns.Cmd) {
			cmd.Routes = []tun.Route{{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.1")}}
		}, syscall.ENETUNREACH},
		{"namespaces of its own", "true", func(cmd *netns.Cmd) {
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		}, syscall.EINVAL},
	} {
		uplink, far := link.NewPipe(link.PipeConfig{})
		far.Close()
		cmd := netns.Command(uplink, c.path)
		if c.spoil != nil {
			c.spoil(cmd)
		}
		if err := cmd.Start(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err := cmd.Wait(); err == nil {
			t.Errorf("%s: Wait succeeded", c.name)
		}
	}
	if err := netns.Command(nil, "true").Start(); !errors.Is(err, syscall.EINVAL) {
		t.Error("no uplink:", err)
	}
}

// TestKilled: when this process is killed, so is the program.
func TestKilled(t *testing.T) {
	if os.Getenv("USERSTACK_TEST_KILLED") != "" {
		uplink, _ := newUplink(t)
		cmd := netns.Command(uplink, "sh", "-c", "echo pid $$; exec sleep 1000")
		cmd.Stdout = os.Stdout
		t.Fatal(cmd.Run())
	}
	require(t)
	cmd := exec.Command(self(t), "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), "USERSTACK_TEST_KILLED=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanf(out, "pid %d\n", &pid); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	awaitEnd(t, pid)
}

// TestSignals finds that signals go to the program itself.
func TestSignals(t *testing.T) {
	uplink, _ := newUplink(t)
	cmd := netns.Command(uplink, "sh", "-c", `trap "exit 3" TERM; echo ready; while :; do sleep 0.05; done`)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err == nil {
		t.Error("it was started twice")
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("%v, want exit status 3", err)
	}
}

// TestUnreachable: there is no way but the uplink.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	uplink, _ := newUplink(t)
	out, err := program(netns.Command(uplink, ""), "fetch", l.Addr().String()).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "connection refused") {
		t.Errorf("the machine's loopback: %q, %v", out, err)
	}
}

// TestNoUserNamespaces runs where the kernel refuses them.
func TestNoUserNamespaces(t *testing.T) {
	if os.Getenv("USERSTACK_TEST_UNDER") != "" {
		if err := netns.Check(); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "sysctl -w user.max_user_namespaces") {
			t.Errorf("%v, want ENOSPC and the remedy", err)
		}
		return
	}
	require(t)
	// Without CAP_SYS_ADMIN, the user namespace's root is like an ordinary user.
	const script = `echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set -sys_admin "$@"`
	cmd := exec.Command("unshare", "-Ur", "sh", "-c", script, "sh", self(t), "-test.run=^TestNoUserNamespaces$", "-test.v")
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "USERSTACK_TEST_UNDER=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestNoUserNamespaces") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// BenchmarkTransfer has the kernel's TCP send to a userspace stack.
func BenchmarkTransfer(b *testing.B) {
	const size = 1 << 30
	b.SetBytes(size)
	for b.Loop() {
		uplink, host := newUplink(b)
		l, err := host.Listen("tcp", "10.0.2.2:80")
		if err != nil {
			b.Fatal(err)
		}
		cmd := program(netns.Command(uplink, ""), "send", "10.0.2.2:80", fmt.Sprint(size))
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		conn, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, conn); n != size || err != nil {
			b.Errorf("%d of %d bytes, %v", n, size, err)
		}
		conn.Close()
		l.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	}
}
