package testnet_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/testnet"
)

// lossy is one direction of a wire as bad as they come.
var lossy = link.Impairment{Loss: .05, Duplicate: .05, Reorder: .10, Corrupt: .02}

const (
	lossySize  = 64 << 10         // bytes that each end of a connection sends
	lossyLimit = 60 * time.Second // for a connection, on a machine that does nothing else
	lossyHang  = 5 * time.Minute  // for a connection on any machine
	lossyOpen  = 100              // connections on one wire at a time
)

// lossyScale is how much a test over lossy wires does.
type lossyScale struct {
	connections int
	seeds       uint64
	atOnce      int // wires; the time goes by with waiting, as long as they are few
	limit       time.Duration
}

// lossySoak asks for the long version, which `make soak` runs.
const lossySoak = "USERSTACK_SOAK"

func lossyScaleOf(t testing.TB) lossyScale {
	switch {
	case os.Getenv(lossySoak) != "":
		return lossyScale{connections: 1000, seeds: 5, atOnce: 1, limit: lossyLimit}
	case testing.Short() || raceEnabled:
		return lossyScale{connections: 100, seeds: 1, atOnce: 1, limit: lossyHang}
	}
	t.Logf("%s=1 makes this longer", lossySoak)
	return lossyScale{connections: 100, seeds: 2, atOnce: 2, limit: lossyHang}
}

// lossyWires join our stack to another, or to a kernel. Packets are lost on their way in and on their way out.
var lossyWires = []struct {
	name string
	up   func(t testing.TB, tcp stack.TCP, cfg link.ImpairConfig) (near, far side)
}{
	{"pipe", func(t testing.TB, tcp stack.TCP, cfg link.ImpairConfig) (side, side) {
		a, b := testnet.Pair(t, testnet.WithImpair(cfg), testnet.WithTCP(tcp))
		return ours(a), ours(b)
	}},
	{"tun", func(t testing.TB, tcp stack.TCP, cfg link.ImpairConfig) (side, side) {
		l := testnet.Namespaces(t, testnet.WithImpair(cfg), testnet.WithTCP(tcp))
		return ours(l.Node), kernels(l.Kernel)
	}},
}

// TestLossy opens a hundred connections at a time over lossy wires, has both ends of each send and half-close, and wants
// all of them to end in time with every byte in its place. docs/performance.md has the figures, and the settings that they
// depend on.
func TestLossy(t *testing.T) {
	scale := lossyScaleOf(t)
	for _, wire := range lossyWires {
		for _, family := range families {
			t.Run(wire.name+"/"+family.name, func(t *testing.T) {
				if scale.atOnce > 1 {
					t.Parallel()
				}
				var ways []lossyWay
				for seed := uint64(1); seed <= scale.seeds; seed++ {
					near, far := wire.up(t, stack.TCP{}, link.ImpairConfig{In: lossy, Out: lossy, Seed: seed})
					client, server := directions[seed%2].choose(near, far)
					ways = append(ways, lossyWay{client, server, family.on(server), seed})
				}
				for some := range slices.Chunk(ways, scale.atOnce) {
					for i, result := range exchangeOver(t, some, scale.connections, scale.limit) {
						for _, err := range result.faults {
							t.Errorf("seed %d: %v", some[i].seed, err)
						}
						t.Logf("seed %d: %d connections: median %.1f s, slowest %.1f s", some[i].seed,
							scale.connections, result.after(.5).Seconds(), result.after(1).Seconds())
					}
				}
			})
		}
	}
}

// lossyWay is one wire and who calls whom over it.
type lossyWay struct {
	client, server side
	on             string // where the server listens
	seed           uint64 // of the wire and of what is sent
}

// exchangeOver runs exchangeAll over each of several wires, all at once.
func exchangeOver(t testing.TB, ways []lossyWay, connections int, limit time.Duration) []*exchanged {
	results := make([]*exchanged, len(ways))
	var work sync.WaitGroup
	for i, way := range ways {
		work.Go(func() { results[i] = exchangeAll(t.Context(), way, connections, limit) })
	}
	work.Wait()
	return results
}

// exchanged is what became of a number of connections.
type exchanged struct {
	mu     sync.Mutex
	took   []time.Duration // by each end of those that ended well
	faults []error
}

func (e *exchanged) add(took time.Duration, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		e.faults = append(e.faults, err)
		return
	}
	e.took = append(e.took, took)
}

// after returns the time after which a share of the connections had ended.
func (e *exchanged) after(share float64) time.Duration {
	if len(e.took) == 0 {
		return 0
	}
	slices.Sort(e.took)
	return e.took[int(share*float64(len(e.took)-1))]
}

// exchangeAll opens n connections, lossyOpen at a time, each of which must end within the limit. Both ends send lossySize
// bytes of their own, and read to the end.
func exchangeAll(ctx context.Context, way lossyWay, n int, limit time.Duration) *exchanged {
	var result exchanged
	ln, err := way.server.listen("tcp", way.on)
	if err != nil {
		result.add(0, err)
		return &result
	}
	timed := func(end func(ctx context.Context) error) {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		start := time.Now()
		err := end(ctx)
		result.add(time.Since(start), err)
	}
	var ends, calls sync.WaitGroup
	ends.Go(func() {
		// Ends when ln is closed. A connection that does not arrive is its caller's to report.
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			ends.Go(func() { timed(func(ctx context.Context) error { return answer(ctx, conn, way.seed) }) })
		}
	})
	open := make(chan struct{}, lossyOpen)
	for number := range n {
		open <- struct{}{}
		calls.Go(func() {
			timed(func(ctx context.Context) error { return call(ctx, way, ln.Addr().String(), number) })
			<-open
		})
	}
	calls.Wait()
	ln.Close()
	ends.Wait()
	if len(result.faults) == 0 && len(result.took) != 2*n {
		result.add(0, fmt.Errorf("%d ends of %d connections ended well, and none did not", len(result.took), n))
	}
	return &result
}

// numberSize is the size of what a caller sends first, its connection's number.
const numberSize = 8

// call is the end of a connection that opens it.
func call(ctx context.Context, way lossyWay, addr string, number int) error {
	conn, err := way.client.dial(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("connection %d: %w", number, err)
	}
	defer conn.Close()
	send := binary.BigEndian.AppendUint64(nil, uint64(number))
	send = append(send, lossyBytes(way.seed, number, "call")...)
	return exchange(ctx, conn, number, send, lossyBytes(way.seed, number, "answer"))
}

// answer is the end of a connection that accepts it.
func answer(ctx context.Context, conn net.Conn, seed uint64) error {
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	var first [numberSize]byte
	if _, err := io.ReadFull(conn, first[:]); err != nil {
		return fmt.Errorf("an accepted connection: %w", err)
	}
	number := int(binary.BigEndian.Uint64(first[:]))
	return exchange(ctx, conn, number, lossyBytes(seed, number, "answer"), lossyBytes(seed, number, "call"))
}

// lossyBytes returns what one end of a connection sends.
func lossyBytes(seed uint64, number int, end string) []byte {
	var key [32]byte
	copy(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(key[:0], seed), uint64(number)), key[:16])
	copy(key[16:], end)
	data := make([]byte, lossySize)
	rand.NewChaCha8(key).Read(data)
	return data
}

// exchange sends and half-closes while it reads to the end.
func exchange(ctx context.Context, conn net.Conn, number int, send, want []byte) error {
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		_, err := conn.Write(send)
		if err == nil {
			err = conn.(interface{ CloseWrite() error }).CloseWrite()
		}
		sent <- err
	}()
	got, err := io.ReadAll(conn)
	if err != nil {
		conn.Close() // ends the write
		<-sent
		return fmt.Errorf("connection %d, after %d of %d bytes: %w", number, len(got), len(want), err)
	}
	if err := <-sent; err != nil {
		return fmt.Errorf("connection %d: %w", number, err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("connection %d: read %d bytes, and not the %d that were sent", number, len(got), len(want))
	}
	return nil
}
