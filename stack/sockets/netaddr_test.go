package sockets_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/userstack/userstack/dnsresolver/netdb"
	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
)

// documentHosts has the names of the documents' examples. Those of 127.0.0.0/8
// can be connected to on the loopback interface.
const documentHosts = `
127.0.0.1      localhost
127.0.0.2      daring.cwi.nl daring
127.0.0.3      www.verisign.com
82.94.237.218  dinsdale.python.org
82.94.237.218  www.python.org
2001:db8::1    many.example
192.0.2.7      many.example
127.0.0.4      many.example alias.example
`

// documentHost is a host with only a loopback interface that knows the names of
// documentHosts.
func documentHost() (h *sockets.Host, end func()) {
	s, err := stack.New(stack.Config{})
	if err != nil {
		panic(err)
	}
	h, err = sockets.New(sockets.Config{Stack: s, Hosts: netdb.ParseHosts([]byte(documentHosts))})
	if err != nil {
		panic(err)
	}
	return h, func() { h.Close(); s.Close() }
}

// A15.8: NetworkAddress's own example.
func ExampleHost_NewNetworkAddress() {
	host, end := documentHost()
	defer end()

	a, err := host.NewNetworkAddress("www.python.org", 0, sockets.AF_INET)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(a, a.Hostname())
	a, _ = host.NewNetworkAddress("82.94.237.218", 0, sockets.AF_INET)
	fmt.Println(a, a.Hostname())
	// Output:
	// 82.94.237.218:0 www.python.org
	// 82.94.237.218:0 dinsdale.python.org
}

// A15.6: AddrInfo's example. It tries one address after the other.
func ExampleHost_NewAddrInfo() {
	host, end := documentHost()
	defer end()
	l, _ := host.TCP()
	defer l.Close()
	_ = l.Bind(sockets.Inet4{Host: "127.0.0.4", Port: 8000})
	_ = l.Listen(1)

	info, err := host.NewAddrInfo("many.example", sockets.AF_UNSPEC, 0)
	if err != nil {
		fmt.Println("could not resolve the address")
		return
	}
	for _, a := range info.All() {
		_ = a.SetPort(8000)
		s, err := host.Socket(a.Family(), sockets.SOCK_STREAM, 0)
		if err != nil {
			continue
		}
		defer s.Close()
		if s.Connect(a, sockets.Within(sockets.IntervalFromSeconds(1).Duration())) == nil {
			peer, _ := s.GetPeerName()
			fmt.Println("connected to", peer)
			return
		}
	}
	fmt.Println("could not connect")
	// Output: connected to 127.0.0.4:8000
}

// A15.7: HostEntry's example.
func ExampleHost_NewHostEntry() {
	host, end := documentHost()
	defer end()
	l, _ := host.TCP()
	defer l.Close()
	_ = l.Bind(sockets.Inet4{Host: "127.0.0.2", Port: 8000})
	_ = l.Listen(1)

	entry, err := host.NewHostEntry("daring.cwi.nl")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(entry.Hostname(), entry.Aliases(), entry.Family(), entry.Len())
	for _, a := range entry.All() {
		_ = a.SetPort(8000)
		s, _ := host.Socket(a.Family(), sockets.SOCK_STREAM, 0)
		defer s.Close()
		if s.Connect(a, sockets.Within(time.Minute)) == nil {
			fmt.Println("connected to", s.NetAddr())
			break
		}
	}
	// Output:
	// daring.cwi.nl [daring] AF_INET 1
	// connected to 127.0.0.2:8000
}

func ExampleHost_NetworkAddressOf() {
	host, end := loopbackHost()
	defer end()
	for _, f := range []sockets.Family{sockets.AF_INET, sockets.AF_INET6} {
		for _, c := range []sockets.IPConst{sockets.IPNull, sockets.IPAny, sockets.IPLoopback, sockets.IPV4Mapped} {
			if a, err := host.NetworkAddressOf(c, 80, f); err == nil {
				fmt.Println(c, a)
			} else {
				fmt.Println(c, err)
			}
		}
	}
	// Output:
	// 0 0.0.0.0:80
	// 1 0.0.0.0:80
	// 2 127.0.0.1:80
	// 3 networkaddress: [Errno 22] Invalid argument: no such constant of AF_INET
	// 0 [::]:80
	// 1 [::]:80
	// 2 [::1]:80
	// 3 [::ffff:0.0.0.0]:80
}

// known returns a host on the far side of a pair with documentHosts.
func known(t *testing.T) *sockets.Host {
	t.Helper()
	left, right := link.NewPipe(link.PipeConfig{})
	newHost(t, right, addrB, addrB6)
	s, err := stack.New(stack.Config{NICs: []stack.NIC{{Link: left, Addrs: []netip.Prefix{
		netip.MustParsePrefix(addrA + "/24"), netip.MustParsePrefix(addrA6 + "/64"),
	}}}})
	check(t, err)
	h, err := sockets.New(sockets.Config{Stack: s, Hosts: netdb.ParseHosts([]byte(documentHosts))})
	check(t, err)
	t.Cleanup(func() {
		h.Close()
		s.Close()
	})
	return h
}

func TestNetworkAddress(t *testing.T) {
	h := known(t)
	a, err := h.NewNetworkAddress("many.example", 80, sockets.AF_INET6)
	check(t, err)
	if a.Address() != "2001:db8::1" || a.Family() != sockets.AF_INET6 || a.String() != "[2001:db8::1]:80" || a.Network() != "ip6" {
		t.Errorf("%v of %v", a, a.Family())
	}
	check(t, a.SetFromString("www.python.org", sockets.AF_UNSPEC))
	if a.String() != "82.94.237.218:80" || a.Port() != 80 || a.Network() != "ip4" { // the port stays
		t.Errorf("set from a string: %v", a)
	}
	check(t, a.SetPort(0))
	check(t, a.SetPort(65535))
	for _, err := range []error{
		a.SetPort(-1), a.SetPort(65536),
		a.SetFromString("www.python.org", sockets.AF_UNIX),
		second(h.NewNetworkAddress("localhost", 0, sockets.AF_UNSPEC)),
		second(h.NewNetworkAddress("localhost", 70000, sockets.AF_INET)),
		second(h.NetworkAddressOf(4, 0, sockets.AF_INET)),
		second(h.NetworkAddressOf(sockets.IPAny, 0, sockets.AF_UNSPEC)),
		second(h.NetworkAddressOf(sockets.IPAny, 65536, sockets.AF_INET)),
		new(sockets.NetworkAddress).SetFromString("localhost", sockets.AF_INET),
		second(new(sockets.NetworkAddress).HostEntry()),
	} {
		wantErrno(t, err, sockets.EINVAL)
	}
	var gai *sockets.GAIError
	if err := a.SetFromString("nobody.invalid", sockets.AF_INET); !errors.As(err, &gai) || a.String() != "82.94.237.218:65535" {
		t.Errorf("a name that is not there: %v, %v", err, a)
	}
	for text, want := range map[string]string{"127.1": "127.0.0.1:0", "0x7f000001": "127.0.0.1:0"} {
		a, err := h.NewNetworkAddress(text, 0, sockets.AF_INET)
		check(t, err)
		if a.String() != want || a.Hostname() != "localhost" {
			t.Errorf("%q: %v, %s", text, a, a.Hostname())
		}
	}
	a, err = h.NewNetworkAddress("192.0.2.99", 0, sockets.AF_INET)
	check(t, err)
	if a.Hostname() != "192.0.2.99" { // without a name, the text itself
		t.Errorf("Hostname %q", a.Hostname())
	}
	a, err = h.NetworkAddressOf(sockets.IPLoopback, 0, sockets.AF_INET)
	check(t, err)
	if a.Hostname() != "" {
		t.Errorf("the name of a constant: %q", a.Hostname())
	}
	e, err := a.HostEntry()
	check(t, err)
	if again, err := a.HostEntry(); e.Hostname() != "localhost" || again != e || err != nil {
		t.Errorf("entry %v, then %v, %v", e, again, err)
	}
	unset := new(sockets.NetworkAddress)
	if unset.Address() != "" || unset.String() != "" || unset.Family() != sockets.AF_UNSPEC || unset.Hostname() != "" {
		t.Errorf("the unset address: %q, %v", unset, unset.Family())
	}
	if _, ok := unset.AddrPort(); ok {
		t.Error("the unset address has an address")
	}
}

// A NetworkAddress is good wherever a Sockaddr is.
func TestNetworkAddressAsSockaddr(t *testing.T) {
	h := known(t)
	addr := func(c sockets.IPConst, port int, f sockets.Family) *sockets.NetworkAddress {
		t.Helper()
		a, err := h.NetworkAddressOf(c, port, f)
		check(t, err)
		return a
	}
	l := tcpSocket(t, h)
	if a := l.NetAddr(); a != nil {
		t.Errorf("NetAddr of an unbound socket: %v", a)
	}
	check(t, l.Bind(addr(sockets.IPAny, 4000, sockets.AF_INET)))
	if a := l.NetAddr(); a == nil || a.String() != "0.0.0.0:4000" {
		t.Errorf("NetAddr of a bound socket: %v", a)
	}
	check(t, l.Listen(1))
	s := tcpSocket(t, h)
	check(t, s.Connect(addr(sockets.IPLoopback, 4000, sockets.AF_INET)))
	if a := s.NetAddr(); a == nil || a.String() != "127.0.0.1:4000" {
		t.Errorf("NetAddr of a connected socket: %v", a)
	}
	one, two := udpSocket(t, h), udpSocket(t, h)
	check(t, one.Bind(addr(sockets.IPLoopback, 4001, sockets.AF_INET)))
	check(t, two.Bind(addr(sockets.IPLoopback, 4002, sockets.AF_INET)))
	must[int](t)(one.SendTo([]byte("x"), addr(sockets.IPLoopback, 4002, sockets.AF_INET)))
	must[[]byte](t)(two.Recv(1))
	if a := two.NetAddr(); a == nil || a.String() != "127.0.0.1:4001" {
		t.Errorf("NetAddr after receiving: %v", a)
	}
	check(t, two.Connect(addr(sockets.IPLoopback, 5000, sockets.AF_INET)))
	if a := two.NetAddr(); a == nil || a.Port() != 5000 {
		t.Errorf("NetAddr after connecting: %v", a)
	}
	check(t, two.Close())
	if a := two.NetAddr(); a != nil {
		t.Errorf("NetAddr of a closed socket: %v", a)
	}
	six := mustSocket(t, h, sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
	check(t, six.Bind(addr(sockets.IPV4Mapped, 4003, sockets.AF_INET6)))
	must[int](t)(one.SendTo([]byte("y"), addr(sockets.IPLoopback, 4003, sockets.AF_INET)))
	must[[]byte](t)(six.Recv(1))
	if a := six.NetAddr(); a == nil || a.String() != "[::ffff:127.0.0.1]:4001" || a.Family() != sockets.AF_INET6 {
		t.Errorf("NetAddr of an IPv4 sender: %v", a)
	}
	wantErrno(t, tcpSocket(t, h).Connect(addr(sockets.IPLoopback, 1, sockets.AF_INET6)), sockets.EAFNOSUPPORT)
	wantErrno(t, tcpSocket(t, h).Connect(new(sockets.NetworkAddress)), sockets.EAFNOSUPPORT)
	wantErrno(t, tcpSocket(t, h).Bind((*sockets.NetworkAddress)(nil)), sockets.EAFNOSUPPORT)
	name, service, err := h.GetNameInfo(addr(sockets.IPLoopback, 80, sockets.AF_INET), 0)
	check(t, err)
	if name != "localhost" || service != "http" {
		t.Errorf("GetNameInfo: %s, %s", name, service)
	}
}

func TestAddrInfo(t *testing.T) {
	h := known(t)
	info, err := h.NewAddrInfo("many.example", sockets.AF_UNSPEC, sockets.PR_AI_ADDRCONFIG)
	check(t, err)
	if info.Len() != 3 || info.Hostname() != "many.example" || info.CanonicalName() != "many.example" {
		t.Errorf("%d addresses of %s, %s", info.Len(), info.Hostname(), info.CanonicalName())
	}
	seen := map[string]bool{}
	for n, a := range info.All() {
		if a.Port() != 0 || a.Address() != info.At(n).Address() || a.Hostname() != "many.example" {
			t.Errorf("address %d: %v, %s", n, a, a.Hostname())
		}
		seen[a.Address()] = true
		check(t, a.SetPort(9))
		if info.At(n).Port() != 0 {
			t.Error("the loop's address is not a copy")
		}
		if n == 2 {
			break
		}
	}
	if len(seen) != 3 || info.At(-1) != nil || info.At(3) != nil {
		t.Errorf("addresses %v", seen)
	}
	four, err := h.NewAddrInfo("many.example", sockets.AF_INET, sockets.PR_AI_ADDRCONFIG|sockets.PR_AI_NOCANONNAME)
	check(t, err)
	if four.Len() != 2 || four.CanonicalName() != "" {
		t.Errorf("%d IPv4 addresses, canonical name %q", four.Len(), four.CanonicalName())
	}
	six, err := h.NewAddrInfo("many.example", sockets.AF_INET6, 0)
	check(t, err)
	if six.Len() != 1 || six.At(0).Family() != sockets.AF_INET6 {
		t.Errorf("IPv6: %d addresses, %v", six.Len(), six.At(0))
	}
	for _, flags := range []sockets.AI{1, 2, 4, 0x10000} {
		_, err := h.NewAddrInfo("many.example", sockets.AF_UNSPEC, flags)
		wantErrno(t, err, sockets.EINVAL)
	}
	_, err = h.NewAddrInfo("many.example", sockets.AF_UNIX, 0)
	wantErrno(t, err, sockets.EINVAL)
	var gai *sockets.GAIError
	if _, err = h.NewAddrInfo("nobody.invalid", sockets.AF_UNSPEC, 0); !errors.As(err, &gai) || gai.Code != sockets.EAI_NONAME {
		t.Errorf("a name that is not there: %v", err)
	}
	if _, err = h.NewAddrInfo("", sockets.AF_UNSPEC, 0); !errors.As(err, &gai) || gai.Code != sockets.EAI_NONAME {
		t.Errorf("no name: %v", err)
	}
	mapped, err := h.NewAddrInfo("192.0.2.7", sockets.AF_INET6, sockets.PR_AI_V4MAPPED)
	check(t, err)
	if mapped.At(0).Address() != "::ffff:192.0.2.7" {
		t.Errorf("mapped: %v", mapped.At(0))
	}
}

// NSPR does not pass AI_ADDRCONFIG on for the names of the host itself: here,
// where there is no IPv6 but on the loopback interface, it would hide ::1.
func TestAddrInfoOfLocalhost(t *testing.T) {
	left, right := link.NewPipe(link.PipeConfig{})
	t.Cleanup(right.Close)
	s, err := stack.New(stack.Config{NICs: []stack.NIC{{Link: left, Addrs: []netip.Prefix{netip.MustParsePrefix(addrA + "/24")}}}})
	check(t, err)
	h, err := sockets.New(sockets.Config{Stack: s, Hosts: netdb.ParseHosts([]byte("127.0.0.1 localhost\n::1 localhost\n"))})
	check(t, err)
	t.Cleanup(func() { h.Close(); s.Close() })
	info, err := h.NewAddrInfo("LocalHost", sockets.AF_UNSPEC, sockets.PR_AI_ADDRCONFIG)
	check(t, err)
	if info.Len() != 2 {
		t.Errorf("localhost has %d addresses", info.Len())
	}
}

func TestHostEntry(t *testing.T) {
	h := known(t)
	e, err := h.NewHostEntry("many.example")
	check(t, err)
	if e.Hostname() != "many.example" || e.Family() != sockets.AF_INET || e.Len() != 2 {
		t.Errorf("%s: %v, %d addresses", e.Hostname(), e.Family(), e.Len())
	}
	if len(e.Aliases()) != 1 || e.Aliases()[0] != "alias.example" {
		t.Errorf("aliases %q", e.Aliases())
	}
	all := e.NetworkAddresses(80)
	if len(all) != 2 || all[0].Port() != 80 || all[0].String() != e.NetworkAddress(80).String() || e.At(0).Port() != 0 {
		t.Errorf("addresses %v", all)
	}
	if e.NetworkAddress(65536) != nil || e.NetworkAddresses(-1) != nil || e.At(2) != nil || e.At(-1) != nil {
		t.Error("an address for a port or an index that is not there")
	}
	six, err := h.NewNetworkAddress("2001:db8::1", 0, sockets.AF_INET6)
	check(t, err)
	e, err = h.NewHostEntryFromAddr(six)
	check(t, err)
	if e.Hostname() != "many.example" || e.Family() != sockets.AF_INET6 {
		t.Errorf("%s: %v", e.Hostname(), e.Family())
	}
	_, err = h.NewHostEntryFromAddr(new(sockets.NetworkAddress))
	wantErrno(t, err, sockets.EINVAL)
	if _, err = h.NewHostEntry("nobody.invalid"); err == nil {
		t.Error("an entry for a name that is not there")
	}
	if new(sockets.HostEntry).Family() != sockets.AF_UNSPEC || new(sockets.HostEntry).NetworkAddress(1) != nil {
		t.Error("an empty entry has an address")
	}
}
