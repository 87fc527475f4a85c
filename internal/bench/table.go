package bench

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// row is a line of the table: a load over a wire.
type row struct {
	wire    Wire
	figures []Figure // by metric of the load; Rounds is 0 where there is none
	remark  string
	failed  bool
}

// section is the part of the table that a load has.
type section struct {
	load Load
	rows []row
}

// sections arranges the report: loads in their order, and wires in theirs.
func (r *Report) sections() (list []section) {
	for _, l := range loads {
		l.Metrics = r.metrics(l)
		s := section{load: l}
		for _, w := range Wires() {
			if one, ok := r.row(l, w); ok {
				s.rows = append(s.rows, one)
			}
		}
		if len(s.rows) > 0 {
			list = append(list, s)
		}
	}
	return list
}

// metrics returns those of a load, without the ones that an earlier program did not measure.
func (r *Report) metrics(l Load) (list []Metric) {
	for i, m := range l.Metrics {
		measured := func(s Sample) bool { _, ok := s.Values[m.Name]; return ok && s.Load == l.Name }
		if i == 0 || slices.ContainsFunc(r.Samples, measured) {
			list = append(list, m)
		}
	}
	return list
}

func (r *Report) row(l Load, w Wire) (one row, ok bool) {
	one.wire = w
	for _, m := range l.Metrics {
		f, has := r.figure(l.Name, w.Name, w.Reference, m.Name)
		ok = ok || has
		one.figures = append(one.figures, f)
	}
	one.remark, one.failed = r.remark(l, w.Name)
	return one, ok || one.failed
}

// number writes a figure with three digits that count.
func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case v >= 1e4:
		return grouped(int64(math.Round(v)))
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// grouped writes a whole number with a comma after each thousand.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// with returns a figure's median and spread. An exclamation mark says that the rounds differ too much.
func (f Figure) with() string {
	if f.Rounds == 0 {
		return "-"
	}
	text := number(f.Median)
	if f.Rounds > 1 {
		text += fmt.Sprintf(" ±%.0f%%", 100*f.Spread)
	}
	if f.Unsteady() {
		text += "!"
	}
	return text
}

// against returns the ratio to the reference.
func (f Figure) against() string {
	if f.Ratio == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", f.Ratio)
}

// WriteTable writes the table for a terminal: for each load and wire the medians of the rounds with half the distance
// between the quartiles, the ratio of the first figure to the reference, and what limits it.
func (r *Report) WriteTable(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range r.sections() {
		fmt.Fprintf(tw, "%s\n", s.load.About)
		fmt.Fprint(tw, "  wire")
		for _, m := range s.load.Metrics {
			fmt.Fprintf(tw, "\t%s", m.title())
			if m.compared() {
				fmt.Fprint(tw, "\tratio")
			}
		}
		fmt.Fprint(tw, "\tlimited by\n")
		for _, one := range s.rows {
			fmt.Fprintf(tw, "  %s", one.wire.Name)
			for i, f := range one.figures {
				fmt.Fprintf(tw, "\t%s", f.with())
				if s.load.Metrics[i].compared() {
					fmt.Fprintf(tw, "\t%s", f.against())
				}
			}
			fmt.Fprintf(tw, "\t%s\n", one.limited())
		}
		tw.Flush()
		fmt.Fprintln(w)
	}
	for _, line := range r.absences() {
		fmt.Fprintln(w, line)
	}
	_, err := fmt.Fprintf(w, "%s\n", r.legend())
	return err
}

// absences says what was not measured, wires for which the reason is the same together.
func (r *Report) absences() (lines []string) {
	type cause struct{ load, reason string } // no load is all of them
	var causes []cause
	wires := map[cause][]string{}
	add := func(c cause, wire string) {
		if wires[c] == nil {
			causes = append(causes, c)
		}
		if !slices.Contains(wires[c], wire) { // in another round
			wires[c] = append(wires[c], wire)
		}
	}
	for _, a := range r.Absent {
		add(cause{"", a.Reason}, a.Wire)
	}
	for _, s := range r.Samples {
		if s.Skipped != "" {
			add(cause{s.Load + " over ", s.Skipped}, s.Wire)
		}
	}
	for _, c := range causes {
		lines = append(lines, fmt.Sprintf("Not measured: %s%s. %s.", c.load, strings.Join(wires[c], ", "), c.reason))
	}
	return lines
}

// title names a metric in a heading.
func (m Metric) title() string {
	if m.Name == "p50" || m.Name == "p99" {
		return m.Name + ", " + m.Unit
	}
	return m.Unit
}

func (one row) limited() string {
	if one.failed {
		return strings.TrimPrefix("a round failed; "+one.remark, "; ")
	}
	return one.remark
}

// legend says how to read the table, and what it was measured on.
func (r *Report) legend() string {
	m := r.Machine
	return fmt.Sprintf(`Medians; ± is half the distance between the quartiles, with a ! from %.0f%% on. A ratio is the median of the rounds'
ratios to %s, and of pair's to %s. "CPU" is of all processes between the two ends of the connection, both included.
%s, %d × %s, %s, commit %s.`, 100*unsteady, overVeth, overLoopback, m.Kernel, m.Processors, m.Processor, m.Go, cmp.Or(m.Commit, "unknown"))
}
