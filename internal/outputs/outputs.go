// Package outputs collects what programs print, for commands that embed an
// exec.Cmd and run it in a way of their own: exec.Cmd's methods would run it in
// the ordinary way.
package outputs

import (
	"bytes"
	"errors"
	"os/exec"
)

// Stdout is exec.Cmd.Output with run in the place of Run. Errors of its own begin
// with the name of the package.
func Stdout(pkg string, cmd *exec.Cmd, run func() error) ([]byte, error) {
	if cmd.Stdout != nil {
		return nil, errors.New(pkg + ": Stdout already set")
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout = &stdout
	keep := cmd.Stderr == nil
	if keep {
		cmd.Stderr = &stderr
	}
	err := run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && keep {
		exit.Stderr = stderr.Bytes()
	}
	return stdout.Bytes(), err
}

// Combined is exec.Cmd.CombinedOutput, as Stdout is Output.
func Combined(pkg string, cmd *exec.Cmd, run func() error) ([]byte, error) {
	if cmd.Stdout != nil || cmd.Stderr != nil {
		return nil, errors.New(pkg + ": Stdout or Stderr already set")
	}
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	err := run()
	return both.Bytes(), err
}
