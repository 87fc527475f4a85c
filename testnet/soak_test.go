package testnet_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/testnet"
)

const (
	soakVariable = "USERSTACK_SOAK" // how long TestSoak runs: a duration such as 10m
	soakShort    = 2 * time.Second  // when the variable is unset
	soakRound    = time.Second      // after this much the impairment changes, with new stacks
	soakWorkers  = 8                // connections at a time
	soakMaxSize  = 256 << 10        // bytes that a connection moves each way, at most
	soakHeap     = 64 << 20         // bytes that the heap may have grown by in the end
	soakPatience = time.Minute      // within which each connection must be done
)

// soakWeather is what happens to the packets, one after the other.
var soakWeather = []link.Impairment{
	{},
	{Loss: 0.02},
	{Delay: 5 * time.Millisecond, Jitter: 5 * time.Millisecond},
	{Duplicate: 0.05, Reorder: 0.05},
	{Corrupt: 0.01},
	{Rate: 50e6, Queue: 64 << 10},
	{Burst: link.GilbertElliott{ToBad: 0.01, ToGood: 0.3, BadLoss: 0.5}},
}

// TestSoak opens connections and closes them in good order and bad, through changing weather, and wants every byte right
// and nothing left behind, also no memory. `make soak` runs it for long; USERSTACK_SOAK says how long.
func TestSoak(t *testing.T) {
	length := soakShort
	if s := os.Getenv(soakVariable); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatalf("%s: %v", soakVariable, err)
		}
	}
	end := time.Now().Add(length)
	before := heap()
	var conns, bytes atomic.Int64
	for round := uint64(0); time.Now().Before(end) && !t.Failed(); round++ {
		weather := soakWeather[round%uint64(len(soakWeather))]
		t.Run(fmt.Sprintf("%d", round), func(t *testing.T) {
			a, b := testnet.Pair(t, testnet.WithImpair(link.ImpairConfig{In: weather, Out: weather, Seed: round}))
			roundEnd := time.Now().Add(soakRound)
			var workers sync.WaitGroup
			for worker := range uint64(soakWorkers) {
				workers.Go(func() {
					rng := rand.New(rand.NewPCG(round, worker))
					for time.Now().Before(roundEnd) && !t.Failed() {
						n, err := soakOne(t, rng, a, b)
						if err != nil {
							t.Errorf("round %d (%+v): %v", round, weather, err)
							return
						}
						conns.Add(1)
						bytes.Add(n)
					}
				})
			}
			workers.Wait()
		})
	}
	grown := int64(heap()) - int64(before)
	t.Logf("%d connections, %d MiB, heap grown by %d KiB", conns.Load(), bytes.Load()>>20, grown>>10)
	if grown > soakHeap {
		t.Errorf("the heap has grown by %d bytes, more than %d", grown, soakHeap)
	}
}

// soakOne makes one connection, moves random amounts both ways at once, compares digests, and closes in one of several
// ways. It returns the number of bytes moved.
func soakOne(t *testing.T, rng *rand.Rand, a, b *testnet.Node) (int64, error) {
	if rng.IntN(2) == 0 {
		a, b = b, a
	}
	on := netip.AddrPortFrom(b.Addr4, 0)
	if rng.IntN(2) == 0 {
		on = netip.AddrPortFrom(b.Addr6, 0)
	}
	ln, err := b.Host.Listen("tcp", on.String())
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	near, err := a.Host.DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		return 0, err
	}
	defer near.Close()
	far, err := ln.Accept()
	if err != nil {
		return 0, err
	}
	defer far.Close()
	until := time.Now().Add(soakPatience)
	near.SetDeadline(until)
	far.SetDeadline(until)
	there, back := rng.Int64N(soakMaxSize), rng.Int64N(soakMaxSize)
	if rng.IntN(8) == 0 { // gone without a word, with data in flight
		near.Write(make([]byte, there))
		return 0, nil
	}
	errs := make(chan error, 4)
	go func() { errs <- push(near, 'n', there) }()
	go func() { errs <- push(far, 'f', back) }()
	go func() { errs <- pull(near, 'f', back) }()
	go func() { errs <- pull(far, 'n', there) }()
	for range cap(errs) {
		if e := <-errs; e != nil && err == nil {
			err = e
			near.Close()
			far.Close()
		}
	}
	return there + back, err
}

// push sends noise and the end of the stream.
func push(c net.Conn, seed byte, n int64) error {
	if _, err := io.Copy(c, noise(seed, n)); err != nil {
		return fmt.Errorf("sending %d bytes: %w", n, err)
	}
	return c.(interface{ CloseWrite() error }).CloseWrite()
}

// pull wants the noise that push sends, and the end of the stream after it.
func pull(c net.Conn, seed byte, n int64) error {
	got, m, err := digestOf(c)
	if err != nil {
		return fmt.Errorf("receiving %d of %d bytes: %w", m, n, err)
	}
	if want, _, _ := digestOf(noise(seed, n)); got != want {
		return fmt.Errorf("%d of %d bytes came, with digest %s, want %s", m, n, got, want)
	}
	return nil
}

// heap returns the bytes in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
