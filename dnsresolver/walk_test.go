package dnsresolver

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/userstack/userstack/dnsresolver/internal/wire"
)

// walkNames are the names that FuzzWalk makes records of; some are the same.
var walkNames = [...]string{"q.test.", "Q.Test.", "a.test.", "b.test.", "c.test.", "test.", ".", `q\.test.`}

// walkRecords makes records of bytes, three for each: owner, kind, and target or
// address.
func walkRecords(b []byte) (list []wire.Record) {
	for ; len(b) >= 3; b = b[3:] {
		rr := wire.Record{Name: walkNames[int(b[0])%len(walkNames)], Class: wire.ClassIN, TTL: uint32(b[1])}
		switch b[1] % 4 {
		case 0:
			rr.Type, rr.Addr = wire.TypeA, netip.AddrFrom4([4]byte{192, 0, 2, b[2]})
		case 1, 2:
			rr.Type, rr.Target = wire.TypeCNAME, walkNames[int(b[2])%len(walkNames)]
		case 3:
			rr.Type, rr.Class, rr.Addr = wire.TypeA, 3, netip.AddrFrom4([4]byte{192, 0, 2, b[2]})
		}
		list = append(list, rr)
	}
	return list
}

// slowWalk is walk as one would write it down: the addresses at the end of the
// chain, and how long that is. ok is false where walk may say anything but data.
func slowWalk(list []wire.Record) (found []netip.Addr, links int, ok bool) {
	name, seen := "q.test.", map[string]bool{}
	for !seen[strings.ToLower(name)] {
		seen[strings.ToLower(name)] = true
		var targets []string
		for _, rr := range list {
			switch {
			case !strings.EqualFold(rr.Name, name) || rr.Class != wire.ClassIN:
			case rr.Type == wire.TypeA:
				found = append(found, rr.Addr)
			case !slices.Contains(targets, strings.ToLower(rr.Target)):
				targets = append(targets, strings.ToLower(rr.Target))
			}
		}
		switch {
		case len(targets) > 1:
			return nil, 0, false
		case len(found) > 0:
			return found, links, true
		case len(targets) == 0:
			return nil, links, false
		}
		name = targets[0]
		links++
	}
	return nil, 0, false
}

// FuzzWalk compares the walk along a chain of aliases with a slow and simple one.
func FuzzWalk(f *testing.F) {
	for _, s := range []string{"", "\x00\x00\x01", "\x00\x01\x02\x02\x00\x07", "\x00\x01\x01", "\x00\x01\x02\x02\x01\x00", "\x00\x01\x02\x00\x01\x03", "\x00\x01\x07\x07\x00\x01", "\x02\x00\x09"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		list := walkRecords(b)
		w, err := walk(&wire.Message{Answer: list}, question{"q.test.", wire.TypeA})
		found, links, ok := slowWalk(list)
		if ok != (err == nil && w.status == statusData) {
			t.Fatalf("%v: %v, %v; want data: %v", list, w.status, err, ok)
		}
		if !ok {
			if len(w.addrs) > 0 {
				t.Fatalf("%v: %v without data", list, w.addrs)
			}
			return
		}
		if len(found) > maxAddrs {
			found = found[:maxAddrs]
		}
		if !slices.Equal(w.addrs, found) || len(w.names) != links {
			t.Fatalf("%v: %v after %v, want %v after %d links", list, w.addrs, w.names, found, links)
		}
	})
}
