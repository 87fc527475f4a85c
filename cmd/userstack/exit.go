package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Exit statuses. Those above exitSignal are 128 plus the number of a signal, as a shell reports one.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
	exitSignal  = 128
)

// failure is an error of a command that had begun its work; every other error is about the command line.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// usage makes an error of the command line of one that is found out only when the command runs.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

func usagef(format string, args ...any) error { return usage{fmt.Errorf(format, args...)} }

// errSilent fails without a message: what was printed says it all.
var errSilent = errors.New("")

// run executes the command line, prints the error, if any, and returns the exit status.
func run(ctx context.Context, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	root.InitDefaultHelpCmd()
	markFailures(root)
	cmd, err := root.ExecuteContextC(ctx)
	var sig interrupted
	_, begun := errors.AsType[failure](err)
	_, wrong := errors.AsType[usage](err)
	status, ended := errors.AsType[exitStatus](err)
	never, notRun := errors.AsType[cannotRun](err)
	switch {
	case err == nil:
		return exitOK
	case ended:
		return int(status)
	case notRun:
		fmt.Fprintln(root.ErrOrStderr(), message(cmd, err))
		return never.status
	case errors.Is(err, errSilent):
		return exitFailure
	case errors.As(context.Cause(ctx), &sig):
		return exitSignal + int(sig.signal)
	case begun && !wrong:
		fmt.Fprintln(root.ErrOrStderr(), message(cmd, err))
		return exitFailure
	default:
		fmt.Fprintf(root.ErrOrStderr(), "%s\nRun \"%s --help\" for its manual.\n", message(cmd, err), cmd.CommandPath())
		return exitUsage
	}
}

// markFailures has every command say that its error is not one of the command line.
func markFailures(cmd *cobra.Command) {
	if work := cmd.RunE; work != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if err := work(cmd, args); err != nil {
				return failure{err}
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		markFailures(c)
	}
}

// message is "userstack: COMMAND: what went wrong; what helps".
func message(cmd *cobra.Command, err error) string {
	path := strings.ReplaceAll(cmd.CommandPath(), " ", ": ")
	text := path + ": " + strings.TrimSpace(plain(err))
	if hint := hintFor(cmd, err); hint != "" {
		text += "; " + hint
	}
	return text
}
