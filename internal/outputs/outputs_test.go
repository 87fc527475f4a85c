package outputs_test

import (
	"errors"
	"os/exec"
	"testing"

	"github.com/userstack/userstack/internal/outputs"
)

func TestLikeExec(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("needs a shell: ", err)
	}
	const script = "echo out; echo err >&2; exit 3"
	sh := func() *exec.Cmd { return exec.Command("sh", "-c", script) }
	for name, of := range map[string][2]func(*exec.Cmd) ([]byte, error){
		"Stdout": {
			(*exec.Cmd).Output,
			func(c *exec.Cmd) ([]byte, error) { return outputs.Stdout("test", c, c.Run) },
		},
		"Combined": {
			(*exec.Cmd).CombinedOutput,
			func(c *exec.Cmd) ([]byte, error) { return outputs.Combined("test", c, c.Run) },
		},
	} {
		want, wantErr := of[0](sh())
		got, err := of[1](sh())
		if string(got) != string(want) || stderr(err) != stderr(wantErr) {
			t.Errorf("%s: %q, %v with %q; package exec has %q, %v with %q", name, got, err, stderr(err), want, wantErr, stderr(wantErr))
		}
		busy := sh()
		busy.Stdout = t.Output()
		if _, err := of[1](busy); err == nil {
			t.Errorf("%s takes a Cmd whose Stdout is set", name)
		}
	}
}

// stderr is what an error has of standard error, or that it is no exit.
func stderr(err error) string {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.String() + " " + string(exit.Stderr)
	}
	return "no exit"
}
