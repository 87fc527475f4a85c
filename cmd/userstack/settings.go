package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/userstack/userstack/dnsresolver"
	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/link/hostnet"
)

// settings are the flags that every command has: which network, and how to look at it. Zero values leave the choice to
// the link.
type settings struct {
	link     linkSpec
	addrs    []netip.Prefix
	gateways []netip.Addr
	routes   []stack.Route
	dns      []dnsresolver.Server
	hosts    string
	mtu      uint32
	busyPoll time.Duration
	impair   *link.ImpairConfig
	pcap     string
	verbose  int // 1: steps, 2: packets as well

	linkFlag     string         // what the user calls --link, if not that
	hostLoopback hostnet.Access // of the link "host"
}

func (s *settings) addFlags(f *pflag.FlagSet) {
	s.link = linkSpec{kind: linkKinds[0]}
	f.Var(&s.link, "link", "the network: "+linkNames())
	f.Var(list("PREFIX", &s.addrs, netip.ParsePrefix), "addr", "an address of this stack, as 10.0.0.2/24 (repeatable)")
	f.Var(list("ADDR", &s.gateways, netip.ParseAddr), "gateway", "the next hop of the default route (once per IP version)")
	f.Var(list("DST[,VIA]", &s.routes, parseRoute), "route", "a route, as 10.1.0.0/16 or 10.1.0.0/16,10.0.0.1 (repeatable)")
	f.Var(list("SERVER", &s.dns, dnsresolver.ParseServer), "dns", "a DNS server, as 10.0.0.1, tcp://[fd00::1]:53, tls://9.9.9.9#dns.quad9.net or https://9.9.9.9/dns-query (repeatable)")
	f.StringVar(&s.hosts, "hosts", "", "a `FILE` of names in the form of hosts(5)")
	f.Var(&mtuValue{&s.mtu}, "mtu", "the largest IP packet, 1280 to 65535 bytes (default that of the link)")
	f.DurationVar(&s.busyPoll, "busy-poll", 0, "ask a device again for this `TIME` before sleeping, at most 1ms (default not at all)")
	f.Var(&impairValue{&s.impair}, "impair", "treat packets badly: loss=5%,delay=20ms,seed=1 (see \"userstack help network\")")
	f.StringVar(&s.pcap, "pcap", "", "write the packets to a `FILE` that Wireshark reads")
	f.CountVarP(&s.verbose, "verbose", "v", "say what happens on standard error; twice: every packet too")
}

// listValue is a flag that may be given several times.
type listValue[T any] struct {
	to    *[]T
	parse func(string) (T, error)
	kind  string
}

func list[T any](kind string, to *[]T, parse func(string) (T, error)) *listValue[T] {
	return &listValue[T]{to: to, parse: parse, kind: kind}
}

func (l *listValue[T]) Set(text string) error {
	v, err := l.parse(text)
	if err != nil {
		return err
	}
	*l.to = append(*l.to, v)
	return nil
}

func (l *listValue[T]) Type() string { return l.kind }
func (l *listValue[T]) String() string {
	if l.to == nil || len(*l.to) == 0 {
		return ""
	}
	return strings.Trim(fmt.Sprint(*l.to), "[]")
}

func parseRoute(text string) (r stack.Route, err error) {
	dst, via, ok := strings.Cut(text, ",")
	if r.Dst, err = netip.ParsePrefix(dst); err != nil {
		return r, err
	}
	if ok {
		r.Gateway, err = netip.ParseAddr(via)
	}
	return r, err
}

// leastMTU is IPv6's (RFC 8200 section 5).
const leastMTU = 1280

type mtuValue struct{ to *uint32 }

func (m *mtuValue) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n < leastMTU || n > link.MaxGSOSize {
		return fmt.Errorf("not a number from %d to %d", leastMTU, link.MaxGSOSize)
	}
	*m.to = uint32(n)
	return nil
}

func (m *mtuValue) Type() string { return "BYTES" }
func (m *mtuValue) String() string {
	if m.to == nil || *m.to == 0 {
		return ""
	}
	return fmt.Sprint(*m.to)
}
