package bench

import (
	"context"
	"slices"

	"github.com/userstack/userstack/internal/bench/agent"
)

// Wire joins a near end, whose stack is under test, and a far end, which is the kernel's but for the pair.
type Wire struct {
	Name      string
	About     string
	Reference string // the wire that this one is held against; "" for those that others are held against

	missing func() error // what it lacks on this machine, with the remedy; nil is nothing
	open    func(context.Context) (*session, error)
	version func() string // of a peer; nil is none of its own
}

// The references.
const (
	overVeth     = "veth"
	overLoopback = "lo"
)

// inProcess are the wires both of whose ends are in one process.
var inProcess = []Wire{
	{Name: "pair", About: "two stacks of ours in one process, a pipe in memory", Reference: overLoopback, open: together(agent.Memory, here)},
	{Name: overLoopback, About: "the kernel, both ends in one process, over its loopback", open: together(agent.Local, apart)},
}

// Wires returns all wires, in the order of the table.
func Wires() []Wire { return slices.Concat(namespaced, inProcess) }

// Missing returns what a wire lacks on this machine, with the remedy, or nil.
func (w Wire) Missing() error {
	if w.missing == nil {
		return nil
	}
	return w.missing()
}

// together makes a wire both of whose ends are in one process, at a place.
func together(role agent.Role, place func(*session) (commander, error)) func(context.Context) (*session, error) {
	return func(ctx context.Context) (*session, error) {
		s := newSession()
		command, err := place(s)
		if err != nil {
			return nil, err
		}
		if s.near, err = s.start(ctx, "both ends", agent.Config{Role: role}, command); err != nil {
			return nil, s.fail(err)
		}
		s.far, s.to = s.near, agent.FarAddr.Addr()
		if role == agent.Local {
			s.to = agent.Loopback
		}
		return s, nil
	}
}

// here is where this process is.
func here(*session) (commander, error) { return execCommand, nil }
