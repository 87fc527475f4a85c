package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
)

// Exit statuses of run for a program that never ran, as a shell has them (POSIX, "Exit Status for Commands").
const (
	exitCannotExecute = 126
	exitNotFound      = 127
)

// exitStatus ends this process with the status of another, without a message.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// cannotRun is an error about a program that never ran, and the exit status that says so.
type cannotRun struct {
	error
	status int
}

func (c cannotRun) Unwrap() error { return c.error }

// A program is a file to execute and its arguments.
type program struct {
	path string
	args []string // the first is the name that the user typed
}

// findProgram looks a program up as a shell does.
func findProgram(args []string) (*program, error) {
	path, err := exec.LookPath(args[0])
	if err != nil && !errors.Is(err, exec.ErrDot) { // who has "." in PATH wants it
		return nil, notRunnable(args[0], err)
	}
	return &program{path: path, args: args}, nil
}

// notRunnable says why a program did not run.
func notRunnable(name string, err error) error {
	if e, ok := errors.AsType[*exec.Error](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		err = errno
	}
	status := exitCannotExecute
	switch {
	case errors.Is(err, exec.ErrNotFound):
		status, err = exitNotFound, errors.New("not found: no directory of PATH has such a program")
	case errors.Is(err, fs.ErrNotExist):
		status = exitNotFound
	case errors.Is(err, syscall.ENOEXEC):
		err = fmt.Errorf("%w: neither a program for this machine nor a script with \"#!\"", err)
	}
	return cannotRun{fmt.Errorf("%s: %w", name, err), status}
}

// prepare makes cmd the program. It has what this process was given: descriptors, environment, directory.
func (p *program) prepare(cmd *exec.Cmd, env []string) {
	cmd.Args, cmd.Err = p.args, nil
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = inherited()
	cmd.Env = append(cmd.Environ(), env...)
}

// warning says what a program will not have here: what it may do beyond its user, or a network at all.
func (p *program) warning(mode modeValue) string {
	if what := privileges(p.path); what != "" {
		return fmt.Sprintf("%s has %s, which have no effect here: it runs as the user that you are", p.args[0], what)
	}
	if mode == modeSeccomp && is32Bit(p.path) {
		return p.args[0] + " is a 32-bit program and will have no network: --mode netns gives it one"
	}
	return ""
}

// is32Bit reports whether a file is a program for 32-bit machines (elf(5)).
func is32Bit(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false // one may execute what one may not read
	}
	defer file.Close()
	var ident [elf.EI_CLASS + 1]byte
	_, err = io.ReadFull(file, ident[:])
	return err == nil && string(ident[:len(elf.ELFMAG)]) == elf.ELFMAG && elf.Class(ident[elf.EI_CLASS]) == elf.ELFCLASS32
}

// status makes the exit status of this process of the program's end.
func (p *program) status(err error, state *os.ProcessState) error {
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		return err
	}
	if code := codeOf(state); code != exitOK {
		return exitStatus(code)
	}
	return nil
}

// codeOf is the exit status that a shell gives a process.
func codeOf(state *os.ProcessState) int {
	if w, ok := state.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return exitSignal + int(w.Signal())
	}
	return state.ExitCode()
}
