package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/userstack/userstack/internal/bench"
)

// bencher has the flags of bench.
type bencher struct {
	cfg      bench.Config
	list     bool
	from     string // a report to print instead of measuring
	json     string
	join     string // a report to measure a part of anew
	svg      string
	markdown bool
	document string // a file that has a place for the table
	explain  bool
	benchExplain
}

func newBench(s *settings) *cobra.Command {
	b := &bencher{}
	cmd := &cobra.Command{
		Use:     "bench [flags]",
		GroupID: groupMachine,
		Short:   "measure how fast the stack is, beside the kernel and other stacks",
		Long:    strings.TrimSpace(benchManual + "\n" + benchExplainManual),
		Example: `  userstack bench --rounds 1
  userstack bench --load bulk,rtt --wire tun,veth
  userstack bench --json bench.json --svg bench.svg
  userstack bench --load udp --append bench.json
  userstack bench --from bench.json --markdown
  userstack bench --explain --impair delay=20ms,rate=50M`,
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if b.explain {
				b.benchExplain.time = b.cfg.Time
				return s.use(cmd, func(ctx context.Context, n *network) error {
					return b.benchExplain.run(ctx, n, cmd.OutOrStdout())
				})
			}
			return b.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVar(&b.cfg.Rounds, "rounds", 3, "measure everything `N` times, in turn")
	f.DurationVar(&b.cfg.Time, "time", time.Second, "the `TIME` of each measurement")
	f.StringSliceVar(&b.cfg.Loads, "load", nil, "`LOAD,...` to measure, by name or group (default all)")
	f.StringSliceVar(&b.cfg.Wires, "wire", nil, "`WIRE,...` to measure over (default all)")
	f.BoolVar(&b.list, "list", false, "print the loads and the wires, and what each wire lacks here")
	f.StringVar(&b.json, "json", "", "write every sample to a `FILE`")
	f.StringVar(&b.join, "append", "", "put what is measured into the `FILE` of an earlier run, in place of the same there")
	f.StringVar(&b.svg, "svg", "", "draw a chart into a `FILE`")
	f.BoolVar(&b.markdown, "markdown", false, "print the table as Markdown")
	f.StringVar(&b.document, "document", "", "put the table into a Markdown `FILE`, between its marks")
	f.StringVar(&b.from, "from", "", "measure nothing, print the `FILE` of an earlier run")
	f.BoolVar(&b.explain, "explain", false, "move data over the network that --link and --impair describe, and say what holds it back")
	f.StringVar(&b.to, "to", "", "with --explain: the `HOST:PORT` of a server, where the link has none")
	cmd.MarkFlagsMutuallyExclusive("from", "append", "list", "explain")
	cmd.MarkFlagsMutuallyExclusive("from", "json", "list")
	return cmd
}

const benchManual = `
bench sends the same traffic over several wires, in turn and in rounds, and prints
for each the medians, how far the rounds differ, the ratio to the kernel over a
veth pair, and what it was limited by. It needs neither root nor a network: both
ends of a wire are processes of its own, in network namespaces of their own. Where
namespaces or /dev/net/tun are missing it says so, and measures what is left: two
stacks over a pipe in memory, and the kernel's loopback.

Other userspace stacks are measured if they are there: pasta and slirp4netns if
they are installed; gvisor-tap-vsock and wireguard-go if this is run in a checkout
of the source, where the go command builds them; lwIP there as well, if a C
compiler and its library are installed.

--load and --wire choose; --list prints the names. Loads of the group "more" are
measured only if they are asked for. A wire's near end is the stack under test, its
far end the kernel; "out" is from near to far. Leave the machine alone meanwhile:
other programs make the spread large, which is marked with "!".

--json has every sample and what the machine is. --append measures a part of an
earlier run anew. --from prints or draws an earlier run. --document replaces what a
Markdown file has between "<!-- bench: begin" and "<!-- bench: end".

Progress is on standard error. The exit status is 1 if a measurement failed, which
the table then says in its place, or if nothing could be measured. A wire that this
machine lacks is no failure, nor a load that makes no sense over a wire, nor that a
peer has fewer connections than were asked for: the table says that too.`

func (b *bencher) run(ctx context.Context, out, log io.Writer) error {
	if b.list {
		return b.printList(out)
	}
	report, err := b.report(ctx, log)
	if report == nil || len(report.Samples) == 0 {
		return err
	}
	if printErr := b.print(out, report); printErr != nil || err != nil { // a run that was interrupted keeps what it has
		return cmp.Or(err, printErr)
	}
	if report.Failed() && b.from == "" {
		return errors.New("a measurement failed: the table says which")
	}
	if !report.Measured() {
		return errors.New("nothing was measured: the table says why")
	}
	return nil
}

// print writes what was asked for.
func (b *bencher) print(out io.Writer, report *bench.Report) error {
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{{b.json, report.Write}, {b.join, report.Write}, {b.svg, report.WriteSVG}} {
		if err := writeFile(f.name, f.write); err != nil {
			return err
		}
	}
	if err := splice(b.document, report); err != nil {
		return err
	}
	write := report.WriteTable
	if b.markdown {
		write = report.WriteMarkdown
	}
	return write(out)
}

// report reads a report, measures, or both.
func (b *bencher) report(ctx context.Context, log io.Writer) (*bench.Report, error) {
	if b.from != "" {
		return readReport(b.from)
	}
	b.cfg.Progress = log
	plan, err := b.cfg.Plan()
	if err != nil {
		return nil, usage{err}
	}
	var earlier *bench.Report
	if b.join != "" {
		if earlier, err = readReport(b.join); err != nil {
			return nil, err
		}
	}
	report, err := plan.Run(ctx)
	if earlier == nil || report == nil || len(report.Samples) == 0 {
		return report, err
	}
	return earlier, errors.Join(err, earlier.Merge(report))
}

func readReport(name string) (*bench.Report, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return bench.Read(file)
}

// writeFile writes a file, unless it has no name.
func writeFile(name string, write func(io.Writer) error) error {
	if name == "" {
		return nil
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

// splice puts the table into a document, unless it has no name.
func splice(name string, report *bench.Report) error {
	if name == "" {
		return nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if text, err = report.Splice(text); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return writeFile(name, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

func (b *bencher) printList(out io.Writer) error {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(tw, "Loads, with their groups:\n\n")
	for _, l := range bench.Loads() {
		fmt.Fprintf(tw, "  %s\t%s\t%s\n", l.Name, l.Group, l.About)
	}
	fmt.Fprint(tw, "\nWires:\n\n")
	for _, w := range bench.Wires() {
		about := w.About
		if err := w.Missing(); err != nil {
			about += "; not here: " + err.Error()
		}
		fmt.Fprintf(tw, "  %s\t\t%s\n", w.Name, about)
	}
	return tw.Flush()
}
