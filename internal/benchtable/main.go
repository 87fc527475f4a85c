// Command benchtable runs benchmarks in rounds, those of package testnet unless told otherwise, and prints how each wire
// compares with the kernel's own:
//
//	go run ./internal/benchtable -rounds 5 | tee new.txt
//
// In a round each benchmark runs once over every wire, so that a machine that slows down, slows all of them. The lines of
// the benchmarks come first, as go test prints them, and benchstat reads them; then a table of medians over the rounds,
// with the spread between the quartiles, and the ratio to the reference, above 1 where ours is better.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	rounds := flag.Int("rounds", 5, "`number` of rounds")
	benchtime := flag.String("benchtime", "1s", "`time` of each benchmark in each round")
	bench := flag.String("bench", "Send|Receive|PingPong|Connect", "benchmarks to run, a `regexp`")
	pkg := flag.String("pkg", "github.com/userstack/userstack/testnet", "import `path` of the benchmarks")
	reference := flag.String("reference", "veth", "`wire` that the others are compared with")
	flag.Parse()
	results := &table{reference: *reference}
	if err := run(*pkg, *rounds, os.Stdout, results, "-test.run=^$", "-test.bench="+*bench, "-test.benchtime="+*benchtime); err != nil {
		fmt.Fprintln(os.Stderr, "benchtable:", err)
		os.Exit(1)
	}
	fmt.Println()
	results.print(os.Stdout)
}

// run builds the benchmarks once and runs them in rounds. What they print goes to w and into the table.
func run(pkg string, rounds int, w io.Writer, results *table, args ...string) error {
	dir, err := os.MkdirTemp("", "benchtable-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "bench.exe") // the suffix is Windows', and does no harm elsewhere
	build := exec.Command("go", "test", "-c", "-o", binary, pkg)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("%v: %w", build, err)
	}
	for range rounds {
		cmd := exec.Command(binary, args...)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		w.Write(out)
		if err != nil {
			return fmt.Errorf("%v: %w", cmd, err)
		}
		lines := bufio.NewScanner(bytes.NewReader(out))
		for lines.Scan() {
			results.add(lines.Text())
		}
	}
	return nil
}
