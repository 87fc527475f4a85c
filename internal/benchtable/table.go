package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/userstack/userstack/internal/quartile"
)

// table holds what the benchmarks said, in the order in which they came.
type table struct {
	reference string // the wire that the others are compared with
	rows      []row
	wires     []string
	values    map[cell][]float64
}

type row struct{ benchmark, unit string }

// meaning returns the unit.
func (r row) meaning() unit {
	for _, u := range units {
		if u.name == r.unit {
			return u
		}
	}
	return unit{name: r.unit}
}

type cell struct {
	row
	wire string
}

// A unit is what a benchmark is measured in.
type unit struct {
	name   string
	more   bool // is better
	beside bool // is shown beside the preferred one
	digits int  // behind the point
}

// units are what a benchmark may be measured in. It is shown in the first of them that it has, in the order of
// preference, and besides in each that says so.
var units = []unit{
	{name: "MB/s", more: true},
	{name: "conns/s", more: true},
	{name: "B/conn"},
	{name: "cpu-s/GB", beside: true, digits: 2},
	{name: "ns/op"},
}

// result matches a line such as "BenchmarkSend/tun-2   24822   45560 ns/op   2876.92 MB/s".
var result = regexp.MustCompile(`^Benchmark(\w+)/(\w+)(?:-\d+)?\s+\d+\s+(.*)$`)

// add takes a line of the benchmarks' output; what is no result is passed over.
func (t *table) add(line string) {
	m := result.FindStringSubmatch(line)
	if m == nil {
		return
	}
	said := map[string]float64{}
	fields := strings.Fields(m[3])
	for i := 0; i+1 < len(fields); i += 2 {
		if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
			said[fields[i+1]] = v
		}
	}
	preferred := false
	for _, u := range units {
		v, ok := said[u.name]
		if !ok || preferred && !u.beside {
			continue
		}
		t.put(cell{row{m[1], u.name}, m[2]}, v)
		preferred = preferred || !u.beside
	}
}

func (t *table) put(c cell, v float64) {
	if t.values == nil {
		t.values = map[cell][]float64{}
	}
	if !slices.Contains(t.rows, c.row) {
		t.rows = append(t.rows, c.row)
	}
	if !slices.Contains(t.wires, c.wire) {
		t.wires = append(t.wires, c.wire)
	}
	t.values[c] = append(t.values[c], v)
}

// print writes one line for each benchmark: the medians, and the ratios to the reference.
func (t *table) print(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	defer tw.Flush()
	fmt.Fprint(tw, "median of the rounds\t")
	for _, wire := range t.wires {
		fmt.Fprintf(tw, "%s\t", wire)
	}
	for _, wire := range t.wires {
		if wire != t.reference {
			fmt.Fprintf(tw, "%s/%s\t", wire, t.reference)
		}
	}
	fmt.Fprintln(tw)
	for _, r := range t.rows {
		fmt.Fprintf(tw, "%s, %s\t", r.benchmark, r.unit)
		for _, wire := range t.wires {
			values := t.values[cell{r, wire}]
			if len(values) == 0 {
				fmt.Fprint(tw, "-\t")
				continue
			}
			fmt.Fprintf(tw, "%.*f ±%.0f%%\t", r.meaning().digits, quartile.Of(values, 2), 100*quartile.Spread(values))
		}
		for _, wire := range t.wires {
			if wire != t.reference {
				fmt.Fprint(tw, t.ratio(r, wire)+"\t")
			}
		}
		fmt.Fprintln(tw)
	}
}

// ratio says how many times as fast as the reference a wire is.
func (t *table) ratio(r row, wire string) string {
	ours, ref := t.values[cell{r, wire}], t.values[cell{r, t.reference}]
	if len(ours) == 0 || len(ref) == 0 {
		return "-"
	}
	q := quartile.Of(ours, 2) / quartile.Of(ref, 2)
	if !r.meaning().more {
		q = 1 / q
	}
	return fmt.Sprintf("%.2f", q)
}
