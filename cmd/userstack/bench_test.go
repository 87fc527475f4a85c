package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
)

// TestBench measures over the pipe in memory, which every machine has, keeps that in a file, measures a part anew, and
// prints and draws the file.
func TestBench(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, chart := filepath.Join(dir, "bench.json"), filepath.Join(dir, "bench.svg")
	measure := []string{"bench", "--rounds", "1", "--time", "50ms", "--wire", "pair", "--load"}
	try(t, append(measure, "out-1,rtt-idle", "--json", file)...).
		expect(t, exitOK, `bulk, 1 connection, out\n +wire +Gbit/s.*\n +pair +[\d.,]+ .*one-byte round trip, idle machine\n`, `1/2 out-1, round 1/1, pair: [\d.,]+ Gbit/s`)
	try(t, append(measure, "udp64-out,out-1", "--append", file, "--svg", chart)...).
		expect(t, exitOK, `bulk, 1 connection, out\n.*one-byte round trip, idle machine\n.*UDP, 64 B, out\n`, `2/2 udp64-out`)
	if svg, err := os.ReadFile(chart); err != nil || len(svg) == 0 {
		t.Errorf("%v: a chart of %d bytes", err, len(svg))
	}
	try(t, "bench", "--from", file, "--markdown").expect(t, exitOK, `\*\*UDP, 64 B, out\*\*\n\n\| wire \| packets/s \|`, "")
	document := filepath.Join(dir, "document.md")
	if err := os.WriteFile(document, []byte("before\n<!-- bench: begin; written by userstack bench -->\nold\n<!-- bench: end -->\nafter\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		try(t, "bench", "--from", file, "--document", document).expect(t, exitOK, "UDP, 64 B", "")
		text, err := os.ReadFile(document)
		if err != nil || !regexp.MustCompile(`(?s)^before\n<!--.*begin.*-->\n\*\*bulk.*\.\n<!-- bench: end -->\nafter\n$`).Match(text) {
			t.Errorf("%v:\n%s", err, text)
		}
	}
	try(t, "bench", "--from", file, "--document", file).expect(t, exitFailure, "", "lacks the marks <!-- bench: begin")
	try(t, append(measure, "rtt-pinned")...).expect(t, exitFailure, `Not measured: rtt-pinned over pair\. both ends are one process\.`, "nothing was measured")
	try(t, "bench", "--list").expect(t, exitOK, `out-8 +bulk.* +pair +two stacks`, "")
}

// TestBenchUsage: what makes no sense is said before anything is measured.
func TestBenchUsage(t *testing.T) {
	t.Parallel()
	none := filepath.Join(t.TempDir(), "none.json")
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte(`{"format": 99}`), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"--load", "nosuch"}, exitUsage, `there is no load "nosuch"; there are out-1, in-1`},
		{[]string{"--wire", "nosuch"}, exitUsage, `there is no wire "nosuch"; there are .*pair, lo`},
		{[]string{"--rounds", "0"}, exitUsage, `0 rounds are not from 1 to 1000`},
		{[]string{"--time", "1ms"}, exitUsage, `a time of 1ms is not from 20ms`},
		{[]string{"--time", "x"}, exitUsage, `invalid argument "x"`},
		{[]string{"more"}, exitUsage, `takes no arguments`},
		{[]string{"--from", none, "--json", none}, exitUsage, `none of the others can be`},
		{[]string{"--from", none}, exitFailure, `none\.json: no such file or directory`},
		{[]string{"--from", broken}, exitFailure, `the report has format 99, and this program reads 1`},
		{[]string{"--append", none, "--wire", "pair"}, exitFailure, `none\.json: no such file or directory`},
	} {
		try(t, append([]string{"bench"}, c.args...)...).expect(t, c.code, "", c.stderr)
	}
}

// TestBenchInterrupted: a signal ends it at once, however long it would have taken.
func TestBenchInterrupted(t *testing.T) {
	t.Parallel()
	cmd := userstack(t, "bench", "--wire", "pair", "--load", "out-1", "--time", "1h")
	r := start(t, cmd, nil)
	r.await(t, `^loads: 1, wires: 1, rounds: 3; this takes about 3h0m`)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	r.end(t).expect(t, exitSignal+int(syscall.SIGINT), "", `^loads: 1.*\n$`)
}

// TestBenchDocument: the table and the chart in docs are those of docs/bench.json.
func TestBenchDocument(t *testing.T) {
	t.Parallel()
	const docs = "../../docs/"
	dir := t.TempDir()
	for _, name := range []string{"performance.md", "bench.svg"} {
		text, err := os.ReadFile(docs + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	try(t, "bench", "--from", docs+"bench.json", "--svg", filepath.Join(dir, "bench.svg"), "--document", filepath.Join(dir, "performance.md")).
		expect(t, exitOK, "bulk", "")
	for _, name := range []string{"performance.md", "bench.svg"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		want, wantErr := os.ReadFile(docs + name)
		if err != nil || wantErr != nil || !bytes.Equal(got, want) {
			t.Errorf("%v, %v: docs/%s is not that of docs/bench.json: docs/performance.md has the command that writes it", err, wantErr, name)
		}
	}
}
