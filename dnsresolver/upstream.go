package dnsresolver

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Proto is how a server is talked to.
type Proto int

const (
	ProtoUDP   Proto = iota // UDP, and TCP for what does not fit (RFC 7766)
	ProtoTCP                // TCP only
	ProtoTLS                // DNS over TLS (RFC 7858)
	ProtoHTTPS              // DNS over HTTPS, version 2 where the server has it (RFC 8484)
)

// schemes are the protocols in ParseServer's words, with their ports.
var schemes = [...]struct {
	name string
	port uint16
}{
	ProtoUDP: {"udp", 53}, ProtoTCP: {"tcp", 53}, ProtoTLS: {"tls", 853}, ProtoHTTPS: {"https", 443},
}

// String returns "udp", "tcp", "tls" or "https".
func (p Proto) String() string {
	if p < 0 || int(p) >= len(schemes) {
		return fmt.Sprintf("Proto(%d)", int(p))
	}
	return schemes[p].name
}

// secure reports whether the server must prove who it is. What is asked of it is
// never asked in the clear instead.
func (p Proto) secure() bool { return p == ProtoTLS || p == ProtoHTTPS }

// Server is a DNS server that resolves recursively.
type Server struct {
	Addr  netip.AddrPort // the port 0 means that of the protocol: 53, 853 or 443
	Proto Proto

	// Name is what the certificate of a ProtoTLS or ProtoHTTPS server must be
	// for. Empty: the address.
	Name string
	// Pin is the SHA-256 of the server's public key in base64, which then is all
	// that is checked (RFC 7858 section 4.2). Empty: the certificate is checked.
	Pin string
	// Path is that of a ProtoHTTPS server. Empty: "/dns-query".
	Path string
}

const defaultDoHPath = "/dns-query"

// ParseServer reads a server in the form ADDRESS, ADDRESS:PORT, [ADDRESS]:PORT,
// and the same after "udp://", "tcp://", "tls://" and "https://". The latter two
// may have "#NAME" at the end, for the name in the certificate, and the last one a
// path before that: https://9.9.9.9/dns-query#dns.quad9.net.
func ParseServer(text string) (Server, error) {
	var s Server
	fail := func(why string) (Server, error) {
		return Server{}, fmt.Errorf("DNS server %q: %s", text, why)
	}
	rest := text
	if scheme, after, ok := strings.Cut(text, "://"); ok {
		for s.Proto = ProtoUDP; s.Proto.String() != scheme; s.Proto++ {
			if s.Proto > ProtoHTTPS {
				return fail("unknown scheme")
			}
		}
		rest = after
	}
	if s.Proto.secure() {
		rest, s.Name, _ = strings.Cut(rest, "#")
	}
	if at := strings.IndexByte(rest, '/'); at >= 0 && s.Proto == ProtoHTTPS {
		rest, s.Path = rest[:at], rest[at:]
		if _, err := url.ParseRequestURI(s.Path); err != nil {
			return fail("bad path")
		}
	}
	if addr, err := netip.ParseAddrPort(rest); err == nil {
		s.Addr = addr
		return s, nil
	}
	if len(rest) > 1 && rest[0] == '[' && rest[len(rest)-1] == ']' {
		rest = rest[1 : len(rest)-1]
	}
	addr, err := netip.ParseAddr(rest)
	if err != nil {
		return fail("want an address, or an address and a port")
	}
	s.Addr = netip.AddrPortFrom(addr, schemes[s.Proto].port)
	return s, nil
}

// String returns the form that ParseServer reads.
func (s Server) String() string {
	text := s.Addr.String()
	if s.Proto != ProtoUDP {
		text = s.Proto.String() + "://" + text + s.Path
	}
	if s.Name != "" {
		text += "#" + s.Name
	}
	return text
}

// serverName is what the certificate must be for.
func (s Server) serverName() string {
	if s.Name != "" {
		return s.Name
	}
	return s.Addr.Addr().WithZone("").String()
}

// url is where a ProtoHTTPS server is asked. The host in it is only a name: the
// connection goes to Addr.
func (s Server) url() string {
	u := url.URL{Scheme: "https", Host: s.serverName(), Path: firstNonZero(s.Path, defaultDoHPath)}
	if addr, err := netip.ParseAddr(u.Host); err == nil && addr.Is6() {
		u.Host = "[" + u.Host + "]"
	}
	return u.String()
}

func validateServers(list []Server) error {
	if len(list) > maxServers {
		return fmt.Errorf("%d servers, more than %d", len(list), maxServers)
	}
	for _, s := range list {
		pin, err := base64.StdEncoding.DecodeString(s.Pin)
		switch {
		case !s.Addr.IsValid() || s.Proto < ProtoUDP || s.Proto > ProtoHTTPS:
			return fmt.Errorf("server %v: no address or unknown protocol", s.Addr)
		case !s.Proto.secure() && (s.Name != "" || s.Pin != ""), s.Proto != ProtoHTTPS && s.Path != "":
			return fmt.Errorf("server %v: a name, pin or path that %v has no use for", s.Addr, s.Proto)
		case err != nil || len(pin) != 0 && len(pin) != pinSize:
			return fmt.Errorf("server %v: the pin is not a SHA-256 in base64", s.Addr)
		}
	}
	return nil
}
