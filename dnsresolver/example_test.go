package dnsresolver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/userstack/userstack/dnsresolver"
)

// toyNet is a network with one DNS server, 192.0.2.53, that knows the addresses
// of www.example.com and nothing else. A program would use a host of its stack.
type toyNet struct{}

func (toyNet) DialContext(_ context.Context, network, address string) (net.Conn, error) {
	if address != "192.0.2.53:53" || network != "udp" {
		return nil, errors.New("no route")
	}
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		b := make([]byte, 512)
		n, err := server.Read(b)
		if err != nil {
			return
		}
		server.Write(toyReply(b[:n]))
	}()
	return client, nil
}

// toyReply turns a query with an OPT record into its reply.
func toyReply(query []byte) []byte {
	const optLen = 11
	reply := query[:len(query)-optLen]
	typ := reply[len(reply)-3]
	reply[2], reply[3], reply[11] = 0x81, 0x80, 0 // QR, RD, RA; no OPT
	name := strings.ToLower(string(reply[12 : len(reply)-4]))
	switch {
	case name != "\x03www\x07example\x03com\x00":
		reply[3] |= 3 // NXDOMAIN
	case typ == 1:
		reply[7] = 1
		reply = append(reply, "\xC0\x0C\x00\x01\x00\x01\x00\x00\x00\x3C\x00\x04\xC0\x00\x02\x50"...)
	case typ == 28:
		reply[7] = 1
		reply = append(reply, "\xC0\x0C\x00\x1C\x00\x01\x00\x00\x00\x3C\x00\x10\x20\x01\x0D\xB8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x50"...)
	}
	return reply
}

func Example() {
	r, err := dnsresolver.New(dnsresolver.Config{
		Transport:      toyNet{},
		ResolvConfText: "nameserver 192.0.2.53\nsearch example.com\n",
		HostsText:      "192.0.2.7 printer printer.example.com\n",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	ctx := context.Background()

	for _, host := range []string{"www.example.com", "www", "printer", "localhost", "0x7f.1"} {
		addrs, err := r.LookupNetIP(ctx, "ip", host)
		fmt.Println(host, addrs, err)
	}
	// Output:
	// www.example.com [2001:db8::50 192.0.2.80] <nil>
	// www [2001:db8::50 192.0.2.80] <nil>
	// printer [192.0.2.7] <nil>
	// localhost [::1 127.0.0.1] <nil>
	// 0x7f.1 [127.0.0.1] <nil>
}

func ExampleResolver_Lookup() {
	server, err := dnsresolver.ParseServer("192.0.2.53")
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := dnsresolver.New(dnsresolver.Config{
		Transport: toyNet{},
		Servers:   []dnsresolver.Server{server},
		Search:    []string{"example.com"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()

	ans, err := r.Lookup(context.Background(), "www", dnsresolver.LookupOptions{Family: dnsresolver.AF_INET})
	fmt.Println(ans.Name, ans.Addrs, ans.TTL, ans.Source, err)
	// Output:
	// www.example.com [192.0.2.80] 1m0s DNS <nil>
}

func ExampleError() {
	r, err := dnsresolver.New(dnsresolver.Config{Transport: toyNet{}, ResolvConfText: "nameserver 192.0.2.53"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()

	_, err = r.LookupNetIP(context.Background(), "ip", "nowhere.example.com")
	var e *dnsresolver.Error
	if errors.As(err, &e) {
		fmt.Println(e.GAICode(), e.HErrno(), e.Code)
	}
	var d *net.DNSError
	if errors.As(err, &d) {
		fmt.Println(d.IsNotFound, d)
	}
	// Output:
	// -2 1 Name or service not known
	// true lookup nowhere.example.com: no such host
}

func ExampleNew_routes() {
	// With a route source, addresses are sorted by what can be reached: this
	// stack has no IPv6.
	r, err := dnsresolver.New(dnsresolver.Config{
		Transport: toyNet{},
		Servers:   []dnsresolver.Server{{Addr: netip.MustParseAddrPort("192.0.2.53:53")}},
		Routes:    ipv4Only{},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	fmt.Println(r.LookupNetIP(context.Background(), "ip", "www.example.com"))
	// Output:
	// [192.0.2.80 2001:db8::50] <nil>
}

type ipv4Only struct{}

func (ipv4Only) SourceFor(dst netip.Addr) (netip.Addr, bool) {
	return netip.MustParseAddr("192.0.2.1"), dst.Is4()
}

func ExampleResolver_LookupNetIP() {
	r, err := dnsresolver.New(dnsresolver.Config{
		Transport: toyNet{},
		Hosts:     map[string][]netip.Addr{"db": {netip.MustParseAddr("192.0.2.9")}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	fmt.Println(r.LookupNetIP(context.Background(), "ip4", "db"))
	fmt.Println(r.LookupNetIP(context.Background(), "ip6", "db"))
	// Output:
	// [192.0.2.9] <nil>
	// [] lookup db: No address associated with hostname
}

func ExampleResolver_Servers() {
	r, err := dnsresolver.New(dnsresolver.Config{
		Transport:      toyNet{},
		ResolvConfText: "nameserver 192.0.2.53\nnameserver 2001:db8::53\n",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	fmt.Println(r.Servers())
	// Output:
	// [192.0.2.53:53 [2001:db8::53]:53]
}

func ExampleResolver_Close() {
	r, err := dnsresolver.New(dnsresolver.Config{Transport: toyNet{}})
	if err != nil {
		fmt.Println(err)
		return
	}
	r.Close()
	_, err = r.LookupNetIP(context.Background(), "ip", "localhost")
	fmt.Println(errors.Is(err, net.ErrClosed))
	// Output:
	// true
}

func ExampleTracer() {
	r, err := dnsresolver.New(dnsresolver.Config{
		Transport:      toyNet{},
		ResolvConfText: "nameserver 192.0.2.53",
		Trace: func(e dnsresolver.Event) {
			// Event.String has the times and IDs as well.
			fmt.Println(e.Kind, e.Network, e.Type, e.Name, e.RCode, e.Addrs)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	r.LookupNetIP(context.Background(), "ip4", "www.example.com")
	// Output:
	// try   www.example.com  []
	// send udp A www.example.com.  []
	// reply udp A www.example.com. NOERROR []
	// done   www.example.com  [192.0.2.80]
}

func ExampleHErrnoText() {
	fmt.Println(dnsresolver.HErrnoText(dnsresolver.TRY_AGAIN))
	fmt.Println(dnsresolver.EAI_AGAIN)
	// Output:
	// Host name lookup failure
	// Temporary failure in name resolution
}

func ExampleParseServer() {
	for _, text := range []string{"192.0.2.53", "tcp://[2001:db8::53]:5353", "dns.example"} {
		fmt.Println(dnsresolver.ParseServer(text))
	}
	// Output:
	// 192.0.2.53:53 <nil>
	// tcp://[2001:db8::53]:5353 <nil>
	// invalid AddrPort DNS server "dns.example": want an address, or an address and a port
}
