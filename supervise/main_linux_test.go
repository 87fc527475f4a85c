//go:build amd64 || arm64

package supervise_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/supervise"
)

// children are what this test binary does as the program under supervision, by
// the word behind childName. They print what they see, and tests compare that.
var children = map[string]func(args []string){}

// childName is the argv[0] that makes a process a child.
const childName = "supervise-test-child"

func TestMain(m *testing.M) {
	if os.Args[0] == childName {
		children[os.Args[1]](os.Args[2:])
		os.Exit(0)
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// hangGuard is when a program that should have ended is killed.
const hangGuard = 90 * time.Second

// child returns the command that runs a child on h.
func child(t testing.TB, h *sockets.Host, name string, args ...string) *supervise.Cmd {
	t.Helper()
	if children[name] == nil {
		t.Fatalf("there is no child %q", name)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := supervise.Command(h, self)
	cmd.Args = append([]string{childName, name}, args...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// says runs a child and returns what it printed, without the last newline. It
// fails the test if the child does not end well.
func says(t testing.TB, h *sockets.Host, name string, args ...string) string {
	t.Helper()
	cmd := child(t, h, name, args...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if os.Getenv("TRACE") != "" {
		cmd.Trace = func(e supervise.Event) { fmt.Fprintln(os.Stderr, e.TID, e.Call, e.Result, e.Errno, e.Took) }
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(hangGuard, func() { cmd.Process.Kill() })
	err := cmd.Wait()
	if guard.Stop(); err != nil {
		t.Fatalf("child %s: %v\n%s%s", name, err, out.Bytes(), log.Bytes())
	}
	return strings.TrimSuffix(out.String(), "\n")
}
