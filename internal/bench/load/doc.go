// Package load makes the traffic of the benchmarks and counts it: bulk transfers, round trips of one byte, short
// connections, datagrams, idle connections. Whose sockets carry it is up to a [Network]; nothing here knows a stack, so
// that the peers, which are a module of their own, make the very same traffic.
//
//	far := load.NewFar(network, addr)       // serves whatever comes
//	near := load.NewNear(network)
//	err := near.Start(ctx, load.Job{Kind: load.Out, Conns: 8, TCP: far.TCP(), UDP: far.UDP()})
//	before := near.Counts()
//	// … a second later
//	rate := near.Counts().BytesOut - before.BytesOut
//
// # How it works
//
// Near makes every connection and says with its first byte what far is to do with it, so that one far end serves all loads
// and stands behind address translation as well. Both ends only count, from the start on; who measures takes the
// difference of two samples, each with its own time. [Serve] answers for both ends over a pair of pipes.
//
// # Limits
//
// Datagrams are one flow. Far serves until it is closed and is no server to leave on a network: it sends without end to
// whoever asks.
package load
