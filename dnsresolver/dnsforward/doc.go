// Package dnsforward is a DNS server that answers from a [dnsresolver.Resolver],
// for programs that bring a resolver of their own, such as a libc: it listens where
// they look for a name server.
//
//	server, err := dnsforward.New(dnsforward.Config{Resolver: r})
//	if err != nil {
//		return err
//	}
//	defer server.Close()
//	go server.ServePacket(pc) // a net.PacketConn on 10.0.2.3:53, for example
//	go server.Serve(l)        // a net.Listener on the same
//
// # How it works
//
// A question of class IN is asked with [dnsresolver.Resolver.Question]: hosts files,
// names with a fixed meaning, cache, split DNS and protection against rebinding are
// the Resolver's. The reply repeats the question as it stood, has the chain of aliases
// and the records, and says NXDOMAIN or has no record where that is so. SERVFAIL says
// that the Resolver failed.
//
// Replies over UDP have at most 512 bytes, or what the client allows with EDNS (RFC
// 6891) and at most 1232; the others have the TC bit, and the client asks again over
// TCP. Over TCP a client may ask on without waiting (RFC 7766), and gets replies as
// they are ready.
//
// Zone transfers and classes other than IN are answered REFUSED, other opcodes and meta
// types NOTIMP. ANY is answered as RFC 8482 says. What makes no sense is
// FORMERR, and what is no query is dropped.
//
// # Limits
//
// There is no DNSSEC: records of its types can be asked for, but do not come by
// themselves, so that the bit DO is cleared in replies. AD says what the Resolver
// knows, which needs its option trust-ad. CD changes nothing, and is repeated.
//
// Negative answers have no SOA record, since the Resolver keeps none; clients do not
// keep such answers (RFC 2308 section 5), and ask again what the Resolver knows.
//
// A PacketConn that is bound to no address may send replies from another one than the
// client asked: bind it to one.
package dnsforward
