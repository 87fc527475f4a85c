package dnsresolver

import (
	"strconv"
	"strings"
	"time"
)

// Options are the switches of resolv.conf(5) and a few of our own. One that is
// set in Config is on whatever the file says.
type Options struct {
	Rotate        bool // rotate: begin with another server for each lookup
	UseVC         bool // use-vc: TCP only
	TrustAD       bool // trust-ad: ask for the AD bit and report it in Answer
	SingleRequest bool // single-request, single-request-reopen: AAAA after A, not beside it
	NoAAAA        bool // no-aaaa: ask DNS for A only; hosts and literals are not affected
	NoTLDQuery    bool // no-tld-query: never ask for a name without a dot as it is
	StrictError   bool // strict-error: fail when either of A and AAAA failed for a time
	Mixed0x20     bool // 0x20: ask in mixed case over UDP, and want it repeated, against forgery
	MDNS          bool // ask for names such as printer.local by multicast (RFC 6762); Transport must be a PacketTransport
	Cookies       bool // DNS cookies (RFC 7873), against forgery
	NoEDNS0       bool // -edns0: send no OPT record. By default it is sent

	// HostsFallthrough asks DNS for the family that the hosts file does not have
	// for a name, as glibc does. By default a name in the hosts file is answered
	// from it alone, so that pinning a name to one address really pins it.
	HostsFallthrough bool
	// StrictSearch ends the search list at the first candidate that failed for a
	// time, as musl does. By default the next one is tried and the failure is
	// reported at the end.
	StrictSearch bool
	// UseEnv reads RES_OPTIONS and LOCALDOMAIN from the environment, once, in
	// New. Their numbers and domains win over the file's; switches add up.
	UseEnv bool
}

// optionSwitches are the options of resolv.conf(5) that are on or off. A
// leading "-" switches one off.
var optionSwitches = map[string]func(*Options) *bool{
	"rotate":                func(o *Options) *bool { return &o.Rotate },
	"use-vc":                func(o *Options) *bool { return &o.UseVC },
	"trust-ad":              func(o *Options) *bool { return &o.TrustAD },
	"single-request":        func(o *Options) *bool { return &o.SingleRequest },
	"single-request-reopen": func(o *Options) *bool { return &o.SingleRequest },
	"no-aaaa":               func(o *Options) *bool { return &o.NoAAAA },
	"no-tld-query":          func(o *Options) *bool { return &o.NoTLDQuery },
	"no_tld_query":          func(o *Options) *bool { return &o.NoTLDQuery },
	"strict-error":          func(o *Options) *bool { return &o.StrictError },
}

// optionsIgnored are options that other resolvers know or once knew and that
// have no meaning here.
var optionsIgnored = map[string]string{
	"debug":          "use Config.Trace",
	"inet6":          "removed from glibc in 2.25",
	"ip6-bytestring": "removed from glibc in 2.25",
	"ip6-dotint":     "removed from glibc in 2.25",
	"no-ip6-dotint":  "removed from glibc in 2.25",
	"no-check-names": "names are always checked",
	"insecure1":      "removed from BIND",
	"insecure2":      "removed from BIND",
}

// setOptions applies the words of an options line.
func (c *resolvConf) setOptions(words []string) {
	for _, word := range words {
		name, value, hasValue := strings.Cut(word, ":")
		bare, off := strings.CutPrefix(name, "-")
		switch {
		case hasValue:
			c.setNumber(name, value)
		case bare == "edns0":
			c.options.NoEDNS0 = off
		case bare == "no-reload":
			c.noReload = !off
		case optionSwitches[bare] != nil:
			*optionSwitches[bare](&c.options) = !off
		case optionsIgnored[bare] != "":
			c.warn("options %s: ignored (%s)", word, optionsIgnored[bare])
		default:
			c.warn("options %s: unknown", word)
		}
	}
}

// setNumber applies an option with a value. Values out of range are moved into
// it, as glibc does.
func (c *resolvConf) setNumber(name, value string) {
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		c.warn("options %s:%s: not a number", name, value)
		return
	}
	switch name {
	case "ndots":
		c.ndots = int(min(n, maxNdots))
	case "timeout":
		c.timeout = time.Duration(min(max(n, 1), uint64(maxTimeout/time.Second))) * time.Second
	case "attempts":
		c.attempts = int(min(max(n, 1), maxAttempts))
	default:
		c.warn("options %s:%s: unknown", name, value)
	}
}

// union returns the options that are on in either.
func (o Options) union(p Options) Options {
	for _, field := range optionSwitches {
		*field(&o) = *field(&o) || *field(&p)
	}
	o.NoEDNS0 = o.NoEDNS0 || p.NoEDNS0
	return o
}
