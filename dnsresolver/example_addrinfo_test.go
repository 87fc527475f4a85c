package dnsresolver_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/userstack/userstack/dnsresolver"
	"github.com/userstack/userstack/dnsresolver/netdb"
)

// toyResolver asks the server of toyNet, and has a hosts file.
func toyResolver() *dnsresolver.Resolver {
	r, err := dnsresolver.New(dnsresolver.Config{
		Transport:      toyNet{},
		ResolvConfText: "nameserver 192.0.2.53\nsearch example.com\n",
		HostsText:      "192.0.2.7 printer.example.com printer\n",
	})
	if err != nil {
		panic(err)
	}
	return r
}

func ExampleResolver_GetAddrInfo() {
	r := toyResolver()
	defer r.Close()
	list, err := r.GetAddrInfo(context.Background(), "www", "http", netdb.Hints{Flags: netdb.AI_CANONNAME})
	for _, ai := range list {
		fmt.Printf("%d %d %d %v %q\n", ai.Family, ai.SockType, ai.Protocol, ai.Addr, ai.CanonName)
	}
	fmt.Println(err)
	// Output:
	// 10 1 6 [2001:db8::50]:80 "www.example.com"
	// 2 1 6 192.0.2.80:80 ""
	// <nil>
}

func ExampleResolver_GetHostByName() {
	r := toyResolver()
	defer r.Close()
	ctx := context.Background()
	fmt.Println(r.GetHostByName(ctx, "www"))
	ent, err := r.GetHostByNameEx(ctx, "printer")
	fmt.Println(ent.Name, ent.Aliases, ent.Addrs, err)
	ent, err = r.GetHostByAddr(ctx, "192.0.2.7")
	fmt.Println(ent.Name, ent.Aliases, ent.Addrs, err)
	_, err = r.GetHostByAddr(ctx, "192.0.2.99")
	fmt.Println(err)
	// Output:
	// 192.0.2.80 <nil>
	// printer.example.com [printer] [192.0.2.7] <nil>
	// printer.example.com [printer] [192.0.2.7] <nil>
	// lookup 192.0.2.99: Name or service not known
}

func ExampleResolver_GetNameInfo() {
	r := toyResolver()
	defer r.Close()
	ctx := context.Background()
	fmt.Println(r.GetNameInfo(ctx, netip.MustParseAddrPort("192.0.2.7:631"), 0))
	fmt.Println(r.LookupAddr(ctx, netip.MustParseAddr("192.0.2.7")))
	fmt.Println(r.GetFQDN(ctx, "printer"))
	// Output:
	// printer.example.com ipp <nil>
	// [printer.example.com printer] <nil>
	// printer.example.com
}
