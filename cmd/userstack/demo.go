package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/spf13/cobra"
)

// demoPatience bounds a demo, which takes less than a second.
const demoPatience = time.Minute

func newDemo(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:     "demo",
		GroupID: groupTools,
		Short:   "show the stack at work against a real kernel",
		Long: `demo makes a network namespace without privileges, puts a TUN device into it,
and starts a DNS server and a web server on the namespace's kernel. Then it does
what a program does on a network, with a stack inside this process: resolves a
name, connects, fetches a page, transfers 32 MiB, speaks TLS and HTTP/2, accepts
a connection, pings; over IPv4 and IPv6. Each step is printed with its time and
the packets that crossed the device.

Where namespaces or /dev/net/tun are missing, demo says so and uses the network
"demo" instead, whose other end is a second userspace stack ("--link demo"
chooses that at once, "--link netns" fails rather than do without the kernel).`,
		Example: `  userstack demo
  userstack demo --link demo
  userstack demo --pcap demo.pcapng
  userstack demo --impair loss=3%,delay=5ms,seed=1`,
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), demoPatience)
			defer cancel()
			return runDemo(ctx, s, cmd.Flag("link").Changed, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

// runDemo makes the network and walks the steps.
func runDemo(ctx context.Context, s *settings, chosen bool, out, log io.Writer) (err error) {
	start := time.Now()
	n, why, err := openDemo(ctx, s, chosen, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	d := &demo{network: n, out: out, settings: s}
	d.introduce(why, time.Since(start))
	for _, step := range demoSteps {
		if err := step(d, ctx); err != nil {
			return err
		}
	}
	d.conclude(time.Since(start))
	return nil
}

// openDemo makes the network that was chosen, or else the best there is. The error why says what stands in the way of a
// better one.
func openDemo(ctx context.Context, s *settings, chosen bool, log io.Writer) (n *network, why, err error) {
	if chosen && !s.link.kind.servers {
		return nil, nil, usagef("needs a network with the demo's servers: --link demo or --link netns")
	}
	if chosen {
		n, err = s.open(ctx, log)
		return n, nil, err
	}
	if err := s.link.Set("netns"); err != nil {
		return nil, nil, err
	}
	if n, why = s.open(ctx, log); why == nil {
		return n, nil, nil
	}
	if err := s.link.Set("demo"); err != nil {
		return nil, why, err
	}
	n, err = s.open(ctx, log)
	return n, why, err
}

// A demo is the network and where the steps are printed.
type demo struct {
	*network
	settings *settings
	out      io.Writer
	steps    int
}

func (d *demo) introduce(why error, took time.Duration) {
	if why != nil {
		fmt.Fprintf(d.out, "No kernel at the other end today: %s.\n", plain(why))
		fmt.Fprintf(d.out, "The other end is a second userspace stack instead. \"userstack doctor\" says more.\n\n")
	}
	fmt.Fprintf(d.out, "link    %s  (made in %s)\n", d.about, ms(took))
	fmt.Fprintf(d.out, "here    %-26s a TCP/IP stack in this process\n", joined(addrsOf(d.addrs)))
	fmt.Fprintf(d.out, "there   %-26s %s:\n%34s DNS, HTTP and HTTPS servers on its sockets\n",
		joined(addrsOf(farAddrs)), d.servers.place.name, "")
}

// step runs a part of the demo and prints it: what it was, how long it took, and the packets meanwhile.
func (d *demo) step(what string, work func() (lines []string, err error)) error {
	d.steps++
	before, start := d.meter.traffic(), time.Now()
	lines, err := work()
	took, packets := time.Since(start), d.meter.traffic().since(before)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	fmt.Fprintf(d.out, "\n%2d. %-44s %8s   packets %s\n", d.steps, what, ms(took), packets)
	for _, line := range lines {
		fmt.Fprintf(d.out, "      %s\n", line)
	}
	return nil
}

func (d *demo) conclude(took time.Duration) {
	fmt.Fprintf(d.out, "\nDone in %s. The other end is %s.\n", ms(took), d.servers.place.name)
	for _, p := range addrsOf(d.addrs) {
		n := 0
		for _, peer := range d.servers.seen() {
			if peer == p {
				n++
			}
		}
		fmt.Fprintf(d.out, "Its web server saw %d connections from %s.\n", n, p)
	}
	fmt.Fprintf(d.out, "Its DNS server answered %d questions.\n", len(d.servers.dns.Queries()))
	if d.settings.pcap != "" {
		fmt.Fprintf(d.out, "The packets are in %s: open it with Wireshark, or tshark -r %[1]s.\n", d.settings.pcap)
	}
}

// addrsOf drops the lengths of prefixes.
func addrsOf(prefixes []netip.Prefix) (addrs []netip.Addr) {
	for _, p := range prefixes {
		addrs = append(addrs, p.Addr())
	}
	return addrs
}
