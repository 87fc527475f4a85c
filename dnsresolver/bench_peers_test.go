package dnsresolver

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The same lookups by Go's own resolver, and by the machine's C library where there
// is a compiler, to be compared with those of bench_test.go in one run:
//
//	go test -run '^$' -bench 'Literal|Local|UncachedKernel' -count 5 ./dnsresolver

func BenchmarkGoLiteral(b *testing.B)   { benchmarkGo(b, "ip", "192.0.2.1", nil) }
func BenchmarkGoLocalhost(b *testing.B) { benchmarkGo(b, "ip", "localhost", nil) }

// Go keeps no answers: this is what each lookup of a name costs.
func BenchmarkGoUncachedKernel(b *testing.B) {
	server := kernelServer(b, quickServer)
	benchmarkGo(b, "ip4", "www.example.com.", func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Addr.String())
	})
}

func benchmarkGo(b *testing.B, network, host string, dial func(context.Context, string, string) (net.Conn, error)) {
	r := &net.Resolver{PreferGo: true, Dial: dial}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.LookupNetIP(b.Context(), network, host); err != nil {
			b.Fatal(err)
		}
	}
}

const glibcProgram = `
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

int main(int argc, char **argv) {
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	struct timespec a, b;
	long n = atol(argv[2]);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (long i = 0; i < n; i++) {
		if (getaddrinfo(argv[1], NULL, &hints, &list) != 0)
			return 1;
		freeaddrinfo(list);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%f\n", ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / n);
	return 0;
}
`

func BenchmarkGlibcLiteral(b *testing.B)   { benchmarkGlibc(b, "192.0.2.1") }
func BenchmarkGlibcLocalhost(b *testing.B) { benchmarkGlibc(b, "localhost") }

func benchmarkGlibc(b *testing.B, host string) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		b.Skipf("no C compiler to measure the C library with: %v", err)
	}
	dir := b.TempDir()
	source, program := filepath.Join(dir, "bench.c"), filepath.Join(dir, "bench")
	if err := os.WriteFile(source, []byte(glibcProgram), 0o600); err != nil {
		b.Fatal(err)
	}
	if out, err := exec.Command(cc, "-O2", "-o", program, source).CombinedOutput(); err != nil {
		b.Skipf("the C compiler has no C library: %v: %s", err, out)
	}
	b.ResetTimer()
	out, err := exec.Command(program, host, strconv.Itoa(b.N)).Output()
	if err != nil {
		b.Fatalf("%s of %s: %v", program, host, err)
	}
	ns, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(ns, "ns/op") // without starting the program
}
