package dnsforward

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/userstack/userstack/dnsresolver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// An upstream is a server on the machine's loopback, which the Resolver asks.
type upstream struct {
	addr netip.AddrPort
	zone map[string][]string // records in the form of a zone file, by name and type

	mu    sync.Mutex
	asked []string
	hold  chan struct{} // names that begin with "slow" wait until it is closed
	slow  chan string   // receives such a name when it is asked for
}

const forwardZone = `
www.fwd.test.     60 IN A 192.0.2.1
www.fwd.test.     60 IN A 192.0.2.2
www.fwd.test.     60 IN AAAA 2001:db8::1
alias.fwd.test.   60 IN CNAME Www.fwd.test.
deep.fwd.test.    60 IN CNAME alias.fwd.test.
gone.fwd.test.    60 IN CNAME none.fwd.test.
fwd.test.         60 IN MX 10 mail.fwd.test.
fwd.test.         60 IN MX 20 "bad host.fwd.test."
fwd.test.         60 IN NS ns1.fwd.test.
fwd.test.         60 IN SOA ns1.fwd.test. root.fwd.test. 1 2 3 4 5
fwd.test.         60 IN TXT "one (1); \"two\" \200" "three"
fwd.test.         60 IN CAA 0 issue "ca.test"
fwd.test.         60 IN TYPE65280 \# 4 0A000001
fwd.test.         60 IN NULL \# 3 010203
fwd.test.         60 IN DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==
_s._tcp.fwd.test. 60 IN SRV 1 2 80 www.fwd.test.
fwd.test.         60 IN HTTPS 1 . alpn="h2,h3" ipv4hint="192.0.2.1"
1.2.0.192.in-addr.arpa. 60 IN PTR www.fwd.test.
slow.fwd.test.    60 IN A 192.0.2.9
slow2.fwd.test.   60 IN A 192.0.2.9
slow3.fwd.test.   60 IN A 192.0.2.9
`

func newUpstream(t testing.TB) *upstream {
	t.Helper()
	u := &upstream{zone: map[string][]string{}, hold: make(chan struct{}), slow: make(chan string, 100)}
	for line := range strings.Lines(strings.ReplaceAll(forwardZone, `"bad host.fwd.test."`, `bad\032host.fwd.test.`)) {
		if line = strings.TrimSpace(line); line != "" {
			u.add(line)
		}
	}
	for i := range 200 { // 3200 bytes of addresses
		u.add("big.fwd.test. 60 IN A " + netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}).String())
	}
	l, pc := samePort(t)
	u.addr = netip.MustParseAddrPort(l.Addr().String())
	for _, s := range []*dns.Server{{Listener: l, Handler: u}, {PacketConn: pc, Handler: u}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		done := make(chan error)
		go func() { done <- s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			u.release()
			s.Shutdown()
			<-done
		})
	}
	return u
}

// samePort returns sockets on one port of the loopback.
func samePort(t testing.TB) (net.Listener, net.PacketConn) {
	t.Helper()
	var err error
	for range 50 {
		var l net.Listener
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		var pc net.PacketConn
		if pc, err = net.ListenPacket("udp", l.Addr().String()); err == nil {
			return l, pc
		}
		l.Close()
	}
	t.Fatal("no port is free for both UDP and TCP: ", err)
	return nil, nil
}

func (u *upstream) add(text string) {
	rr, err := dns.NewRR(text)
	if err != nil {
		panic(err)
	}
	key := strings.ToLower(rr.Header().Name) + " " + dns.Type(rr.Header().Rrtype).String()
	u.zone[key] = append(u.zone[key], text)
}

func (u *upstream) release() {
	u.mu.Lock()
	defer u.mu.Unlock()
	select {
	case <-u.hold:
	default:
		close(u.hold)
	}
}

func (u *upstream) questions() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]string(nil), u.asked...)
}

// ServeDNS implements dns.Handler.
func (u *upstream) ServeDNS(w dns.ResponseWriter, req *dns.Msg) {
	q := req.Question[0]
	name := strings.ToLower(q.Name)
	u.mu.Lock()
	u.asked = append(u.asked, name+" "+dns.Type(q.Qtype).String())
	hold := u.hold
	u.mu.Unlock()
	if strings.HasPrefix(name, "slow") {
		u.slow <- name
		<-hold
	}
	m := new(dns.Msg)
	m.SetReply(req)
	m.AuthenticatedData = true
	m.Rcode = dns.RcodeNameError
	if name == "fail.fwd.test." {
		m.Rcode = dns.RcodeServerFailure
	}
	for owner := name; ; {
		for key := range u.zone {
			if strings.HasPrefix(key, owner+" ") {
				m.Rcode = dns.RcodeSuccess
			}
		}
		for _, text := range u.zone[owner+" "+dns.Type(q.Qtype).String()] {
			rr, _ := dns.NewRR(text)
			m.Answer = append(m.Answer, rr)
		}
		alias := u.zone[owner+" CNAME"]
		if len(alias) == 0 {
			break
		}
		rr, _ := dns.NewRR(alias[0])
		m.Answer = append(m.Answer, rr)
		owner = strings.ToLower(rr.(*dns.CNAME).Target)
		m.Rcode = dns.RcodeNameError
	}
	if len(m.Answer) == 0 || m.Rcode == dns.RcodeNameError {
		soa, _ := dns.NewRR(u.zone["fwd.test. SOA"][0])
		m.Ns = append(m.Ns, soa)
	}
	size := dns.MinMsgSize
	if opt := req.IsEdns0(); opt != nil {
		size = int(opt.UDPSize())
	}
	if _, tcp := w.RemoteAddr().(*net.TCPAddr); tcp {
		size = dns.MaxMsgSize
	}
	m.Truncate(size)
	w.WriteMsg(m)
}

type dialer struct{ net.Dialer }

func (u *upstream) resolver(t testing.TB, c dnsresolver.Config) *dnsresolver.Resolver {
	t.Helper()
	c.Transport = &dialer{}
	c.Servers = []dnsresolver.Server{{Addr: u.addr}}
	r, err := dnsresolver.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// serving returns a server with the address it has over UDP and TCP.
func serving(t testing.TB, c Config) (s *Server, addr string) {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	l, pc := samePort(t)
	var wg sync.WaitGroup
	for _, serve := range []func() error{func() error { return s.Serve(l) }, func() error { return s.ServePacket(pc) }} {
		wg.Go(func() {
			if err := serve(); err != net.ErrClosed {
				t.Errorf("serving ended with %v, want net.ErrClosed", err)
			}
		})
	}
	t.Cleanup(func() {
		s.Close()
		wg.Wait()
	})
	return s, l.Addr().String()
}

// guard is how long a test waits for what must come.
const guard = 30 * time.Second

func ask(t testing.TB, network, addr string, m *dns.Msg) *dns.Msg {
	t.Helper()
	c := &dns.Client{Net: network, Timeout: guard, UDPSize: dns.MaxMsgSize}
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	reply, _, err := c.ExchangeContext(ctx, m, addr)
	if err != nil {
		t.Fatalf("%s %v: %v", network, m.Question, err)
	}
	return reply
}

func question(name string, t uint16) *dns.Msg { return new(dns.Msg).SetQuestion(name, t) }
