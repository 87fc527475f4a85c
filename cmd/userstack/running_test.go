package main

import (
	"bufio"
	"bytes"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// running is a command that goes on until a signal or a peer ends it.
type running struct {
	cmd    *exec.Cmd
	stdout bytes.Buffer
	stderr *bufio.Reader
	said   strings.Builder // what await has read of stderr
}

func start(t *testing.T, cmd *exec.Cmd, stdin io.Reader) *running {
	t.Helper()
	r := &running{cmd: cmd}
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.stderr, cmd.Stdout, cmd.Stdin = bufio.NewReader(pipe), &r.stdout, stdin
	begin(t, cmd)
	return r
}

// await reads standard error until a line matches.
func (r *running) await(t *testing.T, pattern string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for {
		line, err := r.stderr.ReadString('\n')
		r.said.WriteString(line)
		if re.MatchString(line) {
			return
		}
		if err != nil {
			t.Fatalf("%v before %q was said:\n%s", err, pattern, r.said.String())
		}
	}
}

// end waits for the command and returns what it did.
func (r *running) end(t *testing.T) result {
	t.Helper()
	rest, _ := io.ReadAll(r.stderr)
	err := r.cmd.Wait()
	if _, ok := err.(*exec.ExitError); err != nil && !ok {
		t.Fatal(err)
	}
	return result{r.cmd.ProcessState.ExitCode(), r.stdout.String(), r.said.String() + string(rest)}
}
