package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// table holds what the benchmarks said, in the order in which they came.
type table struct {
	reference         string // the wire that the others are compared with
	benchmarks, wires []string
	values            map[cell][]float64
	units             map[string]string // of a benchmark
}

type cell struct{ benchmark, wire string }

// units in the order of preference, and whether more is better.
var units = []struct {
	name string
	more bool
}{{"MB/s", true}, {"conns/s", true}, {"B/conn", false}, {"ns/op", false}}

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
	for _, u := range units {
		if v, ok := said[u.name]; ok {
			t.put(cell{m[1], m[2]}, u.name, v)
			return
		}
	}
}

func (t *table) put(c cell, unit string, v float64) {
	if t.values == nil {
		t.values, t.units = map[cell][]float64{}, map[string]string{}
	}
	if !slices.Contains(t.benchmarks, c.benchmark) {
		t.benchmarks = append(t.benchmarks, c.benchmark)
	}
	if !slices.Contains(t.wires, c.wire) {
		t.wires = append(t.wires, c.wire)
	}
	t.values[c] = append(t.values[c], v)
	t.units[c.benchmark] = unit
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
	for _, b := range t.benchmarks {
		fmt.Fprintf(tw, "%s, %s\t", b, t.units[b])
		for _, wire := range t.wires {
			values := t.values[cell{b, wire}]
			if len(values) == 0 {
				fmt.Fprint(tw, "-\t")
				continue
			}
			fmt.Fprintf(tw, "%.0f ±%.0f%%\t", quantile(values, 2), spread(values))
		}
		for _, wire := range t.wires {
			if wire != t.reference {
				fmt.Fprint(tw, t.ratio(b, wire)+"\t")
			}
		}
		fmt.Fprintln(tw)
	}
}

// ratio says how many times as fast as the reference a wire is.
func (t *table) ratio(benchmark, wire string) string {
	ours, ref := t.values[cell{benchmark, wire}], t.values[cell{benchmark, t.reference}]
	if len(ours) == 0 || len(ref) == 0 {
		return "-"
	}
	r := quantile(ours, 2) / quantile(ref, 2)
	for _, u := range units {
		if u.name == t.units[benchmark] && !u.more {
			r = 1 / r
		}
	}
	return fmt.Sprintf("%.2f", r)
}

// quantile returns the nth quartile: 2 is the median. It interpolates between neighbours.
func quantile(values []float64, n int) float64 {
	s := slices.Sorted(slices.Values(values))
	at := float64(len(s)-1) * float64(n) / 4
	i := int(at)
	if i+1 == len(s) {
		return s[i]
	}
	return s[i] + (at-float64(i))*(s[i+1]-s[i])
}

// spread is half the distance between the quartiles, in percent of the median.
func spread(values []float64) float64 {
	return 50 * (quantile(values, 3) - quantile(values, 1)) / quantile(values, 2)
}
