package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/userstack/userstack/supervise"
)

// runner has the flags of run, and what it runs.
type runner struct {
	net   linkSpec
	local bool // --host-loopback
	apart isolationValue
	mode  modeValue
	env   []string
	trace string // a file's name, or toStderr
	stats bool

	settings *settings
	cmd      *cobra.Command
	log      io.Writer
}

func newRun(s *settings) *cobra.Command {
	r := &runner{settings: s}
	cmd := &cobra.Command{
		Use:     "run [flags] [--] PROGRAM [ARG...]",
		GroupID: groupTools,
		Short:   "run a program on this stack instead of the machine's",
		Long:    strings.TrimSpace(runManual),
		Example: `  userstack run --net demo -- curl -s http://www.demo.test/`,
		Args:    args(1, -1, "a program to run"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.cmd, r.log = cmd, cmd.ErrOrStderr()
			return r.run(args)
		},
	}
	r.addFlags(cmd)
	return cmd
}

const runManual = `
run starts a program whose Internet sockets are those of a stack inside this
process. The program is not changed and may be static; neither root nor a network
namespace nor a TUN device is needed.

What the program says to its sockets, it says to this process: a seccomp filter
hands the calls over (seccomp_unotify(2)). Reading, writing, polling and closing
stay the kernel's, so that they cost what they cost.

The exit status is the program's, or 128 plus the number of the signal that ended
it; 127 if there is no such program, and 126 if it cannot be executed. run ends
when every process that the program left running has ended.`

func (r *runner) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.SortFlags = false
	f.SetInterspersed(false) // what follows the program's name is the program's
	if err := r.net.Set(hostLink); err != nil {
		panic(err) // there is no such link: a mistake in this file
	}
	f.Var(&r.net, "net", "the network: "+linkNames())
	f.BoolVar(&r.local, "host-loopback", false, "let the program reach the machine itself: its loopback is at 10.0.2.2 and fd00::2")
	f.Var(&r.mode, "mode", "how: seccomp, or netns for what only sockets of the kernel can do")
	f.Var(&r.apart, "isolate", "whether the program also gets an empty network namespace: auto, require, off")
	f.StringVar(&r.trace, "trace", "", "write a line for each call on a socket to standard error, or to a `FILE`")
	f.Lookup("trace").NoOptDefVal = toStderr
	f.BoolVar(&r.stats, "stats", false, "print what the program did, on standard error when it has ended")
	f.Var(list("NAME=VALUE", &r.env, parseEnv), "env", "set a variable in the program's environment (repeatable)")
}

// modeValue is the flag --mode.
type modeValue int

const (
	modeSeccomp modeValue = iota // sockets are the stack's
	modeNetns                    // sockets are the kernel's, in a network namespace
)

var modes = [...]string{modeSeccomp: "seccomp", modeNetns: "netns"}

func (v *modeValue) Type() string   { return "MODE" }
func (v *modeValue) String() string { return modes[*v] }
func (v *modeValue) Set(text string) error {
	i := slices.Index(modes[:], text)
	if i < 0 {
		return errors.New("not one of seccomp, netns")
	}
	*v = modeValue(i)
	return nil
}

// isolationValue is the flag --isolate.
type isolationValue struct{ supervise.Isolation }

// isolations are what --isolate may say, by supervise.Isolation.
var isolations = [...]string{supervise.IsolateOff: "off", supervise.IsolateAuto: "auto", supervise.IsolateRequire: "require"}

func (v *isolationValue) Type() string   { return "WHEN" }
func (v *isolationValue) String() string { return isolations[v.Isolation] }
func (v *isolationValue) Set(text string) error {
	i := slices.Index(isolations[:], text)
	if i < 0 {
		return errors.New("not one of auto, require, off")
	}
	v.Isolation = supervise.Isolation(i)
	return nil
}

func parseEnv(text string) (string, error) {
	if name, _, ok := strings.Cut(text, "="); !ok || name == "" {
		return "", fmt.Errorf("%q is not NAME=VALUE", text)
	}
	return text, nil
}
