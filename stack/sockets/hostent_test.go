package sockets_test

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/userstack/userstack/dnsresolver/netdb"
	"github.com/userstack/userstack/stack/sockets"
)

// A2.4 and A2.5.
func TestGetHostByName(t *testing.T) {
	a, _ := dnsPair(t)
	for name, want := range map[string]string{
		"": "0.0.0.0", "<broadcast>": "255.255.255.255", "1.2": "1.0.0.2", "0x7f.1": "127.0.0.1", "192.0.2.1": "192.0.2.1",
		"localhost": "127.0.0.1", "www.example.test": addrB, "alias.example.test": addrB,
	} {
		if got, err := a.GetHostByName(name); got != want || err != nil {
			t.Errorf("%q: %s, %v, want %s", name, got, err, want)
		}
	}
	for name, code := range map[string]sockets.EAI{
		"::1": sockets.EAI_ADDRFAMILY, "nx.example.test": sockets.EAI_NONAME, "only6.example.test": sockets.EAI_NODATA,
		"x.servfail.test": sockets.EAI_AGAIN, "a b": sockets.EAI_NONAME, "*": sockets.EAI_NONAME,
	} {
		_, err := a.GetHostByName(name)
		wantGAI(t, err, code)
		_, err = a.GetHostByNameEx(name)
		wantGAI(t, err, code)
		var h *sockets.HError
		if !errors.As(err, &h) || h.Code != code.HErr() {
			t.Errorf("%q: %v is no *HError with %d", name, err, code.HErr())
		}
	}
	for name, want := range map[string]sockets.HostEnt{
		"127.1":              {Name: "127.1", Addrs: []string{"127.0.0.1"}},
		"www.example.test":   {Name: "www.example.test", Addrs: []string{addrB}},
		"alias.example.test": {Name: "www.example.test", Aliases: []string{"alias.example.test", "middle.example.test"}, Addrs: []string{addrB}},
	} {
		if got, err := a.GetHostByNameEx(name); err != nil || !sameEnt(got, want) {
			t.Errorf("%q: %+v, %v, want %+v", name, got, err, want)
		}
	}
	_, err := a.GetHostByNameEx("")
	wantHErr(t, err, sockets.NO_RECOVERY)
	_, err = a.GetHostByNameEx("<broadcast>")
	wantHErr(t, err, sockets.HOST_NOT_FOUND)
}

func sameEnt(a, b sockets.HostEnt) bool {
	return a.Name == b.Name && slices.Equal(a.Aliases, b.Aliases) && slices.Equal(a.Addrs, b.Addrs)
}

// A2.7, for both families, for names, and for the hosts table.
func TestGetHostByAddr(t *testing.T) {
	a, _ := dnsPair(t)
	for host, want := range map[string]sockets.HostEnt{
		addrB:                {Name: "www.example.test", Aliases: []string{"b.example.test"}, Addrs: []string{addrB}},
		addrB6:               {Name: "six.example.test", Addrs: []string{addrB6}},
		"::ffff:" + addrB:    {Name: "www.example.test", Aliases: []string{"b.example.test"}, Addrs: []string{"::ffff:" + addrB}},
		"only4.example.test": {Name: "www.example.test", Aliases: []string{"b.example.test"}, Addrs: []string{addrB}},
		"127.0.0.1":          {Name: "localhost", Addrs: []string{"127.0.0.1"}},
	} {
		if got, err := a.GetHostByAddr(host); err != nil || !sameEnt(got, want) {
			t.Errorf("%q: %+v, %v, want %+v", host, got, err, want)
		}
	}
	_, err := a.GetHostByAddr("10.77.0.77")
	wantHErr(t, err, sockets.HOST_NOT_FOUND)
	_, err = a.GetHostByAddr("nx.example.test")
	wantGAI(t, err, sockets.EAI_NONAME)

	h := configuredHost(t, sockets.Config{Hosts: netdb.ParseHosts([]byte("192.0.2.100 multi.test alias1 Alias2.Test\n"))})
	want := sockets.HostEnt{Name: "multi.test", Aliases: []string{"alias1", "Alias2.Test"}, Addrs: []string{"192.0.2.100"}}
	for _, host := range []string{"192.0.2.100", "ALIAS1"} {
		if got, err := h.GetHostByAddr(host); err != nil || !sameEnt(got, want) {
			t.Errorf("%q: %+v, %v, want %+v", host, got, err, want)
		}
	}
	if got, err := h.GetHostByNameEx("alias1"); err != nil || !sameEnt(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	_, err = h.GetHostByAddr("192.0.2.1") // without a resolver
	wantHErr(t, err, sockets.HOST_NOT_FOUND)
}

// A2.3 and A2.6.
func TestGetFQDN(t *testing.T) {
	a, _ := dnsPair(t)
	for name, want := range map[string]string{
		addrB: "www.example.test", " only4.example.test ": "www.example.test", "10.77.0.77": "10.77.0.77", "nx.example.test": "nx.example.test",
		"localhost": "localhost", "": "localhost",
	} {
		if got := a.GetFQDN(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
	h := configuredHost(t, sockets.Config{Hostname: "me", Hosts: netdb.ParseHosts([]byte("192.0.2.1 me me.example.test\n"))})
	for _, name := range []string{"", "0.0.0.0", "::", "me", "192.0.2.1"} {
		if got := h.GetFQDN(name); got != "me.example.test" {
			t.Errorf("%q: %s", name, got)
		}
	}
	if h.GetHostName() != "me" {
		t.Error(h.GetHostName())
	}
	check(t, h.SetHostName("you"))
	if h.GetHostName() != "you" || h.GetFQDN("") != "you" {
		t.Error(h.GetHostName(), h.GetFQDN(""))
	}
	wantErrno(t, h.SetHostName(""), sockets.EINVAL)
	wantErrno(t, h.SetHostName(strings.Repeat("a", 65)), sockets.EINVAL)
}

// A2.8.
func TestGetNameInfo(t *testing.T) {
	a, _ := dnsPair(t)
	check(t, a.SetHostName("a.example.test"))
	b80, shell := sockets.Inet4{Host: addrB, Port: 80}, sockets.Inet4{Host: "10.77.0.77", Port: 514}
	for _, test := range []struct {
		addr          sockets.Sockaddr
		flags         sockets.NI
		host, service string
	}{
		{b80, 0, "www.example.test", "http"},
		{b80, sockets.NI_NUMERICHOST, addrB, "http"},
		{b80, sockets.NI_NUMERICSERV | sockets.NI_NAMEREQD, "www.example.test", "80"},
		{b80, sockets.NI_NOFQDN, "www", "http"},
		{b80, sockets.NI_DGRAM, "www.example.test", "80"},
		{shell, 0, "10.77.0.77", "shell"},
		{shell, sockets.NI_DGRAM, "10.77.0.77", "syslog"},
		{sockets.Inet4{Host: "127.1"}, sockets.NI_NUMERICHOST, "127.0.0.1", "0"},
		{sockets.Inet6{Host: addrB6, Port: 80}, 0, "six.example.test", "http"},
		{sockets.Inet6{Host: "fe80::1", Port: 80, ScopeID: 1}, 0, "fe80::1%lo", "http"},
		{sockets.Inet6{Host: "fe80::1%lo", Port: 80}, 0, "fe80::1%lo", "http"},
		{sockets.Inet6{Host: "fe80::1", Port: 80, ScopeID: 77}, 0, "fe80::1%77", "http"},
		{sockets.Inet6{Host: "2001:db8::9", Port: 80, ScopeID: 1}, sockets.NI_NUMERICHOST, "2001:db8::9%1", "http"},
	} {
		host, service, err := a.GetNameInfo(test.addr, test.flags)
		if host != test.host || service != test.service || err != nil {
			t.Errorf("%v, flags %d: %s, %s, %v, want %s, %s", test.addr, test.flags, host, service, err, test.host, test.service)
		}
	}
	for _, test := range []struct {
		addr  sockets.Sockaddr
		flags sockets.NI
		code  sockets.EAI
	}{
		{b80, 0x100, sockets.EAI_BADFLAGS},
		{b80, sockets.NI_NUMERICHOST | sockets.NI_NAMEREQD, sockets.EAI_NONAME},
		{shell, sockets.NI_NAMEREQD, sockets.EAI_NONAME},
		{sockets.Inet4{Host: "www.example.test", Port: 80}, 0, sockets.EAI_NONAME},
		{sockets.Inet4{Host: addrB, Port: 65536}, 0, sockets.EAI_SERVICE},
		{sockets.Inet4{Host: addrB, Port: -1}, 0, sockets.EAI_SERVICE},
		{otherAddr{}, 0, sockets.EAI_FAMILY},
		{nil, 0, sockets.EAI_FAMILY},
	} {
		_, _, err := a.GetNameInfo(test.addr, test.flags)
		wantGAI(t, err, test.code)
	}
	a.SetResolver(&plainResolver{}) // which has no names of link-local addresses to give
	if host, _, err := a.GetNameInfo(sockets.Inet6{Host: "fe80::1", ScopeID: 1}, 0); host != "fe80::1%lo" || err != nil {
		t.Errorf("%s, %v", host, err)
	}
}

// otherAddr is an address of a family without names.
type otherAddr struct{ net.Addr }

func (otherAddr) Family() sockets.Family { return sockets.AF_UNIX }
func (otherAddr) String() string         { return "other" }

// A2.9 to A2.12.
func TestNetDB(t *testing.T) {
	h := configuredHost(t, sockets.Config{})
	for name, want := range map[string]sockets.Protocol{"tcp": 6, "TCP": 6, "udp": 17, "icmp": 1, "ICMP": 1, "ipv6-icmp": 58, "ip": 0} {
		if got, err := h.GetProtoByName(name); got != want || err != nil {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
	for _, name := range []string{"Tcp", "6", "", "nosuch"} {
		_, err := h.GetProtoByName(name)
		wantNotFound(t, err, "protocol not found")
	}
	name, aliases, err := h.GetProtoByNumber(6)
	if name != "tcp" || !slices.Equal(aliases, []string{"TCP"}) || err != nil {
		t.Errorf("%s %q, %v", name, aliases, err)
	}
	_, _, err = h.GetProtoByNumber(254)
	wantNotFound(t, err, "protocol not found")

	for _, test := range []struct {
		name, proto string
		want        int
	}{
		{"http", "tcp", 80}, {"www", "", 80}, {"domain", "udp", 53}, {"syslog", "", 514}, {"syslog", "udp", 514}, {"ntp", "udp", 123}, {"ssh", "", 22},
	} {
		if got, err := h.GetServByName(test.name, test.proto); got != test.want || err != nil {
			t.Errorf("%s/%s: %d, %v", test.name, test.proto, got, err)
		}
	}
	for _, test := range [][2]string{{"HTTP", ""}, {"80", ""}, {"http", "udp"}, {"ntp", "tcp"}, {"http", "TCP"}, {"", ""}} {
		_, err := h.GetServByName(test[0], test[1])
		wantNotFound(t, err, "service/proto not found")
	}
	for _, test := range []struct {
		port        int
		proto, want string
	}{{80, "tcp", "http"}, {514, "", "shell"}, {514, "udp", "syslog"}, {53, "udp", "domain"}} {
		if got, err := h.GetServByPort(test.port, test.proto); got != test.want || err != nil {
			t.Errorf("%d/%s: %s, %v", test.port, test.proto, got, err)
		}
	}
	_, err = h.GetServByPort(80, "sctp")
	wantNotFound(t, err, "port/proto not found")
	for _, port := range []int{-1, 65536} {
		_, err = h.GetServByPort(port, "")
		wantErrno(t, err, sockets.EINVAL)
	}

	h = configuredHost(t, sockets.Config{
		Services:  netdb.ParseServices([]byte("echo 7777/tcp ping\n")),
		Protocols: netdb.ParseProtocols([]byte("mine 253 MINE\n")),
	})
	if got, err := h.GetServByName("ping", "tcp"); got != 7777 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
	if got, err := h.GetProtoByName("MINE"); got != 253 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
	if list, err := h.GetAddrInfo("::1", "ping", nil); err != nil || len(list) != 1 || list[0].Addr != (sockets.Inet6{Host: "::1", Port: 7777}) {
		t.Errorf("%q, %v", entries(list), err)
	}
	_, err = h.GetServByName("http", "tcp")
	wantNotFound(t, err, "service/proto not found")
}

// wantNotFound fails the test unless err is ENOENT with Python's text.
func wantNotFound(t *testing.T, err error, text string) {
	t.Helper()
	wantErrno(t, err, sockets.ENOENT)
	if err != nil && !strings.Contains(err.Error(), text) {
		t.Errorf("error %q, want %q in it", err, text)
	}
}

// A11.3, A11.4, A13.15: the errors of look-ups and their texts.
func TestNameErrors(t *testing.T) {
	a, _ := dnsPair(t)
	_, err := a.GetHostByName("nx.example.test")
	var se sockets.SocketError
	if !errors.As(err, &se) || se.Errno() != -2 || se.Timeout() {
		t.Errorf("%v: errno %d", err, se.Errno())
	}
	if want := "lookup nx.example.test: Name or service not known"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	_, err = a.GetHostByName("::1")
	if want := "::1: Address family for hostname not supported"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	_, err = a.GetHostByAddr("10.77.0.77")
	if !errors.As(err, &se) || se.Errno() != 1 || err.Error() != "10.77.0.77: Unknown host" {
		t.Errorf("%v: errno %d", err, se.Errno())
	}
	for code, want := range map[sockets.EAI]string{
		-1: "Bad value for ai_flags", -2: "Name or service not known", -3: "Temporary failure in name resolution",
		-4: "Non-recoverable failure in name resolution", -5: "No address associated with hostname", -6: "ai_family not supported",
		-7: "ai_socktype not supported", -8: "Servname not supported for ai_socktype", -9: "Address family for hostname not supported",
		-10: "Memory allocation failure", -11: "System error", 1: "Unknown error",
	} {
		if got := sockets.GAIStrError(code); got != want {
			t.Errorf("%d: %q, want %q", int(code), got, want)
		}
	}
	for code, want := range map[sockets.HErr]string{
		-1: "Resolver internal error", 1: "Unknown host", 2: "Host name lookup failure", 3: "Unknown server error",
		4: "No address associated with name", 5: "Unknown resolver error",
	} {
		if got := sockets.HStrError(code); got != want {
			t.Errorf("%d: %q, want %q", int(code), got, want)
		}
	}
}

// A13.15 to A13.18: the numbers of glibc's netdb.h and of NSPR's prnetdb.h.
func TestNameConstants(t *testing.T) {
	for i, pair := range [][2]int{
		{int(sockets.EAI_BADFLAGS), -1}, {int(sockets.EAI_NONAME), -2}, {int(sockets.EAI_AGAIN), -3}, {int(sockets.EAI_FAIL), -4},
		{int(sockets.EAI_NODATA), -5}, {int(sockets.EAI_FAMILY), -6}, {int(sockets.EAI_SOCKTYPE), -7}, {int(sockets.EAI_SERVICE), -8},
		{int(sockets.EAI_ADDRFAMILY), -9}, {int(sockets.EAI_MEMORY), -10}, {int(sockets.EAI_SYSTEM), -11}, {int(sockets.EAI_OVERFLOW), -12},
		{int(sockets.AI_PASSIVE), 1}, {int(sockets.AI_CANONNAME), 2}, {int(sockets.AI_NUMERICHOST), 4}, {int(sockets.AI_V4MAPPED), 8},
		{int(sockets.AI_ALL), 16}, {int(sockets.AI_ADDRCONFIG), 32}, {int(sockets.AI_IDN), 0x40}, {int(sockets.AI_CANONIDN), 0x80},
		{int(sockets.AI_NUMERICSERV), 0x400},
		{int(sockets.PR_AI_ALL), 8}, {int(sockets.PR_AI_V4MAPPED), 16}, {int(sockets.PR_AI_ADDRCONFIG), 32}, {int(sockets.PR_AI_NOCANONNAME), 0x8000},
		{int(sockets.NI_NUMERICHOST), 1}, {int(sockets.NI_NUMERICSERV), 2}, {int(sockets.NI_NOFQDN), 4}, {int(sockets.NI_NAMEREQD), 8},
		{int(sockets.NI_DGRAM), 16}, {sockets.NI_MAXHOST, 1025}, {sockets.NI_MAXSERV, 32},
	} {
		if pair[0] != pair[1] {
			t.Errorf("constant %d: %d, want %d", i, pair[0], pair[1])
		}
	}
}
