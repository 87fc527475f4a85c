package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/userstack/userstack/stack/link/hostnet"
	"github.com/userstack/userstack/supervise"
)

// runner has the flags of run, and what it runs.
type runner struct {
	net   linkSpec
	local bool // --host-loopback
	apart isolationValue
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
	if err := r.net.Set("host"); err != nil {
		panic(err) // there is no such link: a mistake in this file
	}
	f.Var(&r.net, "net", "the network: "+linkNames())
	f.BoolVar(&r.local, "host-loopback", false, "let the program reach the machine itself: its loopback is at 10.0.2.2 and fd00::2")
	f.Var(&r.apart, "isolate", "whether the program also gets an empty network namespace: auto, require, off")
	f.StringVar(&r.trace, "trace", "", "write a line for each call on a socket to standard error, or to a `FILE`")
	f.Lookup("trace").NoOptDefVal = toStderr
	f.BoolVar(&r.stats, "stats", false, "print what the program did, on standard error when it has ended")
	f.Var(list("NAME=VALUE", &r.env, parseEnv), "env", "set a variable in the program's environment (repeatable)")
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

// run is the command: it makes the network, runs the program on it, and returns the program's exit status.
func (r *runner) run(args []string) error {
	if err := r.chooseNet(); err != nil {
		return err
	}
	p, err := findProgram(args)
	if err != nil {
		return err
	}
	trace, err := openTracer(r.trace, r.log)
	if err != nil {
		return err
	}
	n, err := r.settings.open(context.WithoutCancel(r.cmd.Context()), r.log)
	if err != nil {
		return errors.Join(err, trace.Close())
	}
	names, err := r.settings.serveNames(r.cmd.Context(), n)
	if err != nil {
		return errors.Join(err, n.Close(), trace.Close())
	}
	err = r.supervise(n, p, names, trace)
	closeErr := errors.Join(names.Close(), n.Close(), trace.Close())
	if closeErr != nil && err != nil { // a file of packets that is not whole, say
		fmt.Fprintln(r.log, message(r.cmd, closeErr))
	} else if closeErr != nil {
		err = closeErr
	}
	return err
}

// chooseNet lets --net be --link.
func (r *runner) chooseNet() error {
	named, linked := r.cmd.Flag("net").Changed, r.cmd.Flag("link").Changed
	if named && linked {
		return usagef("--net and --link are two names of one thing")
	}
	if !linked {
		r.settings.link = r.net
	}
	isHost := r.settings.link.kind.name == "host"
	if r.local && !isHost {
		return usagef("--host-loopback is for --net host: no other network leads to the machine's")
	}
	if r.local {
		r.settings.hostLoopback = hostnet.AccessAllowed
	}
	return nil
}

// supervise runs the program to its end. The error is its exit status, if that is not 0.
func (r *runner) supervise(n *network, p *program, names *nameService, trace *tracer) error {
	cmd := p.command(n.host)
	cmd.Adopt = true
	cmd.Isolation, cmd.Files = r.apart.Isolation, names.files
	cmd.Env = append(cmd.Environ(), r.env...)
	if trace != nil {
		cmd.Trace = trace.event
	}
	relay := newRelay()
	defer relay.stop()
	if err := cmd.Start(); err != nil {
		return p.cannotStart(err)
	}
	letGo()
	if lack := cmd.Isolated(); lack != nil && r.settings.verbose > 0 {
		fmt.Fprintln(r.log, message(r.cmd, lack))
	}
	relay.start(cmd.Process, func(rest []int) { r.explain(p, rest) })
	err := cmd.Wait()
	if r.stats {
		printStats(r.log, cmd.Stats(), n.stack.Stats())
	}
	return p.status(err, cmd.ProcessState)
}

// explain says, to a person, why this process does not end although the program has.
func (r *runner) explain(p *program, rest []int) {
	if r.settings.verbose > 0 || isTerminal(r.log) {
		fmt.Fprintf(r.log, "userstack: run: %s has ended; waiting for what it left running (process %s), which a signal ends\n",
			p.args[0], joined(rest))
	}
}
