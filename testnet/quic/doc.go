// Package quic shows that quic-go runs over our sockets and takes its fast way: UDP_SEGMENT, ECN and batches. It is a
// module of its own, so that quic-go stays out of the main go.mod.
//
//	cd testnet/quic && go test -bench .
package quic
