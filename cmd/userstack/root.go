package main

//go:generate go run . man --markdown ../../docs/cli.md

import (
	"fmt"

	"github.com/spf13/cobra"
)

// The groups that "userstack help" lists the commands in.
const (
	groupTools   = "tools"
	groupMachine = "machine"
)

// newRoot returns the command with all its subcommands.
func newRoot() *cobra.Command {
	s := &settings{}
	root := &cobra.Command{
		Use:   "userstack COMMAND",
		Short: "a TCP/IP stack inside a process, and programs and tools on it",
		Long: `userstack runs a TCP/IP stack (gVisor's netstack) inside its own process and
connects it to a network through a link that you choose. The machine's own
network is neither used nor changed, apart from that link.

The default link, "demo", is a network inside the process: a wire in memory to a
second stack with DNS, web and echo servers. It needs no privileges and nothing
of the kernel, so that every command can be tried at once. "userstack help
network" has the other links, and how to choose addresses, routes and names. Only
"userstack run", which runs other programs on the stack, has another default: the
link "host", which leads to the machine's own network.

Exit status: 0 for success; 1 for failure, with one line on standard error; 2
for a command line that makes no sense; 128 plus its number when a signal ended
the command.`,
		Example: `  userstack demo
  userstack fetch http://www.demo.test/
  userstack ping -c 3 -i 0.2 --link netns www.demo.test`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
	}
	s.addFlags(root.PersistentFlags())
	root.AddGroup(&cobra.Group{ID: groupTools, Title: "On the network:"},
		&cobra.Group{ID: groupMachine, Title: "About this machine and this program:"})
	root.SetHelpCommandGroupID(groupMachine)
	root.SetCompletionCommandGroupID(groupMachine)
	root.AddCommand(newDemo(s), newFetch(s), newNC(s), newPing(s), newResolve(s), newRun(s), newBench(s), newDoctor(), newMan(), newVersion())
	root.AddCommand(newNetworkTopic())
	complete(root)
	return root
}

// newNetworkTopic returns the manual of the flags that every command has.
func newNetworkTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "network",
		Short: "links, addresses, routes, names, impairments",
		Long: `Every command works on a network of its own, which these flags describe.

--link LINK chooses what the stack is connected to:

` + linkHelp() + `

--addr PREFIX is an address of the stack with the length of its network, such as
10.0.0.2/24; give it once for each address. On the networks "demo" and "netns"
it is ` + joined(ourAddrs) + `. On a device of this machine it is a free
address beside the kernel's own. A device that has no address yet gets one for
the kernel: that of --gateway, or else the first free one of the network.

--route DST[,VIA] adds a route, on the link or by way of another host. --gateway
ADDR is the next hop of everything else. Without them everything goes out by the
link, on a device of this machine to the kernel. (To get farther, the kernel has
to forward: sysctl net.ipv4.ip_forward=1, and perhaps translate addresses.)

--dns SERVER names a DNS server, reached through the stack: ADDRESS,
ADDRESS:PORT, [ADDRESS]:PORT, or one of these after udp:// or tcp://. --hosts
FILE is read as hosts(5). This machine's /etc/hosts and /etc/resolv.conf are not
read unless you name them.

--mtu BYTES is the largest IP packet. A device that is created gets it too.

--busy-poll TIME makes round trips over a TUN or TAP device shorter, and costs
processor time while packets come and go: for that long the device is asked again
and again before a thread sleeps, which would have to be woken. Try 100us, and
GOMAXPROCS=1 in the environment besides. Without traffic, in bulk transfers, and on
the links demo and host it does nothing.

--pcap FILE records the packets with nanosecond timestamps for Wireshark. It
turns segmentation offload off, so that the file has packets as a cable would
carry them; transfers are slower for it.

-v says on standard error what the resolver does; -vv shows each packet too.

--impair SPEC treats packets badly, in both directions or, with "in." or "out."
before a word, in one:

` + impairHelp(),
		Example: fmt.Sprintf(`  userstack ping -c 3 -i 0.1 --impair delay=20ms,jitter=5ms,seed=7 www.%[1]s
  userstack fetch --impair out.loss=10%%,seed=1 http://www.%[1]s/
  userstack resolve --pcap names.pcapng www.%[1]s
  sudo userstack ping -c 1 --link tun:us0 10.78.0.1
  sudo userstack nc --link tun:us0 --addr 10.9.0.2/24 -l 8080`, demoName),
	}
}

// complete says which words a shell can offer for flags.
func complete(root *cobra.Command) {
	offer := cobra.FixedCompletions(linkWords(), cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace)
	if err := root.RegisterFlagCompletionFunc("link", offer); err != nil {
		panic(err) // there is no such flag: a mistake in this file
	}
}

// linkWords are what a shell can offer for --link.
func linkWords() (words []cobra.Completion) {
	for _, k := range linkKinds {
		name := k.name
		if k.arg != "" {
			name += ":"
		}
		words = append(words, name)
	}
	return words
}
