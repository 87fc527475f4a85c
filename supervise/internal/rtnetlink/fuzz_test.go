package rtnetlink_test

import (
	"slices"
	"testing"

	"github.com/userstack/userstack/supervise/internal/rtnetlink"
)

// FuzzAnswer: whatever a program sends, the replies are whole messages, of which there
// are not many.
func FuzzAnswer(f *testing.F) {
	f.Add(message(18, dump, ifinfo(0, 0)), byte(0))
	f.Add(message(22, dump, ifaddr(10, 1), attr(10, u32(1))), byte(1))
	f.Add(message(26, 0, dst("fd00::9")), byte(3))
	f.Add(message(26, dump, rtmsg(2, 0, 0, 0), attr(15, u32(254)), attr(4, u32(2))), byte(7))
	f.Add(message(30, ack, make([]byte, 12)), byte(2))
	f.Add(slices.Concat(message(34, dump, make([]byte, 12)), message(18, 0, ifinfo(0, 0), attr(3, []byte("lo")))), byte(4))
	s := newStack(f)
	f.Fuzz(func(t *testing.T, req []byte, options byte) {
		client := rtnetlink.Client{PortID: port, Strict: options&1 != 0, ExtAck: options&2 != 0, CapAck: options&4 != 0}
		before := slices.Clone(req)
		replies := rtnetlink.Answer(s, client, req)
		if !slices.Equal(req, before) {
			t.Error("the request was written to")
		}
		size := 0
		for _, r := range parseAll(t, replies) {
			if r.port != port {
				t.Errorf("a reply is for port %d", r.port)
			}
		}
		for _, d := range replies {
			size += len(d)
		}
		if most := 300_000 + 2*len(req); size > most {
			t.Errorf("%d bytes of replies to %d bytes, want at most %d", size, len(req), most)
		}
	})
}
