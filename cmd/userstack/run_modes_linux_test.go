package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestRunPrivileged: what a file would give whoever executes it is mentioned, and nothing else is.
func TestRunPrivileged(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, []byte("#!/bin/sh\necho ran\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	try(t, "run", "--net", "demo", file).expect(t, exitOK, "^ran\n$", "")
	if err := os.Chmod(file, 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	if what := privileges(file); what != "" {
		t.Errorf("a program of this user's own has %s", what)
	}
	other := 65534 // somebody else: usually nobody
	if os.Getuid() == other {
		other--
	}
	if os.Chown(file, other, -1) != nil || os.Chmod(file, 0o755|os.ModeSetuid) != nil { // for want of privileges
		if file = setuidProgram(); file == "" {
			t.Skip("needs a set-user-ID program such as su")
		}
	}
	if what := privileges(file); what != "the privileges of its owner (set-user-ID)" {
		t.Errorf("%s has %q", file, what)
	}
	p := program{path: file, args: []string{"it"}}
	if want := "it has the privileges of its owner (set-user-ID), which have no effect here: it runs as the user that you are"; p.warning(modeSeccomp) != want {
		t.Errorf("the warning is %q, want %q", p.warning(modeSeccomp), want)
	}
}

// TestRun32Bit: a program that will have no network is named, and no other.
func TestRun32Bit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, begins string
		mode         modeValue
		warns        bool
	}{
		{"old", "\x7fELF\x01\x01\x01", modeSeccomp, true},
		{"old", "\x7fELF\x01\x01\x01", modeNetns, false},
		{"new", "\x7fELF\x02\x01\x01", modeSeccomp, false},
		{"script", "#!/bin/sh\n", modeSeccomp, false},
		{"empty", "", modeSeccomp, false},
	} {
		file := filepath.Join(t.TempDir(), c.name)
		if err := os.WriteFile(file, []byte(c.begins), 0o755); err != nil {
			t.Fatal(err)
		}
		p := program{path: file, args: []string{c.name}}
		want := ""
		if c.warns {
			want = c.name + " is a 32-bit program and will have no network: --mode netns gives it one"
		}
		if got := p.warning(c.mode); got != want {
			t.Errorf("%q with --mode %v: the warning is %q, want %q", c.begins, &c.mode, got, want)
		}
	}
}

// setuidProgram returns a program of root's that runs as root, or "".
func setuidProgram() string {
	for _, name := range []string{"su", "passwd", "mount"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		info, err := os.Stat(path)
		if err == nil && info.Mode()&os.ModeSetuid != 0 && info.Sys().(*syscall.Stat_t).Uid == 0 {
			return path
		}
	}
	return ""
}

// TestRunModeNetns: in the other mode the program has the kernel's sockets, and the same network.
func TestRunModeNetns(t *testing.T) {
	t.Parallel()
	needProgram(t, "curl", "ip")
	needNamespace(t)
	const said = `^userstack: run: with --mode netns the program's TCP is the kernel's; this process carries its packets\n`
	for _, c := range []struct {
		args   string
		code   int
		stdout string
		stderr string
	}{
		{"curl -sS http://www.demo.test/", 0, `^Hello from .*You are (10\.78\.0\.2|\[fd78::2\])`, said + "$"},
		{"--addr 10.78.0.7/24 curl -sS http://10.78.0.1/", 0, `You are 10\.78\.0\.7:`, said + "$"},
		{"--stats ip -o addr show tun0", 0, `10\.78\.0\.2/24`, said + `packets: \d+ out \d+ in, `},
		{"sh -c exit\t7", 7, "", said + "$"},
		{"nosuchprogram", 127, "", `not found`},
		{"--trace true", 2, "", `--trace is for --mode seccomp`},
		{"--isolate auto true", 2, "", `--isolate is for --mode seccomp`},
		{"--dns tcp://10.78.0.1 true", 2, "", `--dns tcp://10.78.0.1:53 cannot be`},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			args := []string{"run", "--net", "demo", "--mode", "netns"}
			for _, a := range strings.Split(c.args, " ") {
				args = append(args, strings.ReplaceAll(a, "\t", " "))
			}
			try(t, args...).expect(t, c.code, c.stdout, c.stderr)
		})
	}
	try(t, "run", "--mode", "vm", "true").expect(t, exitUsage, "", "not one of seccomp, netns")
}

// TestRunHostLoopback: the machine's own servers are reached with --host-loopback, and not without.
func TestRunHostLoopback(t *testing.T) {
	t.Parallel()
	needProgram(t, "curl")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("outside\n"))
	}))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	url := "http://10.0.2.2:" + port
	try(t, "run", "--host-loopback", "--", "curl", "-sS", url).expect(t, exitOK, "^outside\n$", "")
	try(t, "run", "--", "curl", "-sS", url).expect(t, 7, "", "refused|denied|unreachable|No route|(?i)connect") // curl's "failed to connect"
	try(t, "run", "--net", "demo", "--host-loopback", "true").expect(t, exitUsage, "", "--host-loopback is for --net host")
}
