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
	ports []publication
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
		Example: `  userstack run --net demo -- curl -s http://www.demo.test/
  userstack run --net demo --trace --stats -- curl -s http://www.demo.test/
  userstack run --net demo --impair delay=20ms -- curl -s http://www.demo.test/
  userstack run --publish 127.0.0.1:8080:8000 -- python3 -m http.server`,
		Args: args(1, -1, "a program to run"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.cmd, r.log = cmd, cmd.ErrOrStderr()
			return r.run(args)
		},
	}
	r.addFlags(cmd)
	for flag, words := range map[string][]cobra.Completion{"net": linkWords(), "mode": modes[:], "isolate": isolations[:]} {
		offer := cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace)
		if err := cmd.RegisterFlagCompletionFunc(flag, offer); err != nil {
			panic(err) // there is no such flag: a mistake in this file
		}
	}
	return cmd
}

const runManual = `
run starts a program whose Internet sockets are those of a stack inside this
process. The program is not changed and may be static; neither root nor a network
namespace nor a TUN device is needed. What it says to its sockets it says to this
process: a seccomp filter hands the calls over (seccomp_unotify(2)). Reading,
writing, polling and closing stay the kernel's, at the kernel's speed.

--net NET chooses the network, as --link does for the other commands; "userstack
help network" has its other flags. The default, host, is the machine's own network
by ordinary sockets of this process: the stack has the addresses 10.0.2.15 and
fd00::15, a gateway at 10.0.2.2 and fd00::2, and a nameserver at 10.0.2.3 and
fd00::3. There --publish lets clients in, who keep their addresses: 8080:80 leads
port 8080 of the machine to port 80 of the program, 127.0.0.1:8080:80 on that
address only, 5353:53/udp for UDP, and 0:80 on a port that is then printed. The
machine itself is reached only with --host-loopback.

Names: the program asks whom it always asks. Where its nameservers are loopback
addresses, or the network has names of its own (--net demo, --dns, --hosts), a
server inside the stack answers in their place.

--trace writes a line for each call on a socket, as strace(1) does, to standard
error or to a file. --stats prints calls with times, sockets, bytes and segments
when the program has ended.

--isolate puts the program into an empty network namespace, too, so that what goes
past this process goes nowhere: auto where this user may, require or fail. There
files of other users seem to belong to nobody, which some programs, ssh(1) among
them, do not like.

--mode netns is for programs that need what such a socket cannot give: io_uring,
packet sockets, urgent data, 32-bit programs. They run in a network namespace whose
device leads to the network. Their TCP is the kernel's then, and it takes user
namespaces and /dev/net/tun. "userstack doctor" says what works here.

Signals that run gets are the program's, those of the terminal reach it anyway, and
job control works. run ends when the program and all that it left running have
ended. The exit status is the program's, or 128 plus the number of the signal that
ended it; 127 if there is no such program, 126 if it cannot be executed, 1 if there
is no network to run it on, and 2 for a command line that makes no sense.

This is connectivity, not a sandbox: a program that means harm gets around it.`

func (r *runner) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.SortFlags = false
	f.SetInterspersed(false) // what follows the program's name is the program's
	if err := r.net.Set(hostLink); err != nil {
		panic(err) // there is no such link: a mistake in this file
	}
	f.Var(&r.net, "net", "the network: "+linkNames())
	f.Var(list("[ADDR:]PORT:PORT[/udp]", &r.ports, parsePublication), "publish", "lead a port of this machine to one of the program's (repeatable)")
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
