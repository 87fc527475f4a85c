package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// needProgram skips the test where a program is not installed.
func needProgram(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("needs %s, which is not installed", name)
		}
	}
}

// TestRunStatus: the exit status is the program's, and that of a program that never ran is a shell's.
func TestRunStatus(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	noExec, noFormat := filepath.Join(dir, "noexec"), filepath.Join(dir, "noformat")
	for file, mode := range map[string]os.FileMode{noExec: 0o644, noFormat: 0o755} {
		if err := os.WriteFile(file, []byte("true\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"true"}, 0, ""},
		{[]string{"--", "sh", "-c", "exit 7"}, 7, ""},
		{[]string{"sh", "-c", "exit 255"}, 255, ""},
		{[]string{"sh", "-c", "kill -KILL $$"}, 137, ""},
		{[]string{"sh", "-c", "kill -SEGV $$"}, 139, ""},
		{[]string{"nosuchprogram"}, 127, `^userstack: run: nosuchprogram: not found: .*\n$`},
		{[]string{"./nosuchprogram"}, 127, `^userstack: run: \./nosuchprogram: no such file or directory\n$`},
		{[]string{noExec}, 126, `^userstack: run: .*/noexec: permission denied\n$`},
		{[]string{dir}, 126, `^userstack: run: .*: (permission denied|is a directory)\n$`},
		{[]string{noFormat}, 126, `^userstack: run: .*/noformat: exec format error: neither a program .*\n$`},
		{nil, exitUsage, `^userstack: run: needs a program to run\n`},
		{[]string{"--net", "nosuch", "true"}, exitUsage, `there is no link "nosuch"; there are demo`},
		{[]string{"--link", "demo", "true"}, exitUsage, `--net and --link are two names of one thing`},
		{[]string{"--env", "=x", "true"}, exitUsage, `is not NAME=VALUE`},
		{[]string{"--nosuchflag", "true"}, exitUsage, `unknown flag: --nosuchflag`},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			t.Parallel()
			try(t, append([]string{"run", "--net", "demo"}, c.args...)...).expect(t, c.code, "", c.stderr)
		})
	}
}

// TestRunSockets: a program's connections are the stack's.
func TestRunSockets(t *testing.T) {
	t.Parallel()
	needProgram(t, "python3")
	const fetch = `import urllib.request as u; print(u.urlopen("http://%s/").read().decode(), end="")`
	for _, at := range []string{"10.78.0.1", "[fd78::1]"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			try(t, "run", "--net", "demo", "--", "python3", "-c", strings.Replace(fetch, "%s", at, 1)).
				expect(t, exitOK, `^Hello from a second userspace stack in the same process\.\nYou are (10\.78\.0\.2|\[fd78::2\]):`, "")
		})
	}
}

// TestRunPackets: --pcap has the program's packets, and --impair treats them badly.
func TestRunPackets(t *testing.T) {
	t.Parallel()
	needProgram(t, "curl")
	file := filepath.Join(t.TempDir(), "packets.pcapng")
	try(t, "run", "--net", "demo", "--pcap", file, "--impair", "loss=10%,seed=3", "--stats", "--", "curl", "-sS", "-o", "/dev/null", "http://10.78.0.1/bytes/200000").
		expect(t, exitOK, "", `bytes: 20\d{4} in, \d+ out\n`)
	packets, err := os.ReadFile(file)
	if err != nil || len(packets) < 200000 || !bytes.Contains(packets, []byte("GET /bytes/200000")) {
		t.Errorf("%v: %d bytes of packets, without the request among them", err, len(packets))
	}
}

// TestRunBesideChildren: what run itself has started is not taken for the program's.
func TestRunBesideChildren(t *testing.T) {
	t.Parallel()
	needProgram(t, "curl", "setsid")
	needNamespace(t)
	try(t, "run", "--net", "netns", "sh", "-c", "setsid sleep 0.1 & curl -sS http://www.demo.test/").
		expect(t, exitOK, "^Hello from the Linux kernel", "")
}

// TestRunEnvironment: the program has our environment, with what --env adds.
func TestRunEnvironment(t *testing.T) {
	t.Parallel()
	cmd := userstack(t, "run", "--net", "demo", "--env", "A=1 2", "--env", "B=", "sh", "-c", `echo "$A,$B,$C,${HOME+home}"`)
	cmd.Env = append(cmd.Env, "A=0", "C=3", "HOME=/")
	output(t, cmd, "").expect(t, exitOK, "^1 2,,3,home\n$", "")
}

// TestRunDescriptors: every byte of standard input and output is the program's, and so are descriptors beyond them.
func TestRunDescriptors(t *testing.T) {
	t.Parallel()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	binary := strings.Repeat(string(all), 4096)
	r := output(t, userstack(t, "run", "--net", "demo", "cat"), binary)
	if r.code != exitOK || r.stdout != binary || r.stderr != "" {
		t.Errorf("exit status %d, %d bytes came of %d\n%s", r.code, len(r.stdout), len(binary), r.stderr)
	}
	inherited, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer inherited.Close()
	cmd := userstack(t, "run", "--net", "demo", "sh", "-c", `for n in 3 4 5 6; do [ -e /proc/self/fd/$n ] && readlink /proc/self/fd/$n; done; true`)
	cmd.ExtraFiles = []*os.File{nil, inherited}
	output(t, cmd, "").expect(t, exitOK, "^/dev/null\n$", "")
}

// TestRunNested: a program that is run cannot run another, and hears why.
func TestRunNested(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	try(t, "run", "--net", "demo", self, "run", "--net", "demo", "true").
		expect(t, exitFailure, "", `^userstack: run: .* runs under a seccomp supervisor already.*\n$`)
}

// TestRunTrace: --trace writes a line for each call, and --stats a table.
func TestRunTrace(t *testing.T) {
	t.Parallel()
	needProgram(t, "python3")
	connect := []string{"--", "python3", "-c", `import socket; socket.create_connection(("10.78.0.1", 80)).close()`}
	const line = `\d+ connect\(3, \{AF_INET, 10\.78\.0\.1:80\}\) = 0 <[\d.]+(µs|ms|s)>\n`
	try(t, append([]string{"run", "--net", "demo", "--trace"}, connect...)...).expect(t, exitOK, "", line)

	file := filepath.Join(t.TempDir(), "trace")
	try(t, append([]string{"run", "--net", "demo", "--stats", "--trace=" + file}, connect...)...).
		expect(t, exitOK, "", `^ +calls +errors +p50 +p99  name\n.* +1 +0 +\S+ +\S+  connect\n.*sockets: 1 opened, 1 at most.*TCP: 1 connections made, 0 accepted`)
	text, err := os.ReadFile(file)
	if err != nil || !regexp.MustCompile(line).Match(text) {
		t.Errorf("%v: no line of connect in\n%s", err, text)
	}
	try(t, "run", "--net", "demo", "--trace="+file+"/x", "true").expect(t, exitFailure, "", `^userstack: run: --trace: open .*: not a directory\n$`)
}
