package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/userstack/userstack/tun/namespace"
)

// examplesElsewhere are examples that end only when a peer comes, or take minutes: the tests that run them, or what is like
// them.
var examplesElsewhere = map[string]string{
	"userstack bench --rounds 1":                                            "TestBench",
	"userstack bench --load bulk,rtt --wire tun,veth":                       "TestBench",
	"userstack bench --json bench.json --svg bench.svg":                     "TestBench",
	"userstack bench --load udp --append bench.json":                        "TestBench",
	"userstack bench --from bench.json --markdown":                          "TestBench",
	"userstack bench --explain --impair delay=20ms,rate=50M":                "TestBenchExplain",
	"userstack nc --link tun:us0 --addr 10.9.0.2/24 -l 8080":                "TestNetcatListens",
	"userstack run --publish 127.0.0.1:8080:8000 -- python3 -m http.server": "TestRunServes",
	"sudo userstack nc --link tun:us0 --addr 10.9.0.2/24 -l 8080":           "TestNetcatListens",
}

// TestExamples runs every example of every manual, as a reader would type it.
func TestExamples(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("needs a shell: ", err)
	}
	for _, cmd := range documented(newRoot()) {
		for line := range strings.Lines(cmd.Example) {
			line = strings.TrimSpace(line)
			if line == "" || examplesElsewhere[line] != "" {
				continue
			}
			t.Run(line, func(t *testing.T) {
				t.Parallel()
				example(t, sh, line)
			})
		}
	}
}

func example(t *testing.T, sh, line string) {
	if strings.Contains(line, "man -l") {
		if _, err := exec.LookPath("man"); err != nil {
			t.Skip("needs man: ", err)
		}
	}
	if strings.Contains(line, "curl") {
		if _, err := exec.LookPath("curl"); err != nil {
			t.Skip("needs curl: ", err)
		}
	}
	prepared := userstack(t) // its environment
	cmd := exec.CommandContext(t.Context(), sh, "-ec", line)
	if root, ok := strings.CutPrefix(line, "sudo "); ok { // root of a namespace will do
		needNamespace(t)
		ns, err := namespace.New(namespace.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer ns.Close()
		cmd = ns.Command(sh, "-ec", root)
	} else if strings.Contains(line, "netns") {
		needNamespace(t)
	}
	cmd.Dir = t.TempDir()
	cmd.Env = append(prepared.Env, "PATH="+bin(t)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	r := output(t, cmd, "")
	if r.code != exitOK {
		t.Errorf("exit status %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// bin returns a directory for PATH that has the command as "userstack".
func bin(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "userstack")); err != nil {
		t.Fatal(err)
	}
	return dir
}
