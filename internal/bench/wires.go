package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	"github.com/userstack/userstack/internal/bench/agent"
)

// Wire joins a near end, whose stack is under test, and a far end, which is the kernel's but for the pair.
type Wire struct {
	Name      string
	About     string
	Reference string // the wire that this one is held against; "" for those that others are held against

	missing func() error                // what it lacks on this machine, with the remedy; nil is nothing
	prepare func(context.Context) error // makes what can be made of what is missing; nil is nothing
	open    func(context.Context, *session) error
	version func() string // of a peer; nil is none of its own
	most    int           // idle connections that a peer can have; 0 is any number
}

// The references.
const (
	overVeth     = "veth"
	overLoopback = "lo"
)

// overMemory is the wire without a kernel.
const overMemory = "pair"

// wires are all there are, in the order of the table. Those without open lead into namespaces, and equip knows how.
var wires = []Wire{
	{Name: "tun", About: "our stack, a TUN device, the kernel", Reference: overVeth},
	{Name: "tun-latency", About: "the same, which polls the device for 100 µs before it sleeps, with Go code on one processor", Reference: overVeth},
	{Name: "tun-gro", About: "our stack on a device without offload: the link cuts and merges segments", Reference: overVeth},
	{Name: "tun-naive", About: "our stack as a simple program has it: water, no offload, a packet a call", Reference: overVeth},
	{Name: overVeth, About: "the kernel, a veth pair, the kernel"},
	{Name: "pasta", About: "the kernel, a TAP device, pasta, sockets of the kernel", Reference: overVeth},
	{Name: "slirp4netns", About: "the kernel, a TAP device, slirp4netns, sockets of the kernel", Reference: overVeth},
	{Name: "gvisor-tap-vsock", About: "the kernel, a TAP device, gvisor-tap-vsock, sockets of the kernel", Reference: overVeth},
	{Name: "wireguard-go", About: "wireguard-go's netstack, without the tunnel, a TUN device, the kernel", Reference: overVeth},
	{Name: "lwip", About: "lwIP by its sequential API, a TUN device, the kernel", Reference: overVeth},
	{Name: "lwip-raw", About: "the same by lwIP's callbacks, in the thread that takes the packets", Reference: overVeth},
	{Name: overMemory, About: "two stacks of ours in one process, a pipe in memory", Reference: overLoopback, open: together(agent.Memory, here)},
	{Name: overLoopback, About: "the kernel, both ends in one process, over its loopback", open: together(agent.Local, apart)},
}

func init() {
	for i := range wires {
		if wires[i].open == nil {
			equip(&wires[i])
		}
	}
}

// Wires returns all wires, in the order of the table.
func Wires() []Wire { return slices.Clone(wires) }

// Missing returns what a wire lacks on this machine, with the remedy, or nil.
func (w Wire) Missing() error {
	if w.missing == nil {
		return nil
	}
	return w.missing()
}

// skips says why a load is not measured over a wire, which is no failure; "" is that it is.
func (w Wire) skips(l Load) string {
	switch {
	case l.state != asIs && runtime.GOOS != "linux":
		return "processors are kept awake, and processes pinned to them, on Linux only"
	case l.state == pinned && (w.Name == overLoopback || w.Reference == overLoopback):
		return "both ends are one process"
	case l.state == pinned && len(agent.Processors()) < 2:
		return "there is one processor, and each end wants its own"
	case l.job.Spread > 0 && (w.class() == peer || w.Name == overLoopback):
		return "not asked of others than our own stack and the kernel over veth"
	case l.job.Spread > 0 && w.room() < l.job.Conns:
		return fmt.Sprintf("it takes %s descriptors, and the hard limit is %s: ulimit -Hn", grouped(int64(l.job.Conns)), grouped(int64(maxFiles())))
	}
	return ""
}

// ready says what a wire lacks, when all was done for it.
func (w Wire) ready(ctx context.Context) error {
	if err := w.Missing(); err != nil || w.prepare == nil {
		return err
	}
	return w.prepare(ctx)
}

// together makes a wire both of whose ends are in one process, at a place.
func together(role agent.Role, place func(*session) (commander, error)) func(context.Context, *session) error {
	return func(ctx context.Context, s *session) error {
		command, err := place(s)
		if err != nil {
			return err
		}
		if s.near, err = s.start(ctx, "both ends", agent.Config{Role: role}, command); err != nil {
			return err
		}
		s.far, s.to = s.near, agent.FarAddr.Addr()
		if role == agent.Local {
			s.to = agent.Loopback
		}
		return nil
	}
}

// here is where this process is.
func here(*session) (commander, error) { return execCommand, nil }
