//go:build amd64 || arm64

package supervise_test

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestOptionsKeepTheirPlace changes an option between datagrams, as traceroute
// does: each must leave with what was set before it.
func TestOptionsKeepTheirPlace(t *testing.T) {
	inside(t, func(t *testing.T) {
		to, at := udp(t)
		if err := unix.SetsockoptInt(to, unix.IPPROTO_IP, unix.IP_RECVTTL, 1); err != nil {
			t.Fatal(err)
		}
		from := unbound(t)
		if err := unix.Connect(from, at); err != nil {
			t.Fatal(err)
		}
		const count = 100
		for ttl := 1; ttl <= count; ttl++ {
			if err := unix.SetsockoptInt(from, unix.IPPROTO_IP, unix.IP_TTL, ttl); err != nil {
				t.Fatal(err)
			}
			if _, err := unix.Write(from, []byte{byte(ttl)}); err != nil {
				t.Fatal(err)
			}
		}
		for ttl := 1; ttl <= count; ttl++ {
			var p, oob [64]byte
			n, oobn, _, _, err := unix.Recvmsg(to, p[:], oob[:], 0)
			if err != nil || n != 1 || int(p[0]) != ttl {
				t.Fatalf("received %v, %v, want %d", p[:max(n, 0)], err, ttl)
			}
			if got := ttlOf(t, oob[:oobn]); got != ttl {
				t.Fatalf("the datagram sent with a TTL of %d has %d", ttl, got)
			}
		}
	})
}

func ttlOf(t *testing.T, oob []byte) int {
	t.Helper()
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		if m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_TTL && len(m.Data) >= 4 {
			return int(m.Data[0])
		}
	}
	t.Fatal("no TTL came with the datagram")
	return 0
}
