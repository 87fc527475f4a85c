package dnsforward

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/userstack/userstack/dnsresolver"
)

// lines are the records of a section without their TTL, and the status.
func lines(m *dns.Msg) string {
	out := []string{dns.RcodeToString[m.Rcode]}
	for _, rr := range m.Answer {
		fields := strings.Fields(rr.String())
		out = append(out, strings.Join(slices.Delete(fields, 1, 3), " "))
	}
	slices.Sort(out[1:])
	return strings.Join(out, "; ")
}

func TestAnswers(t *testing.T) {
	u := newUpstream(t)
	_, addr := serving(t, Config{Resolver: u.resolver(t, dnsresolver.Config{
		HostsText: "10.0.2.2 gateway.test gateway\nfd00::2 gateway.test\n",
	})})
	reverse, _ := dns.ReverseAddr("fd00::2")
	for _, tc := range []struct {
		name string
		typ  uint16
		want string
	}{
		{"www.fwd.test.", dns.TypeA, "NOERROR; www.fwd.test. A 192.0.2.1; www.fwd.test. A 192.0.2.2"},
		{"WWW.fwd.test.", dns.TypeAAAA, "NOERROR; WWW.fwd.test. AAAA 2001:db8::1"},
		{"deep.fwd.test.", dns.TypeAAAA, "NOERROR; Www.fwd.test. AAAA 2001:db8::1; alias.fwd.test. CNAME Www.fwd.test.; deep.fwd.test. CNAME alias.fwd.test."},
		{"deep.fwd.test.", dns.TypeMX, "NOERROR; alias.fwd.test. CNAME Www.fwd.test.; deep.fwd.test. CNAME alias.fwd.test."},
		{"gone.fwd.test.", dns.TypeA, "NXDOMAIN; gone.fwd.test. CNAME none.fwd.test."},
		{"none.fwd.test.", dns.TypeA, "NXDOMAIN"},
		{"www.fwd.test.", dns.TypeTXT, "NOERROR"},
		{"fail.fwd.test.", dns.TypeA, "SERVFAIL"},
		{`a\032space.fwd.test.`, dns.TypeA, "SERVFAIL"},
		{"fwd.test.", dns.TypeMX, `NOERROR; fwd.test. MX 10 mail.fwd.test.; fwd.test. MX 20 bad\ host.fwd.test.`},
		{"fwd.test.", dns.TypeNS, "NOERROR; fwd.test. NS ns1.fwd.test."},
		{"fwd.test.", dns.TypeSOA, "NOERROR; fwd.test. SOA ns1.fwd.test. root.fwd.test. 1 2 3 4 5"},
		{"fwd.test.", dns.TypeTXT, `NOERROR; fwd.test. TXT "one (1); \"two\" \200" "three"`},
		{"fwd.test.", dns.TypeCAA, `NOERROR; fwd.test. CAA 0 issue "ca.test"`},
		{"fwd.test.", 65280, `NOERROR; fwd.test. TYPE65280 \# 4 0a000001`},
		{"_s._tcp.fwd.test.", dns.TypeSRV, "NOERROR; _s._tcp.fwd.test. SRV 1 2 80 www.fwd.test."},
		{"fwd.test.", dns.TypeHTTPS, `NOERROR; fwd.test. HTTPS 1 . alpn="h2,h3" ipv4hint="192.0.2.1"`},
		{"1.2.0.192.in-addr.arpa.", dns.TypePTR, "NOERROR; 1.2.0.192.in-addr.arpa. PTR www.fwd.test."},
		{"gateway.", dns.TypeA, "NOERROR; gateway. A 10.0.2.2"},
		{"gateway.test.", dns.TypeAAAA, "NOERROR; gateway.test. AAAA fd00::2"},
		{"2.2.0.10.in-addr.arpa.", dns.TypePTR, "NOERROR; 2.2.0.10.in-addr.arpa. PTR gateway.; 2.2.0.10.in-addr.arpa. PTR gateway.test."},
		{reverse, dns.TypePTR, "NOERROR; " + reverse + " PTR gateway.test."},
		{"localhost.", dns.TypeA, "NOERROR; localhost. A 127.0.0.1"},
		{"x.invalid.", dns.TypeA, "NXDOMAIN"},
		{"fwd.test.", dns.TypeANY, `NOERROR; fwd.test. HINFO "RFC8482" ""`},
		{"fwd.test.", dns.TypeIXFR, "REFUSED"},
		{"fwd.test.", dns.TypeMAILB, "NOTIMP"},
	} {
		for _, network := range []string{"udp", "tcp"} {
			reply := ask(t, network, addr, question(tc.name, tc.typ))
			if got := lines(reply); got != tc.want {
				t.Errorf("%s %s %s:\n got %s\nwant %s", network, tc.name, dns.Type(tc.typ), got, tc.want)
			}
			if !reply.RecursionAvailable || reply.Authoritative || reply.Truncated || !reply.RecursionDesired {
				t.Errorf("%s %s: flags %v", network, tc.name, reply.MsgHdr)
			}
			for _, rr := range reply.Answer {
				if ttl := rr.Header().Ttl; ttl > 60 && tc.typ != dns.TypeANY {
					t.Errorf("%s %s: TTL %d, more than the zone's", network, tc.name, ttl)
				}
			}
		}
	}
	for _, q := range u.questions() {
		if strings.Contains(q, "gateway") || strings.Contains(q, "localhost") || strings.Contains(q, "invalid") || strings.Contains(q, "10.in-addr") {
			t.Errorf("the upstream server was asked for %s", q)
		}
	}
	for _, typ := range []uint16{dns.TypeNULL, dns.TypeDNSKEY} { // whose text form this library does not print alike
		reply := ask(t, "tcp", addr, question("fwd.test.", typ))
		if reply.Rcode != dns.RcodeSuccess || len(reply.Answer) != 1 {
			t.Errorf("%s: %v", dns.Type(typ), reply)
		}
	}
}

func TestFlags(t *testing.T) {
	u := newUpstream(t)
	_, trusting := serving(t, Config{Resolver: u.resolver(t, dnsresolver.Config{Options: dnsresolver.Options{TrustAD: true}})})
	_, wary := serving(t, Config{Resolver: u.resolver(t, dnsresolver.Config{})})
	for _, tc := range []struct {
		name   string
		addr   string
		change func(*dns.Msg)
		ad, cd bool
		edns   bool
	}{
		{"plain", trusting, func(m *dns.Msg) {}, false, false, false},
		{"AD", trusting, func(m *dns.Msg) { m.AuthenticatedData = true }, true, false, false},
		{"DO", trusting, func(m *dns.Msg) { m.SetEdns0(4096, true) }, true, false, true},
		{"EDNS", trusting, func(m *dns.Msg) { m.SetEdns0(4096, false) }, false, false, true},
		{"AD of a wary resolver", wary, func(m *dns.Msg) { m.AuthenticatedData = true }, false, false, false},
		{"CD", wary, func(m *dns.Msg) { m.CheckingDisabled = true }, false, true, false},
	} {
		m := question("www.fwd.test.", dns.TypeA)
		tc.change(m)
		reply := ask(t, "udp", tc.addr, m)
		opt := reply.IsEdns0()
		if reply.AuthenticatedData != tc.ad || reply.CheckingDisabled != tc.cd || (opt != nil) != tc.edns || len(reply.Answer) != 2 {
			t.Errorf("%s: %v", tc.name, reply)
		}
		if opt != nil && (opt.Do() || opt.Version() != 0 || opt.UDPSize() != 1232 || len(opt.Option) > 0) {
			t.Errorf("%s: %v, want 1232 bytes and no DO", tc.name, opt)
		}
	}
}

func TestTruncation(t *testing.T) {
	u := newUpstream(t)
	_, addr := serving(t, Config{Resolver: u.resolver(t, dnsresolver.Config{})})
	for _, tc := range []struct {
		offer uint16 // 0: without EDNS
		most  int
	}{{0, 512}, {100, 512}, {1000, 1000}, {4096, 1232}} {
		m := question("big.fwd.test.", dns.TypeA)
		if tc.offer > 0 {
			m.SetEdns0(tc.offer, false)
		}
		reply := ask(t, "udp", addr, m)
		reply.Compress = true
		if !reply.Truncated || reply.Len() > tc.most || (reply.IsEdns0() != nil) != (tc.offer > 0) {
			t.Errorf("with %d: TC %v, %d bytes, want at most %d", tc.offer, reply.Truncated, reply.Len(), tc.most)
		}
	}
	if reply := ask(t, "tcp", addr, question("big.fwd.test.", dns.TypeA)); reply.Truncated || len(reply.Answer) != 200 {
		t.Errorf("over TCP: TC %v, %d records, want 200", reply.Truncated, len(reply.Answer))
	}
}

func TestRefusals(t *testing.T) {
	u := newUpstream(t)
	s, err := New(Config{Resolver: u.resolver(t, dnsresolver.Config{})})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	packed := func(change func(*dns.Msg)) []byte {
		m := question("www.fwd.test.", dns.TypeA)
		m.Id = 0x1234
		change(m)
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	whole := packed(func(*dns.Msg) {})
	opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	for _, tc := range []struct {
		name  string
		query []byte
		want  int // -1: no reply
	}{
		{"nothing", nil, -1},
		{"short", whole[:11], -1},
		{"reply", packed(func(m *dns.Msg) { m.Response = true }), -1},
		{"header only", whole[:12], dns.RcodeFormatError},
		{"cut", whole[:len(whole)-1], dns.RcodeFormatError},
		{"no question", packed(func(m *dns.Msg) { m.Question = nil }), dns.RcodeFormatError},
		{"two questions", packed(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }), dns.RcodeFormatError},
		{"update", packed(func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }), dns.RcodeNotImplemented},
		{"notify", packed(func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), dns.RcodeNotImplemented},
		{"CHAOS", packed(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }), dns.RcodeRefused},
		{"any class", packed(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassANY }), dns.RcodeRefused},
		{"transfer", packed(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAXFR }), dns.RcodeRefused},
		{"OPT", packed(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeOPT }), dns.RcodeNotImplemented},
		{"EDNS 1", packed(func(m *dns.Msg) { o := *opt; o.SetVersion(1); m.Extra = []dns.RR{&o} }), dns.RcodeBadVers},
		{"two OPT", packed(func(m *dns.Msg) { m.Extra = []dns.RR{opt, opt} }), dns.RcodeFormatError},
		{"good", whole, dns.RcodeSuccess},
	} {
		reply := s.answer(tc.query, overUDP)
		if tc.want < 0 {
			if reply != nil {
				t.Errorf("%s: a reply of %d bytes", tc.name, len(reply))
			}
			continue
		}
		var m dns.Msg
		if err := m.Unpack(reply); err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if m.Rcode != tc.want || m.Id != 0x1234 || !m.Response {
			t.Errorf("%s: %v, want %s", tc.name, m.MsgHdr, dns.RcodeToString[tc.want])
		}
	}
}

// glibc sends A and AAAA from one socket, one after the other, and tells the replies
// apart by their IDs.
func TestTwoOnOneSocket(t *testing.T) {
	u := newUpstream(t)
	_, addr := serving(t, Config{Resolver: u.resolver(t, dnsresolver.Config{})})
	for _, network := range []string{"udp", "tcp"} {
		c, err := dns.DialTimeout(network, addr, guard)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(guard))
		want := map[uint16]uint16{}
		for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
			m := question("www.fwd.test.", typ)
			want[m.Id] = typ
			if err := c.WriteMsg(m); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			m, err := c.ReadMsg()
			if err != nil {
				t.Fatal(err)
			}
			if typ, ok := want[m.Id]; !ok || m.Answer[0].Header().Rrtype != typ {
				t.Errorf("%s: %v", network, m)
			}
			delete(want, m.Id)
		}
		c.Close()
	}
}

// Of queries on one connection those that can be answered are, whatever the others
// wait for; and a client that sends no more gets all replies.
func TestPipelining(t *testing.T) {
	u := newUpstream(t)
	_, addr := serving(t, Config{Resolver: u.resolver(t, dnsresolver.Config{})})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(guard))
	var out []byte
	names := []string{"slow.fwd.test.", "www.fwd.test.", "none.fwd.test.", "fwd.test."}
	for i, name := range names {
		m := question(name, dns.TypeA)
		m.Id = uint16(i)
		b, _ := m.Pack()
		out = append(binary.BigEndian.AppendUint16(out, uint16(len(b))), b...)
	}
	if _, err := c.Write(out); err != nil {
		t.Fatal(err)
	}
	c.(*net.TCPConn).CloseWrite()
	next := func() uint16 {
		t.Helper()
		var length [2]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		return binary.BigEndian.Uint16(b)
	}
	quick := []uint16{next(), next(), next()}
	if slices.Sort(quick); !slices.Equal(quick, []uint16{1, 2, 3}) {
		t.Errorf("first came %v, want those that need not wait", quick)
	}
	u.release()
	if last := next(); last != 0 {
		t.Errorf("the last reply is to query %d, want 0", last)
	}
	if n, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the last reply: %d, %v, want the end", n, err)
	}
}

func TestIdle(t *testing.T) {
	u := newUpstream(t)
	_, addr := serving(t, Config{Resolver: u.resolver(t, dnsresolver.Config{}), Idle: 20 * time.Millisecond})
	for name, sent := range map[string][]byte{
		"nothing":  nil,
		"too long": {0xff, 0xff, 1, 2, 3},
	} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(guard))
		if _, err := c.Write(sent); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v, want the end", name, err)
		}
		c.Close()
	}
}

// A tired conn times out a number of times before it reads.
type tired struct {
	net.Conn
	times int
}

func (c *tired) Read(b []byte) (int, error) {
	if c.times > 0 {
		c.times--
		return 0, os.ErrDeadlineExceeded
	}
	return c.Conn.Read(b)
}

// A connection on which a reply is due is not idle.
func TestBusyIsNotIdle(t *testing.T) {
	for _, busy := range []bool{true, false} {
		ours, theirs := net.Pipe()
		go func() {
			theirs.Write([]byte{0, 2, 'h', 'i'})
			theirs.Close()
		}()
		st := &stream{s: &Server{idle: guard}, c: &tired{ours, 3}, slots: make(chan struct{}, 1)}
		if busy {
			st.slots <- struct{}{}
		}
		query, err := st.read(bufio.NewReader(st.c))
		ours.Close()
		if busy && (err != nil || string(query) != "hi") || !busy && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("busy %v: %q, %v", busy, query, err)
		}
	}
}

// While all places are taken, further queries are not asked, and not lost either.
func TestQueryBound(t *testing.T) {
	u := newUpstream(t)
	_, addr := serving(t, Config{Resolver: u.resolver(t, dnsresolver.Config{}), Queries: 2})
	c, err := dns.DialTimeout("tcp", addr, guard)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(guard))
	for _, name := range []string{"slow.fwd.test.", "slow2.fwd.test.", "slow3.fwd.test."} {
		if err := c.WriteMsg(question(name, dns.TypeA)); err != nil {
			t.Fatal(err)
		}
	}
	<-u.slow
	<-u.slow
	asked := strings.Join(u.questions(), " ")
	if strings.Contains(asked, "slow3") {
		t.Errorf("the third query was asked as well: %s", asked)
	}
	u.release()
	for range 3 {
		if m, err := c.ReadMsg(); err != nil || len(m.Answer) != 1 {
			t.Errorf("%v, %v", m, err)
		}
	}
}

// A query for which there is no place does not begin, and does not outlive the server.
func TestNoPlace(t *testing.T) {
	s, err := New(Config{Resolver: newUpstream(t).resolver(t, dnsresolver.Config{}), Queries: 1})
	if err != nil {
		t.Fatal(err)
	}
	hold := make(chan struct{})
	if !s.begun(func() { <-hold }) {
		t.Error("the first query did not begin")
	}
	s.cancel()
	if s.begun(func() { t.Error("the second query began") }) {
		t.Error("the second query was taken")
	}
	close(hold)
	s.Close()
}

// Close does not wait for the Resolver, and what comes after is refused.
func TestClose(t *testing.T) {
	u := newUpstream(t)
	s, addr := serving(t, Config{Resolver: u.resolver(t, dnsresolver.Config{})})
	c, err := dns.DialTimeout("tcp", addr, guard)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(guard))
	if err := c.WriteMsg(question("slow.fwd.test.", dns.TypeA)); err != nil {
		t.Fatal(err)
	}
	<-u.slow
	closed := make(chan struct{})
	go func() {
		s.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(guard):
		t.Fatal("Close waits for the upstream server")
	}
	if _, err := c.ReadMsg(); err == nil {
		t.Error("a reply came after Close")
	}
	l, pc := samePort(t)
	if err := s.Serve(l); err != net.ErrClosed {
		t.Errorf("Serve after Close: %v", err)
	}
	if err := s.ServePacket(pc); err != net.ErrClosed {
		t.Errorf("ServePacket after Close: %v", err)
	}
	if _, err := pc.WriteTo(nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:9"))); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the socket was not closed: %v", err)
	}
	s.Close()
}

// A flaky socket fails once and works on.
type flaky struct {
	net.PacketConn
	errs []error
}

func (f *flaky) ReadFrom(b []byte) (int, net.Addr, error) {
	if len(f.errs) > 0 {
		err := f.errs[0]
		f.errs = f.errs[1:]
		return 0, nil, err
	}
	return f.PacketConn.ReadFrom(b)
}

func TestSocketErrors(t *testing.T) {
	u := newUpstream(t)
	s, err := New(Config{Resolver: u.resolver(t, dnsresolver.Config{})})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l, pc := samePort(t)
	l.Close()
	done := make(chan error)
	refusal := &net.OpError{Op: "read", Err: syscall.ECONNREFUSED}
	go func() { done <- s.ServePacket(&flaky{pc, []error{refusal, refusal}}) }()
	if reply := ask(t, "udp", pc.LocalAddr().String(), question("www.fwd.test.", dns.TypeA)); len(reply.Answer) != 2 {
		t.Errorf("after ICMP errors: %v", reply)
	}
	pc.Close()
	if err := <-done; err == nil || err == net.ErrClosed {
		t.Errorf("a socket that somebody else closed: %v, want the error", err)
	}
}

func TestNewRefuses(t *testing.T) {
	r := newUpstream(t).resolver(t, dnsresolver.Config{})
	for _, c := range []Config{{}, {Resolver: r, Queries: -1}, {Resolver: r, Conns: -1}, {Resolver: r, Idle: -1}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

func TestDig(t *testing.T) {
	dig, err := exec.LookPath("dig")
	if err != nil {
		t.Skip("needs dig, of the package bind9-dnsutils: ", err)
	}
	u := newUpstream(t)
	_, addr := serving(t, Config{Resolver: u.resolver(t, dnsresolver.Config{HostsText: "10.0.2.2 gateway.test\n"})})
	_, port, _ := net.SplitHostPort(addr)
	for args, want := range map[string]string{
		"www.fwd.test AAAA +short":             "2001:db8::1\n",
		"-x 10.0.2.2 +short":                   "gateway.test.\n",
		"fwd.test TXT +short +dnssec":          "\"one (1); \\\"two\\\" \\200\" \"three\"\n",
		"fwd.test TYPE65280 +short +noedns":    "\\# 4 0A000001\n",
		"big.fwd.test +noall +comments":        "ANSWER: 200,",
		"big.fwd.test +ignore +noall +comment": "flags: qr tc rd ra;",
		"none.fwd.test +noall +comments":       "status: NXDOMAIN",
		"version.bind TXT CH +noall +comments": "status: REFUSED",
		"fwd.test AXFR +noall +comments":       "Transfer failed",
		"www.fwd.test +edns=5 +noednsneg":      "status: BADVERS",
		"www.fwd.test +tcp +keepopen +short":   "192.0.2.1\n",
	} {
		cmd := exec.CommandContext(t.Context(), dig, append([]string{"-r", "@127.0.0.1", "-p", port, "+time=15", "+tries=2"}, strings.Fields(args)...)...)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) || strings.Contains(string(out), "WARNING") || strings.Contains(string(out), "malformed") {
			t.Errorf("dig %s: %v\n%s\nwant %q", args, err, out, want)
		}
	}
}
