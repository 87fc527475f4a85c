// Package bench measures how fast connections and datagrams go over wires: ours, the kernel's, and those of other
// userspace stacks, all with the same traffic and in turn.
//
//	plan, err := bench.Config{Rounds: 3, Time: time.Second, Wires: []string{"tun", "veth"}}.Plan()
//	if err != nil {
//		return err
//	}
//	report, err := plan.Run(ctx)
//	if err != nil {
//		return err
//	}
//	report.WriteTable(os.Stdout)
//
// # How it works
//
// A wire joins two ends, each a process of its own (package agent) that makes or serves the traffic of package load: the
// near end's sockets are those of the stack under test, the far end's are the kernel's, by the same program for every
// wire. Only the two wires without a network namespace, a pipe in memory and the kernel's loopback, have both ends in one
// process; they are held against each other.
//
// For each load there are rounds, and in a round every wire is made, measured and taken down in turn, so that a machine
// that slows down, slows all of them. A sample is what the receiving side counted between two moments, after a warm-up,
// with the processor time of all processes between the two ends and the threads that serve the kernel's soft interrupts.
// Ratios to the reference are made within a round, and their median is what the table shows.
//
// A load may have spinners that keep the processors awake, and may have each end pinned to a processor of its own. What
// makes no sense over a wire, or on this machine, is skipped, and the table says why; that is no failure.
//
// What limits a row is found in the same samples: which processor and which process was busy, how much was lost, sent
// again, or waited for.
//
// # Limits
//
// Everything but the pipe and the loopback takes Linux, user namespaces and /dev/net/tun. Processor time of interrupts is
// charged to whom they interrupt. Nothing keeps other programs off the machine: a spread that is large is marked.
package bench
