package sockets_test

import (
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

func TestNSPRMulticast(t *testing.T) {
	a, _ := pair(t)
	for _, tc := range []struct {
		f                   sockets.Family
		group, ifc, foreign string
	}{
		{sockets.AF_INET, "239.1.2.3", addrA, "10.9.9.9"},
		{sockets.AF_INET6, "ff05::77", addrA6, "fd99::1"},
	} {
		addr := func(name string) *sockets.NetworkAddress {
			return must[*sockets.NetworkAddress](t)(a.NewNetworkAddress(name, 0, tc.f))
		}
		s := mustSocket(t, a, tc.f, sockets.SOCK_DGRAM, 0)
		join := sockets.AddMember{Group: addr(tc.group), Interface: addr(tc.ifc)}
		check(t, s.SetOption(join))
		wantErrno(t, s.SetOption(join), sockets.EADDRINUSE)
		wantErrno(t, s.SetOption(sockets.AddMember{Group: addr(tc.ifc), Interface: addr(tc.ifc)}), sockets.EINVAL)
		wantErrno(t, s.SetOption(sockets.AddMember{Group: addr(tc.group), Interface: addr(tc.foreign)}), sockets.ENODEV)
		member := must[sockets.AddMember](t)(sockets.GetOption[sockets.AddMember](s))
		if member.Group.Address() != tc.group || member.Interface.Address() != tc.ifc {
			t.Errorf("joined %v on %v", member.Group, member.Interface)
		}
		check(t, s.SetOption(sockets.DropMember(join)))
		wantErrno(t, s.SetOption(sockets.DropMember(join)), sockets.EADDRNOTAVAIL)
		wantErrno(t, second(sockets.GetOption[sockets.AddMember](s)), sockets.ENOPROTOOPT)

		check(t, s.SetOption(sockets.McastInterface{Interface: addr(tc.ifc)}))
		if v := must[sockets.McastInterface](t)(sockets.GetOption[sockets.McastInterface](s)); v.Interface.Address() != tc.ifc {
			t.Errorf("multicast leaves by %v", v.Interface)
		}
		wantErrno(t, s.SetOption(sockets.McastInterface{Interface: addr(tc.foreign)}), sockets.EADDRNOTAVAIL)
		check(t, s.SetOption(sockets.McastInterface{}))
		check(t, s.SetOption(sockets.McastTTL(5)))
		check(t, s.SetOption(sockets.McastLoop(false)))
		if ttl := must[sockets.McastTTL](t)(sockets.GetOption[sockets.McastTTL](s)); ttl != 5 {
			t.Errorf("McastTTL = %d", ttl)
		}
		if loop := must[sockets.McastLoop](t)(sockets.GetOption[sockets.McastLoop](s)); loop {
			t.Error("McastLoop is on")
		}
	}
}
