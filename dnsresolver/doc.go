// Package dnsresolver turns host names into addresses without the help of the
// kernel: every packet leaves through a Transport that the caller gives, such as
// a host of a userspace stack, and every file is one that the caller named.
//
//	r, err := dnsresolver.New(dnsresolver.Config{
//		Transport:  host, // has DialContext
//		ResolvConf: "/etc/resolv.conf",
//		HostsFile:  "/etc/hosts",
//	})
//	if err != nil {
//		return err
//	}
//	defer r.Close()
//	addrs, err := r.LookupNetIP(ctx, "ip", "www.example.com")
//
// # How it works
//
// A name that is an address (in any form of inet_aton(3), or IPv6 with a zone)
// is returned as such. Then come Config.Hosts and the hosts file. localhost and
// all names below it are otherwise the loopback addresses, and .invalid and
// .onion do not exist; none of them is ever sent to anybody. At last comes DNS,
// with the search list and ndots of resolv.conf(5).
//
// A and AAAA are asked for side by side. Each question goes to the best server
// first; when that is silent for longer than its measured round trip suggests,
// the next is asked as well, and the first good answer wins. Servers that fail or
// stay silent are asked last for a while. A lookup ends after Timeout × Attempts
// (10 s) however many servers there are, over TCP as well as UDP.
//
// Answers are remembered for their life (RFC 2181), that there is none for as
// long as the zone says (RFC 2308), and failures for some seconds (RFC 9520), in a
// cache with bounds; Config.Cache sets them. Lookups that ask the same at the same
// time ask once. Config.Groups gives domains servers of their own (split DNS),
// and no other server learns of the names in them.
//
// A Server may be asked over TLS or HTTPS (RFC 7858, RFC 8484). It must prove who it
// is, by its certificate or by a pinned key; when it cannot, the next server is
// asked, and never the same one in the clear. Queries are padded (RFC 8467).
//
// Each query over UDP has a socket, a port and a random ID of its own. A reply counts only
// if it repeats the ID and the question exactly; anything else is dropped and the
// wait goes on. Of a reply only the chain of aliases that begins at the name
// asked for is used, so a server cannot slip in records of other names. A server
// that chokes on EDNS is asked again without; a reply that is truncated is asked
// for again over TCP.
//
// On top of Lookup and LookupAddr are getaddrinfo(3), getnameinfo(3) and the
// gethostbyname(3) family, with the front end of package netdb. What they answer
// differs from glibc's in the points that golden_test.go lists and nowhere else
// in some 7,600 calls.
//
// Net has the methods of *net.Resolver on a Resolver.
//
// Config.Trace sees each of these steps, packet by packet.
//
// # Errors
//
// Every error is an *Error, which can be looked at as a getaddrinfo(3) code, as
// an h_errno value and as a *net.DNSError.
//
// # Limits
//
// At most 512 questions are on their way at a time, and 128 at one server; a
// lookup that waits for its turn until its time is over fails with ErrBusy. One
// question costs at most attempts × servers + 2 packets, and never more than 16.
// An answer has at most 1,024 addresses, a hosts file 64 MiB.
//
// LookupRecords asks for records of any type, and package dnsforward passes
// answers on. Up to four TCP connections to a server are kept for ten seconds.
// There is no DNS over QUIC and no DNSSEC validation, and Options.MDNS asks but
// does not answer. Of RFC 6724, the rules that need to know of deprecated source
// addresses, mobile homes and tunnels are left out.
package dnsresolver
