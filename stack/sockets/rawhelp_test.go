package sockets_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// isUnsupported reports whether userstack refuses what Linux could do.
func isUnsupported(err error) bool {
	var e *sockets.Error
	return errors.As(err, &e) && e.Err == sockets.ErrUnsupported
}

// patience bounds the waits for what is bound to come: only a hang lasts longer,
// however busy the machine is.
const patience = time.Minute

// receive waits for a datagram.
func receive(t testing.TB, s *sockets.Socket) ([]byte, sockets.Sockaddr) {
	t.Helper()
	p, from, err := s.RecvFrom(70000, sockets.Within(patience))
	check(t, err)
	return p, from
}

// answer checks what a call said; 0 is success.
func answer(t *testing.T, err error, want sockets.Errno) {
	t.Helper()
	if want == 0 {
		check(t, err)
		return
	}
	wantErrno(t, err, want)
}

// nothing fails the test if a datagram is there. What a host sends to itself has
// arrived when the send returns; on a wire something else must have come after.
func nothing(t *testing.T, s *sockets.Socket) {
	t.Helper()
	p, from, err := s.RecvFrom(70000, sockets.MSG_DONTWAIT)
	if err == nil {
		t.Errorf("received %x from %v, want nothing", p, from)
		return
	}
	wantErrno(t, err, sockets.EAGAIN)
}

// ipv4Header is a header as a program gives it: the length and the checksum are
// left to the stack.
func ipv4Header(src, dst string, proto byte) []byte {
	h := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, proto, 0, 0}
	for _, a := range []string{src, dst} {
		h = append(h, netip.MustParseAddr(a).AsSlice()...)
	}
	return h
}

// udpPacket is an IPv4 packet with a datagram that has no checksum.
func udpPacket(src, dst string, port int, text string) []byte {
	h := ipv4Header(src, dst, 17)
	binary.BigEndian.PutUint16(h[2:], uint16(20+8+len(text)))
	sum := uint32(0)
	for i := 0; i < len(h); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(h[i:]))
	}
	binary.BigEndian.PutUint16(h[10:], ^uint16(sum+sum>>16))
	h = binary.BigEndian.AppendUint16(h, uint16(port))
	h = binary.BigEndian.AppendUint16(h, uint16(port))
	h = binary.BigEndian.AppendUint16(h, uint16(8+len(text)))
	return append(append(h, 0, 0), text...)
}
