// Package netdb has what the C library's netdb.h has, as far as it needs no
// network: the texts of addresses, and the constants and tables around names.
//
//	addr, rest, ok := netdb.ParseAton("0x7f.1") // 127.0.0.1, "", true
//
// Package dnsresolver looks names up with it; package stack/sockets gives it
// the names of the socket API.
//
// # Limits
//
// Nothing here reads a file or asks a server.
package netdb
