package testnet_test

import (
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
)

// recoveries are the settings that loss recovery depends on; docs/performance.md has a table of the outcomes.
var recoveries = []struct {
	name string
	tcp  stack.TCP
}{
	{"default", stack.TCP{}},
	{"SACK,RTO≤120s", stack.TCP{LossRecovery: stack.RecoverySACK, MaxRTO: 120 * time.Second}},
	{"SACK,RTO≤8s", stack.TCP{LossRecovery: stack.RecoverySACK, MaxRTO: 8 * time.Second}},
	{"SACK,RTO≤4s", stack.TCP{LossRecovery: stack.RecoverySACK, MaxRTO: 4 * time.Second}},
	{"SACK,RTO≤1s", stack.TCP{LossRecovery: stack.RecoverySACK, MaxRTO: time.Second}},
	{"RACK,RTO≤120s", stack.TCP{LossRecovery: stack.RecoveryRACK, MaxRTO: 120 * time.Second}},
	{"RACK,RTO≤2s", stack.TCP{LossRecovery: stack.RecoveryRACK, MaxRTO: 2 * time.Second}},
}

// BenchmarkLossRecovery measures how long the exchange of TestLossy takes under each setting, and how many ends of
// 500 connections (five seeds) do not come to theirs within a minute. Run it with -benchtime 1x.
func BenchmarkLossRecovery(b *testing.B) {
	for _, wire := range lossyWires {
		for _, recovery := range recoveries {
			b.Run(fmt.Sprintf("%s/%s", wire.name, recovery.name), func(b *testing.B) {
				var medians, slowest []float64
				unfinished := 0
				for b.Loop() {
					var ways []lossyWay
					for seed := uint64(1); seed <= 5; seed++ {
						near, far := wire.up(b, recovery.tcp, link.ImpairConfig{In: lossy, Out: lossy, Seed: seed})
						ways = append(ways, lossyWay{near, far, families[seed%2].on(far), seed})
					}
					for _, result := range exchangeOver(b, ways, 100, lossyLimit) {
						medians = append(medians, result.after(.5).Seconds())
						slowest = append(slowest, result.after(1).Seconds())
						unfinished += len(result.faults)
					}
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(median(medians), "median-s")
				b.ReportMetric(median(slowest), "slowest-s")
				b.ReportMetric(slices.Max(slowest), "worst-s")
				b.ReportMetric(float64(unfinished)/float64(b.N), "unfinished")
			})
		}
	}
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// longPaths are 66 ms there and back; queues are in bytes, and 825,000 is what is in flight at 100 Mbit/s.
var longPaths = []struct {
	name string
	out  link.Impairment
	size int64 // bytes to send
}{
	{"100Mbit", link.Impairment{Rate: 100e6}, 50 << 20},
	{"100Mbit,queue=200kB", link.Impairment{Rate: 100e6, Queue: 200e3}, 50 << 20},
	{"500Mbit", link.Impairment{Rate: 500e6}, 200 << 20},
	{"100Mbit,loss=0.1%", link.Impairment{Rate: 100e6, Loss: .001}, 10 << 20},
	{"100Mbit,reorder=1%", link.Impairment{Rate: 100e6, Reorder: .01}, 10 << 20},
}

// BenchmarkLongPath measures the throughput of one connection between two of our stacks over a long path.
func BenchmarkLongPath(b *testing.B) {
	for _, path := range longPaths {
		for _, recovery := range []struct {
			name string
			tcp  stack.TCP
		}{
			{"SACK", stack.TCP{LossRecovery: stack.RecoverySACK}},
			{"RACK", stack.TCP{LossRecovery: stack.RecoveryRACK}},
		} {
			b.Run(path.name+"/"+recovery.name, func(b *testing.B) {
				var rates []float64
				for b.Loop() {
					for seed := range uint64(3) {
						out := path.out
						out.Delay = 33 * time.Millisecond
						cfg := link.ImpairConfig{Out: out, In: link.Impairment{Delay: out.Delay}, Seed: seed}
						near, far := lossyWires[0].up(b, recovery.tcp, cfg)
						rates = append(rates, lossyBulk(b, near, far, path.size))
					}
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(median(rates), "Mbit/s")
			})
		}
	}
}

// lossyBulk returns the speed in Mbit/s at which size bytes arrive.
func lossyBulk(b *testing.B, near, far side, size int64) float64 {
	b.Helper()
	ln, err := far.listen("tcp", families[0].on(far))
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			b.Error(err)
		}
		accepted <- conn
	}()
	conn, err := near.dial(b.Context(), "tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	peer := <-accepted
	if peer == nil {
		return 0
	}
	defer peer.Close()
	start := time.Now()
	go io.CopyN(conn, noise(0, size), size) // ends with conn
	if _, err := io.CopyN(io.Discard, peer, size); err != nil {
		b.Fatal(err)
	}
	return float64(size) * 8 / 1e6 / time.Since(start).Seconds()
}
