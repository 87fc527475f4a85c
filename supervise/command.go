package supervise

import (
	"context"
	"os/exec"
	"syscall"
	"time"

	"github.com/userstack/userstack/internal/outputs"
	"github.com/userstack/userstack/stack/sockets"
)

// A Cmd is a program to run, or running, with the sockets of a Host. It is used
// as an exec.Cmd is, once, and has that one's fields and methods.
type Cmd struct {
	*exec.Cmd

	// Isolation says whether the program also gets a network namespace with
	// nothing in it, so that what does not go through the Host goes nowhere. An
	// ordinary user's program then finds no owner of files but that user: what
	// belongs to others, root included, seems to belong to nobody (65534).
	Isolation Isolation

	// Files are contents that the program and its children find in place of the
	// machine's, by absolute path, where the kernel lets this user make
	// namespaces. A file that does not exist cannot be replaced. With
	// IsolateRequire it is an error if a file is not, otherwise Isolated tells.
	Files map[string][]byte

	// Trace is called for each call that was answered, from several goroutines
	// at once, and must not block. Nil traces nothing.
	Trace func(Event)

	// Adopt makes this process the parent of what the program leaves running,
	// as servers do that go into the background (PR_SET_CHILD_SUBREAPER): where
	// Yama's ptrace_scope is 1 they cannot be served otherwise. It is for a
	// process that starts nothing else meanwhile, since the children that it gets
	// after Start are reaped.
	Adopt bool

	host *sockets.Host
	run  *supervisor // once started
	lack error       // see Isolated
}

// Isolation is whether a program lives in an empty network namespace.
type Isolation int

// What Cmd.Isolation can be.
const (
	IsolateOff     Isolation = iota // no: it shares this process's
	IsolateAuto                     // where the kernel lets this user make user namespaces
	IsolateRequire                  // yes, or Start fails
)

// An Event is a call that a program made and that this process answered.
type Event struct {
	PID, TID int           // process and thread
	Call     string        // as strace(1) writes it: "connect(3, 192.0.2.1:80)"
	Result   int64         // what the call returned, if Errno is 0
	Errno    syscall.Errno // why it failed, or 0
	Start    time.Time
	Took     time.Duration // from our hearing of the call to the answer
}

// Command returns the Cmd that runs the named program on the network of host,
// as exec.Command does for the kernel's. The Host must stay open until Wait has
// returned.
func Command(host *sockets.Host, name string, arg ...string) *Cmd {
	return &Cmd{Cmd: exec.Command(name, arg...), host: host}
}

// CommandContext is Command for a program that is killed when ctx is done. What
// the program has started by then goes on, and Wait waits for it.
func CommandContext(ctx context.Context, host *sockets.Host, name string, arg ...string) *Cmd {
	return &Cmd{Cmd: exec.CommandContext(ctx, name, arg...), host: host}
}

// Run starts the program and waits for its end, as exec.Cmd.Run.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output runs the program and returns what it wrote to its standard output, as
// exec.Cmd.Output.
func (c *Cmd) Output() ([]byte, error) { return outputs.Stdout("supervise", c.Cmd, c.Run) }

// CombinedOutput runs the program and returns what it wrote to its standard
// output and standard error, as exec.Cmd.CombinedOutput.
func (c *Cmd) CombinedOutput() ([]byte, error) { return outputs.Combined("supervise", c.Cmd, c.Run) }
