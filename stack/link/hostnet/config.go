package hostnet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"syscall"
	"time"
)

// Access says whether something may be reached.
type Access int

const (
	AccessDenied  Access = iota // refused with an ICMP error
	AccessAllowed               // let through
)

// Config describes an uplink. The zero value is the network 10.0.2.0/24 and
// fd00::/64, without access to the machine itself.
type Config struct {
	// Addr4 and Addr6 are the stack's addresses with the size of their networks;
	// of each network, Gateway and DNS are addresses. Zero means 10.0.2.15/24 with
	// gateway 10.0.2.2 and DNS 10.0.2.3, and fd00::15/64 with fd00::2 and
	// fd00::3.
	Addr4, Addr6       netip.Prefix
	Gateway4, Gateway6 netip.Addr // zero: the second address of the network
	DNS4, DNS6         netip.Addr // zero: the third address of the network

	// HostLoopback opens the machine's own addresses. Its loopback is then at the
	// gateway's addresses: 10.0.2.2 port 80 is 127.0.0.1 port 80, and fd00::2 is
	// ::1. Zero is AccessDenied.
	HostLoopback Access

	// Policy decides on each other destination; network is "tcp", "udp" or
	// "icmp". Nil is DefaultPolicy. A refusal reaches the program as EHOSTUNREACH
	// on IPv4 and EACCES on IPv6 (ICMP "administratively prohibited"). It is asked
	// from many goroutines, for UDP and ICMP from the one that delivers packets:
	// it should not wait, and its answer is kept for 5 s. Nameservers, and the
	// machine where HostLoopback allows it, are not asked about.
	Policy func(ctx context.Context, network string, to netip.AddrPort) error

	// Nameservers are where queries to the DNS addresses go, in order of
	// preference. Nil means those of the machine's /etc/resolv.conf, read again
	// when it changes; an empty list refuses queries.
	Nameservers []netip.AddrPort

	// Control is called on every socket that faces the network, before it is
	// bound or connected, as net.Dialer.Control: a VPN client binds its sockets
	// to an interface or marks them. The network is as there, or "icmp". What its
	// error means is told to the stack as connect(2)'s would be. Nil does nothing.
	Control func(network, address string, c syscall.RawConn) error

	// MTU is that of the link in bytes, 1280 to 65535. Zero is 1500: large TCP
	// segments cross whole at any MTU.
	MTU uint32

	// MaxConns, MaxDials and MaxFlows bound TCP connections, TCP connections that
	// are being made, and UDP and ICMP flows. Zero means DefaultMaxConns,
	// DefaultMaxDials and DefaultMaxFlows. A SYN beyond MaxConns is dropped, to
	// be sent again; beyond the other two the one idle longest makes room.
	MaxConns, MaxDials, MaxFlows int

	// UDPIdle is how long a UDP flow without packets lives, DNSIdle one to the
	// DNS addresses, and EchoIdle one of ICMP echo. Zero means DefaultUDPIdle,
	// DefaultDNSIdle and DefaultEchoIdle.
	UDPIdle, DNSIdle, EchoIdle time.Duration

	// DialTimeout ends attempts to connect that neither succeed nor fail. Zero is
	// DefaultDialTimeout.
	DialTimeout time.Duration

	// Logger gets what no program is told: a destination refused by the policy,
	// a socket that could not be made. Nil drops it.
	Logger *slog.Logger
}

// Defaults of Config.
const (
	DefaultMTU      = 1500  // bytes (RFC 894)
	DefaultMaxConns = 16384 // descriptors bound it earlier on most machines
	DefaultMaxDials = 1024  // each has a descriptor
	DefaultMaxFlows = 1024  // each has a descriptor

	DefaultUDPIdle     = 5 * time.Minute   // RFC 4787 REQ-5: at least 2 minutes, better 5
	DefaultDNSIdle     = 20 * time.Second  // RFC 4787 REQ-5 lets port 53 be shorter; a resolver tries for 5 to 15 s
	DefaultEchoIdle    = 60 * time.Second  // RFC 5508 REQ-2
	DefaultDialTimeout = 135 * time.Second // Linux gives up after 131 s (tcp_syn_retries 6)
)

const minMTU = 1280 // bytes: IPv6's least (RFC 8200 section 5)

// Host parts of the default addresses: slirp's habit.
const (
	gatewayHost = 2
	dnsHost     = 3
)

var (
	defaultAddr4 = netip.MustParsePrefix("10.0.2.15/24")
	defaultAddr6 = netip.MustParsePrefix("fd00::15/64")
)

func (cfg Config) withDefaults() (Config, error) {
	setDefault(&cfg.Addr4, defaultAddr4)
	setDefault(&cfg.Addr6, defaultAddr6)
	setDefault(&cfg.MTU, DefaultMTU)
	setDefault(&cfg.MaxConns, DefaultMaxConns)
	setDefault(&cfg.MaxDials, DefaultMaxDials)
	setDefault(&cfg.MaxFlows, DefaultMaxFlows)
	setDefault(&cfg.UDPIdle, DefaultUDPIdle)
	setDefault(&cfg.DNSIdle, DefaultDNSIdle)
	setDefault(&cfg.EchoIdle, DefaultEchoIdle)
	setDefault(&cfg.DialTimeout, DefaultDialTimeout)
	if cfg.Policy == nil {
		cfg.Policy = DefaultPolicy
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case !cfg.Addr4.Addr().Is4() || !cfg.Addr4.IsValid():
		return cfg, fmt.Errorf("hostnet: Addr4 is %v, which is not IPv4", cfg.Addr4)
	case !cfg.Addr6.Addr().Is6() || !cfg.Addr6.IsValid() || cfg.Addr6.Addr().Is4In6():
		return cfg, fmt.Errorf("hostnet: Addr6 is %v, which is not IPv6", cfg.Addr6)
	case cfg.MTU < minMTU || cfg.MTU > maxMTU:
		return cfg, fmt.Errorf("hostnet: MTU %d is not within %d to %d", cfg.MTU, minMTU, maxMTU)
	case cfg.MaxConns < 0 || cfg.MaxDials < 0 || cfg.MaxFlows < 0:
		return cfg, errors.New("hostnet: a limit is negative")
	case cfg.UDPIdle < 0 || cfg.DNSIdle < 0 || cfg.EchoIdle < 0 || cfg.DialTimeout < 0:
		return cfg, errors.New("hostnet: a time is negative")
	}
	setDefault(&cfg.Gateway4, nth(cfg.Addr4, gatewayHost))
	setDefault(&cfg.Gateway6, nth(cfg.Addr6, gatewayHost))
	setDefault(&cfg.DNS4, nth(cfg.Addr4, dnsHost))
	setDefault(&cfg.DNS6, nth(cfg.Addr6, dnsHost))
	return cfg, errors.Join(
		distinct(cfg.Addr4, cfg.Gateway4, cfg.DNS4), distinct(cfg.Addr6, cfg.Gateway6, cfg.DNS6))
}

// distinct refuses three addresses of a network that are not three, or not of
// the network.
func distinct(p netip.Prefix, gateway, dns netip.Addr) error {
	if !p.Contains(gateway) || !p.Contains(dns) || gateway == dns || gateway == p.Addr() || dns == p.Addr() {
		return fmt.Errorf("hostnet: stack %v, gateway %v and DNS %v are not three addresses of one network", p, gateway, dns)
	}
	return nil
}

// nth returns the nth address of a network.
func nth(p netip.Prefix, n byte) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	b[len(b)-1] += n
	a, _ := netip.AddrFromSlice(b)
	return a
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}
