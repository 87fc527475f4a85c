// Package testnet builds small networks for tests: two userspace hosts joined by a wire in memory, or one of them facing
// a real kernel in a namespace of its own. It is for tests and for cmd/userstack.
//
// The default is a pair: no root, no ports of the machine, parallel, milliseconds.
//
//	func TestMain(m *testing.M) { testnet.Main(m) } // goroutines, descriptors, packets: nothing may be left
//
//	func TestGreeting(t *testing.T) {
//		t.Parallel()
//		a, b := testnet.Pair(t)
//		ln, err := b.Host.Listen("tcp", "[fd77::2]:80")
//		…
//		c, err := a.Host.DialContext(t.Context(), "tcp", ln.Addr().String())
//		…
//	}
//
// Options change the wire and the stacks: WithImpair loses, delays and damages packets, WithMTU, WithoutGSO, WithTCP,
// WithClock.
//
// # When a test fails
//
// The packets that crossed the wire are in a pcapng file in the test's artifact directory, and the log says where, with
// the seed of the impairment and the command that replays it. Without go test's -artifacts flag that directory is gone
// when the test ends, so the command has the flag. USERSTACK_SEED sets the seed of every impairment.
//
// # Leaks
//
// Each network is closed when its test ends, and the test fails if a goroutine that started in it is still there; this
// works for parallel tests too, as goroutines inherit a profiling label from the one that starts them. Main checks
// descriptors and gVisor's packet references when all tests of a package have run, since those carry no name.
//
// # Limits
//
// A pair is one wire. The capture takes packets as the stacks hand them over, so a segment of 64 KiB is one packet in
// it; only the first bytes of each packet are kept. A goroutine that was started by a timer has no label.
package testnet
