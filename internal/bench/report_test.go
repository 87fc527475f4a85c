package bench

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sample makes a sample of the first metric.
func sample(load, wire string, round int, metric string, value float64, limit string) Sample {
	return Sample{Load: load, Wire: wire, Round: round, Values: map[string]float64{metric: value}, Limit: limit,
		Seen: &Seen{Seconds: 1, Shares: []share{{Name: "near end", User: time.Second}}}}
}

// exampleReport has every kind of row: a reference, better and worse, unsteady, failed, absent.
func exampleReport() *Report {
	r := &Report{
		Format: Format, Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Command: "userstack bench", Time: Seconds(time.Second),
		Machine: Machine{System: "linux/amd64", Kernel: "Linux 6.1", Processor: "A & B <CPU>", Processors: 2, Go: "go1.26", Commit: "0123456789abcdef"},
		Absent:  []Absent{{"pasta", "none is installed"}, {"gvisor-tap-vsock", "no source"}, {"wireguard-go", "none is installed"}},
	}
	for i, v := range []struct{ tun, veth float64 }{{40, 50}, {80, 160}, {90, 100}} {
		r.Samples = append(r.Samples,
			sample("out-1", "tun", i+1, "rate", v.tun, "one processor"),
			sample("out-1", "veth", i+1, "rate", v.veth, "both"),
			sample("rtt-idle", "tun", i+1, "p50", 30, "waiting"),
			sample("rtt-idle", "tun-naive", i+1, "p50", 5, "waiting"),
			sample("rtt-idle", "veth", i+1, "p50", 20, "waiting"),
			sample("rtt-idle", "pair", i+1, "p50", 12, "waiting"),
			sample("rtt-idle", "lo", i+1, "p50", 12, "waiting"))
	}
	for i := range 2 {
		r.Samples = append(r.Samples, sample("udp64-out", "tun", i+1, "rate", 123456, "busy"), sample("udp64-out", "veth", i+1, "rate", 246912, "busy"))
	}
	failed := Sample{Load: "out-1", Wire: "tun-naive", Round: 1, Error: "the device | is gone"}
	half := sample("out-1", "wireguard-go", 1, "rate", 2, "slow")
	gone := Sample{Load: "out-1", Wire: "wireguard-go", Round: 2, Error: "nothing arrived"}
	skipped := Sample{Load: "rtt-idle", Wire: "tun-gro", Round: 1, Skipped: "it makes no sense"}
	other := skipped
	other.Wire = "lo"
	r.Samples = append(r.Samples, failed, half, gone, skipped, other, skipped)
	r.Samples[0].Values[cost.Name] = 0.5 // the other loads have their first metric alone
	return r
}

// TestRatio: a ratio is the median of the rounds' ratios, 0.8, 0.5 and 0.9, and not the ratio of the medians, 80 to 100.
func TestRatio(t *testing.T) {
	r := exampleReport()
	f, ok := r.figure("out-1", "tun", "veth", "rate")
	if !ok || f.Median != 80 || math.Abs(f.Ratio-0.8) > 1e-9 || f.Rounds != 3 || !f.Unsteady() {
		t.Errorf("%+v, %v", f, ok)
	}
	r.Samples[1].Values["rate"] = 400 // 0.1, 0.5, 0.9; the medians are 80 and 160
	if f, _ := r.figure("out-1", "tun", "veth", "rate"); f.Ratio != 0.5 {
		t.Errorf("ratio %v, want 0.5", f.Ratio)
	}
	r.Samples[7].Error = "failed" // round 2 has no partner any more
	if f, _ := r.figure("out-1", "tun", "veth", "rate"); f.Rounds != 2 || f.Ratio != 0.5 {
		t.Errorf("%+v, want two rounds, of 0.1 and 0.9", f)
	}
	if _, ok := r.figure("out-1", "pasta", "veth", "rate"); ok {
		t.Error("there is a figure of what was not measured")
	}
}

func TestTable(t *testing.T) {
	var out strings.Builder
	if err := exampleReport().WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/table.txt", out.String())
}

func TestMarkdown(t *testing.T) {
	var out strings.Builder
	if err := exampleReport().WriteMarkdown(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/table.md", out.String())
}

func TestChart(t *testing.T) {
	var out, again strings.Builder
	if err := exampleReport().WriteSVG(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/chart.svg", out.String())
	decoder := xml.NewDecoder(strings.NewReader(out.String()))
	for {
		if _, err := decoder.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal("not XML: ", err)
		}
	}
	if exampleReport().WriteSVG(&again); again.String() != out.String() {
		t.Error("the same report gives another chart")
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != got {
		t.Errorf("%v: not %s (go test -update writes it anew)\n%s", err, file, got)
	}
}

func TestRoundTrip(t *testing.T) {
	r := exampleReport()
	var file bytes.Buffer
	if err := r.Write(&file); err != nil {
		t.Fatal(err)
	}
	got, err := Read(bytes.NewReader(file.Bytes()))
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%v\n%+v\n%+v", err, got, r)
	}
	var any map[string]any
	if err := json.Unmarshal(file.Bytes(), &any); err != nil || any["time"] != 1.0 {
		t.Errorf("%v: the time is %v, want a second", err, any["time"])
	}
	for _, text := range []string{"", "[]", `{"format": 2}`, `{}`} {
		if _, err := Read(strings.NewReader(text)); err == nil {
			t.Errorf("%q is taken for a report", text)
		}
	}
}

func TestMerge(t *testing.T) {
	r, newer := exampleReport(), exampleReport()
	newer.Samples = []Sample{sample("out-1", "tun", 1, "rate", 7, ""), sample("udp64-in", "pasta", 1, "rate", 8, "")}
	newer.Absent = []Absent{{"slirp4netns", "missing"}}
	before := len(r.Samples)
	if err := r.Merge(newer); err != nil {
		t.Fatal(err)
	}
	if f, _ := r.figure("out-1", "tun", "veth", "rate"); f.Median != 7 || f.Rounds != 1 {
		t.Errorf("out-1 over tun is %+v, want what was measured anew", f)
	}
	if f, _ := r.figure("out-1", "veth", "", "rate"); f.Rounds != 3 {
		t.Errorf("out-1 over veth is %+v, want what was there", f)
	}
	var absent []string // only what has no sample
	for _, a := range r.Absent {
		absent = append(absent, a.Wire)
	}
	if !slices.Equal(absent, []string{"slirp4netns", "gvisor-tap-vsock"}) {
		t.Errorf("absent: %v", absent)
	}
	if len(r.Samples) != before-3+2 {
		t.Errorf("%d samples, want %d", len(r.Samples), before-3+2)
	}
	newer.Machine.Processors++
	if err := r.Merge(newer); err == nil {
		t.Error("reports of two machines are one")
	}
}
