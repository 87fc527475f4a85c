package testnet_test

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/testnet"
)

// The benchmarks of TCP settings: each path with one setting and with another in turn, A B A B, so that what else the
// machine does meets both. `make bench-tcp` runs them; docs/performance.md has what came out.

// How long a transfer lasts, from its first byte on: slow start is a part of it. What follows a full queue takes longer.
const (
	settled = 3 * time.Second
	cycles  = 15 * time.Second
)

// tcpPaths are one-way impairments; the way back has the delay alone.
var tcpPaths = []struct {
	name string
	out  link.Impairment
}{
	{"unlimited", link.Impairment{}},
	{"10Gbit,0.2ms", link.Impairment{Rate: 10e9, Delay: 100 * time.Microsecond}},
	{"1Gbit,50ms", link.Impairment{Rate: 1e9, Delay: 25 * time.Millisecond, Queue: 6 << 20}},
	{"100Mbit,66ms", link.Impairment{Rate: 100e6, Delay: 33 * time.Millisecond}},
	{"100Mbit,66ms,loss=0.01%", link.Impairment{Rate: 100e6, Delay: 33 * time.Millisecond, Loss: .0001}},
	{"10ms,loss=0.1%", link.Impairment{Delay: 5 * time.Millisecond, Loss: .001}},
	{"10ms,loss=1%", link.Impairment{Delay: 5 * time.Millisecond, Loss: .01}},
	{"1Gbit,50ms,queue=1MB", link.Impairment{Rate: 1e9, Delay: 25 * time.Millisecond, Queue: 1 << 20}},
	{"100Mbit,66ms,queue=200kB", link.Impairment{Rate: 100e6, Delay: 33 * time.Millisecond, Queue: 200e3}},
	{"loss=1%", link.Impairment{Loss: .01}},
}

// tcpSettings are compared in pairs: the first is the default.
var tcpSettings = []struct {
	name string
	tcp  stack.TCP
}{
	{"cubic", stack.TCP{CongestionControl: stack.Cubic}},
	{"reno", stack.TCP{CongestionControl: stack.Reno}},
	{"rack", stack.TCP{LossRecovery: stack.RecoveryRACK}},
	{"send=1MiB", stack.TCP{MaxSendBuffer: 1 << 20}},
	{"send=8MiB", stack.TCP{MaxSendBuffer: 8 << 20}},
	{"send=16MiB", stack.TCP{MaxSendBuffer: 16 << 20}},
	{"receive=4MiB", stack.TCP{MaxReceiveBuffer: 4 << 20}},
	{"minRTO=50ms", stack.TCP{MinRTO: 50 * time.Millisecond}},
	{"minRTO=10ms", stack.TCP{MinRTO: 10 * time.Millisecond}},
}

// BenchmarkTCPSettings measures one connection for three seconds over each path with each setting, and reports the
// median of what arrived per second. Run it with -benchtime 1x.
func BenchmarkTCPSettings(b *testing.B) {
	for _, path := range tcpPaths {
		b.Run(path.name, func(b *testing.B) {
			in := link.Impairment{Delay: path.out.Delay}
			for _, setting := range tcpSettings {
				b.Run(setting.name, func(b *testing.B) {
					var rates []float64
					for b.Loop() {
						for seed := range uint64(3) {
							cfg := link.ImpairConfig{Out: path.out, In: in, Seed: seed + 1}
							rates = append(rates, timedBulk(b, setting.tcp, &cfg))
						}
					}
					b.ReportMetric(0, "ns/op")
					b.ReportMetric(median(rates), "Mbit/s")
				})
			}
		})
	}
}

// workerRounds is how often each number of workers has its turn.
const workerRounds = 7

// BenchmarkTCPWorkers measures stacks whose TCP has so many workers, in turn: as many as runtime.GOMAXPROCS when the stack
// is made.
func BenchmarkTCPWorkers(b *testing.B) {
	for _, wire := range wires {
		if wire.name != "pipe" && wire.name != "tun" {
			continue
		}
		for _, connections := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/%d", wire.name, connections), func(b *testing.B) {
				counts := []int{1, 2, 4}
				rates := map[int][]float64{}
				for range workerRounds * b.N {
					for _, workers := range counts {
						was := runtime.GOMAXPROCS(workers)
						near, far := wire.up(b)
						runtime.GOMAXPROCS(was)
						rates[workers] = append(rates[workers], bulkFor(b, near, far, connections, time.Second/3))
					}
				}
				b.ReportMetric(0, "ns/op")
				for _, workers := range counts {
					b.ReportMetric(median(rates[workers]), fmt.Sprintf("%d-Mbit/s", workers))
				}
			})
		}
	}
}

// cycleQueue is the queue in bytes below which it fills again and again.
const cycleQueue = 2 << 20

// timedBulk returns the speed in Mbit/s of a connection between two stacks of ours.
func timedBulk(b *testing.B, tcp stack.TCP, cfg *link.ImpairConfig) float64 {
	opts := []testnet.Option{testnet.WithTCP(tcp)}
	if cfg.Out != (link.Impairment{}) {
		opts = append(opts, testnet.WithImpair(*cfg))
	}
	lasts := settled
	if cfg.Out.Queue != 0 && cfg.Out.Queue < cycleQueue {
		lasts = cycles
	}
	near, far := testnet.Pair(b, opts...)
	return bulkFor(b, ours(near), ours(far), 1, lasts)
}

// bulkFor sends on so many connections as fast as it goes for a while, and returns the speed in Mbit/s at which the bytes
// arrived.
func bulkFor(b *testing.B, near, far side, connections int, d time.Duration) float64 {
	var from, to []net.Conn
	for range connections {
		f, t := connected(b, near, far)
		from, to = append(from, f), append(to, t)
	}
	var senders, receivers sync.WaitGroup
	for _, conn := range from {
		senders.Go(func() {
			buf := make([]byte, chunk)
			for {
				if _, err := conn.Write(buf); err != nil {
					return
				}
			}
		})
	}
	var bytes atomic.Int64
	start := time.Now()
	for _, conn := range to {
		receivers.Go(func() {
			conn.SetReadDeadline(start.Add(d))
			n, _ := io.Copy(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{conn}) // ends with the deadline
			bytes.Add(n)
		})
	}
	receivers.Wait()
	took := time.Since(start)
	for _, conn := range slices.Concat(to, from) {
		conn.Close()
	}
	senders.Wait()
	return float64(bytes.Load()) * 8 / 1e6 / took.Seconds()
}
