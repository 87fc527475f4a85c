package netdb_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

func ExampleDB_GetAddrInfo() {
	db := netdb.DB{Hosts: netdb.ParseHosts([]byte("192.0.2.1 www.example.com www\n"))}
	list, err := db.GetAddrInfo(context.Background(), "www", "domain", netdb.Hints{Flags: netdb.AI_CANONNAME})
	for _, ai := range list {
		fmt.Printf("%d %d %d %v %q\n", ai.Family, ai.SockType, ai.Protocol, ai.Addr, ai.CanonName)
	}
	fmt.Println(err)

	_, err = db.GetAddrInfo(context.Background(), "::1", "80", netdb.Hints{Family: netdb.AF_INET})
	var e *netdb.Error
	fmt.Println(errors.As(err, &e) && e.Code == netdb.EAI_ADDRFAMILY, err)
	// Output:
	// 2 1 6 192.0.2.1:53 "www.example.com"
	// 2 2 17 192.0.2.1:53 ""
	// <nil>
	// true ::1: Address family for hostname not supported
}

func ExampleDB_GetHostByNameEx() {
	db := netdb.DB{Hosts: netdb.HostsFromMap(map[string][]netip.Addr{"www.example.com": {netip.MustParseAddr("192.0.2.1")}})}
	ctx := context.Background()
	fmt.Println(db.GetHostByName(ctx, "www.example.com"))
	ent, err := db.GetHostByNameEx(ctx, "www.example.com")
	fmt.Println(ent.Name, ent.Aliases, ent.Addrs, err)
	ent, err = db.GetHostByAddr(ctx, "192.0.2.1")
	fmt.Println(ent.Name, ent.Aliases, ent.Addrs, err)
	fmt.Println(db.GetFQDN(ctx, "192.0.2.1"))
	// Output:
	// 192.0.2.1 <nil>
	// www.example.com [] [192.0.2.1] <nil>
	// www.example.com [] [192.0.2.1] <nil>
	// www.example.com
}

func ExampleDB_GetNameInfo() {
	var db netdb.DB
	fmt.Println(db.GetNameInfo(context.Background(), netip.MustParseAddrPort("127.0.0.1:22"), 0))
	fmt.Println(db.GetNameInfo(context.Background(), netip.MustParseAddrPort("192.0.2.1:22"), netdb.NI_NUMERICSERV))
	// Output:
	// localhost ssh <nil>
	// 192.0.2.1 22 <nil>
}

func ExampleServices_ByName() {
	services := netdb.ParseServices([]byte("echo 7777/tcp ping # ours\n"))
	s, ok := services.ByName("ping", "tcp")
	fmt.Println(s.Name, s.Port, ok)
	s, ok = netdb.DefaultServices().ByPort(514, "udp")
	fmt.Println(s.Name, ok)
	p, ok := netdb.DefaultProtocols().ByName("TCP")
	fmt.Println(p.Name, p.Number, ok)
	// Output:
	// echo 7777 true
	// syslog true
	// tcp 6 true
}

func ExampleParseLiteral() {
	for _, host := range []string{"0x7f.1", "fe80::1%eth0", "fe80::1%", "www.example.com"} {
		addr, what := netdb.ParseLiteral(host, nil)
		fmt.Println(addr, what == netdb.IsLiteral, what == netdb.BadZone)
	}
	// Output:
	// 127.0.0.1 true false
	// fe80::1%eth0 true false
	// invalid IP false true
	// invalid IP false false
}

func ExampleGAIStrError() {
	fmt.Println(netdb.GAIStrError(netdb.EAI_NONAME))
	fmt.Println(netdb.HStrError(netdb.TRY_AGAIN))
	// Output:
	// Name or service not known
	// Host name lookup failure
}
