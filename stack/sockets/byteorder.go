package sockets

import "encoding/binary"

// Htonl and Ntohl convert 32 bits, Htons and Ntohs 16 bits, between the
// machine's byte order and the network's (byteorder(3)). On a big-endian machine
// they change nothing.
func Htonl(x uint32) uint32 {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], x)
	return binary.NativeEndian.Uint32(b[:])
}
func Ntohl(x uint32) uint32 { return Htonl(x) } // the same swap, or none
func Htons(x uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], x)
	return binary.NativeEndian.Uint16(b[:])
}
func Ntohs(x uint16) uint16 { return Htons(x) }
