package main

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	tab := table{reference: "veth"}
	for line := range strings.Lines(`goos: linux
BenchmarkSend/tun-2      	   24822	     45560 ns/op	1000.00 MB/s
BenchmarkSend/veth-2     	   28074	     40152 ns/op	2000.00 MB/s
BenchmarkSend/tun-2      	   24822	     45560 ns/op	3000.00 MB/s
BenchmarkSend/veth-2     	   28074	     40152 ns/op	2000.00 MB/s
BenchmarkSend/veth-2     	   28074	     40152 ns/op	9000.00 MB/s
BenchmarkPingPong/tun-2  	   26930	     40000 ns/op
BenchmarkPingPong/veth-2 	   84852	     10000 ns/op
BenchmarkConnect/tun     	   10000	     10000 ns/op	    5000 conns/s
BenchmarkSend8/tun-2     	   24822	     45560 ns/op	1500.00 MB/s	         0.500 cpu-s/GB
BenchmarkSend8/veth-2    	   24822	     45560 ns/op	2000.00 MB/s	         0.250 cpu-s/GB
PASS
`) {
		tab.add(strings.TrimSpace(line))
	}
	var out strings.Builder
	tab.print(&out)
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"median of the rounds tun veth tun/veth",
		"Send, MB/s 2000 ±25% 2000 ±88% 1.00",
		"PingPong, ns/op 40000 ±0% 10000 ±0% 0.25",
		"Connect, conns/s 5000 ±0% - -",
		"Send8, MB/s 1500 ±0% 2000 ±0% 0.75",
		"Send8, cpu-s/GB 0.50 ±0% 0.25 ±0% 0.50",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
