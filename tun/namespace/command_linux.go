package namespace

import (
	"fmt"
	"os/exec"
	"strconv"
)

// Command is exec.Command for a program that is to run in the namespace, as
// its root. The process is the program itself, so that everything about the
// exec.Cmd holds as usual. It takes nsenter(1). A program that still runs when
// the namespace is closed, and whatever it started, is killed.
func (n *Namespace) Command(name string, args ...string) *exec.Cmd {
	argv := []string{"-t", strconv.Itoa(n.pid), "-n"}
	if n.user {
		argv = append(argv, "-U", "--preserve-credentials")
	}
	path, err := exec.LookPath(name) // nsenter's complaint would come too late and as text
	cmd := exec.Command("nsenter", append(append(argv, "--", path), args...)...)
	switch {
	case err != nil:
		cmd.Err = err
	case cmd.Err != nil:
		cmd.Err = fmt.Errorf("namespace: running a program takes nsenter(1), of the package util-linux: %w", cmd.Err)
	}
	return cmd
}
