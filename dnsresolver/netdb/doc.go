// Package netdb has what netdb.h has and no network: getaddrinfo(3),
// getnameinfo(3) and the gethostbyname(3) family with their checks, flags and
// error codes, over a name service that the caller brings, and the databases of
// services(5), protocols(5) and hosts(5).
//
//	addr, rest, ok := netdb.ParseAton("0x7f.1") // 127.0.0.1, "", true
//
// and
//
//	db := netdb.DB{Names: resolver} // a *dnsresolver.Resolver, for example
//	list, err := db.GetAddrInfo(ctx, "www.example.com", "https", netdb.Hints{})
//	for _, ai := range list {
//		fmt.Println(ai.Family, ai.SockType, ai.Protocol, ai.Addr)
//	}
//
// The order of the checks, the numbers and the texts are glibc's, as measured;
// dnsresolver's tests compare the answers with glibc's.
//
// # How it works
//
// Literals, services, protocols and hosts files are read here. A name that is
// none of these goes to DB.Names. What depends on interfaces, the zones of
// addresses and AI_ADDRCONFIG, comes from DB.Interfaces.
//
// # Limits
//
// There is no SCTP, no DCCP and no UDP-Lite: a hint that asks for them is
// EAI_SOCKTYPE. There are no networks(5), aliases(5) or NSS. Non-ASCII names
// are encoded by UTS 46 without transitional processing, whatever AI_IDN says.
package netdb
