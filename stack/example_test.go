package stack_test

import (
	"fmt"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip/link/channel"

	"github.com/userstack/userstack/stack"
)

func ExampleNew() {
	s, err := stack.New(stack.Config{
		NICs: []stack.NIC{{
			Name:  "tun0",
			Link:  channel.New(16, 1500, ""), // or a link of package link
			Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")},
		}},
		Routes: []stack.Route{
			{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.0.0.1")},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	for _, r := range s.Routes() {
		fmt.Println(r)
	}
	src, ok := s.SourceFor(netip.MustParseAddr("192.0.2.1"))
	fmt.Println(src, ok)
	// Output:
	// ::1/128 dev lo
	// 10.0.0.0/24 dev tun0
	// 127.0.0.0/8 dev lo
	// 0.0.0.0/0 via 10.0.0.1 dev tun0
	// 10.0.0.2 true
}

func ExampleStack_Interfaces() {
	s, err := stack.New(stack.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	for _, ifc := range s.Interfaces() {
		fmt.Println(ifc.Index, ifc.Name, ifc.MTU, ifc.Addrs)
	}
	// Output: 1 lo 65536 [127.0.0.1/8 ::1/128]
}
