package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"

	"github.com/userstack/userstack/stack/link/hostnet"
	"github.com/userstack/userstack/supervise"
)

// run is the command: it makes the network, runs the program on it, and returns the program's exit status.
func (r *runner) run(args []string) error {
	if err := r.check(); err != nil {
		return err
	}
	p, err := findProgram(args)
	if err != nil {
		return err
	}
	if warning := p.warning(r.mode); warning != "" {
		fmt.Fprintln(r.log, message(r.cmd, errors.New(warning)))
	}
	// A signal is the program's to end by: the network stays for as long as that does.
	ctx := context.WithoutCancel(r.cmd.Context())
	if r.mode == modeNetns {
		return r.runNamespace(ctx, p)
	}
	trace, err := openTracer(r.trace, r.log)
	if err != nil {
		return err
	}
	n, err := r.settings.open(ctx, r.log)
	if err != nil {
		return errors.Join(err, trace.Close())
	}
	err = r.useNetwork(n, p, trace)
	return r.closed(err, errors.Join(n.Close(), trace.Close()))
}

// useNetwork makes the stack what a program expects, and runs it.
func (r *runner) useNetwork(n *network, p *program, trace *tracer) error {
	if err := publish(n.uplink, r.ports, r.settings.verbose, r.log); err != nil {
		return err
	}
	names, err := r.settings.serveNames(n)
	if err != nil {
		return err
	}
	err = r.supervise(n, p, names, trace)
	n.drain()
	return errors.Join(err, names.Close())
}

// check finds what the flags have to do with each other, and chooses the network.
func (r *runner) check() error {
	changed := r.cmd.Flags().Changed
	if changed("net") && changed("link") {
		return usagef("--net and --link are two names of one thing")
	}
	if !changed("link") {
		r.settings.link = r.net
	}
	r.settings.linkFlag = "--net"
	for _, flag := range []string{"host-loopback", "publish"} {
		if changed(flag) && r.settings.link.kind.name != hostLink {
			return usagef("--%s is for --net host: no other network leads to the machine's", flag)
		}
	}
	if r.local {
		r.settings.hostLoopback = hostnet.AccessAllowed
	}
	if r.mode == modeNetns {
		for _, flag := range []string{"trace", "isolate"} {
			if changed(flag) {
				return usagef("--%s is for --mode seccomp: in a namespace of its own the program's calls are the kernel's", flag)
			}
		}
	}
	return nil
}

// closed returns the error of running, to which one of closing comes second. A file of packets that is not whole is worth
// saying, but does not change the program's exit status.
func (r *runner) closed(err, closeErr error) error {
	if err == nil || closeErr == nil {
		return errors.Join(err, closeErr)
	}
	fmt.Fprintln(r.log, message(r.cmd, closeErr))
	return err
}

// supervise runs the program to its end. The error is its exit status, if that is not 0.
func (r *runner) supervise(n *network, p *program, names *nameService, trace *tracer) error {
	cmd := supervise.Command(n.host, p.path)
	cmd.Adopt = true
	cmd.Isolation, cmd.Files = r.apart.Isolation, names.files
	if trace != nil {
		cmd.Trace = trace.event
	}
	err := r.wait(p, cmd.Cmd, cmd, func() {
		switch lack := cmd.Isolated(); {
		case lack != nil && len(names.files) > 0:
			fmt.Fprintln(r.log, message(r.cmd, fmt.Errorf("names may be those of the machine's network: %w", lack)))
		case lack != nil && r.settings.verbose > 0:
			fmt.Fprintln(r.log, message(r.cmd, lack))
		}
	})
	if r.stats && cmd.ProcessState != nil {
		printStats(r.log, cmd.Stats(), n.stack.Stats())
	}
	return err
}

// A process is a supervise.Cmd or a netns.Cmd.
type process interface {
	Start() error
	Wait() error
}

// wait starts a program, passes signals on to it, and returns its exit status as an error. started is called when it runs.
func (r *runner) wait(p *program, cmd *exec.Cmd, run process, started func()) error {
	p.prepare(cmd, r.env)
	relay := newRelay()
	defer relay.stop()
	if r.cmd.Context().Err() != nil {
		return context.Cause(r.cmd.Context()) // by a signal, which no program is there to get
	}
	if err := run.Start(); err != nil {
		return r.cannotStart(p, err)
	}
	started()
	letGo()
	relay.start(cmd.Process, func(rest []int) { r.explain(p, rest) })
	return p.status(run.Wait(), cmd.ProcessState)
}

// cannotStart says why a program did not start: what is wrong with it, or else with this machine.
func (r *runner) cannotStart(p *program, err error) error {
	if e, ok := errors.AsType[*exec.Error](err); ok && e.Name == p.path {
		return notRunnable(p.args[0], e.Err)
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok && e.Path == p.path {
		return notRunnable(p.args[0], e.Err)
	}
	if r.mode == modeSeccomp {
		if lack := supervise.Check(); lack != nil {
			return lack
		}
	}
	return err
}

// explain says, to a person, why this process does not end although the program has.
func (r *runner) explain(p *program, rest []int) {
	if r.settings.verbose > 0 || isTerminal(r.log) {
		fmt.Fprintf(r.log, "userstack: run: %s has ended; waiting for what it left running (process %s), which a signal ends\n",
			p.args[0], joined(rest))
	}
}
