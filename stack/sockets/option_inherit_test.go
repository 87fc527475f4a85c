package sockets_test

import (
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"

	"github.com/userstack/userstack/stack/sockets"
)

// Values that options of a TCP socket take and do not start with, as an int or
// the hexadecimal digits of the bytes; those that are not here take 1.
var tcpValues = map[[2]int]any{
	{sockets.SOL_SOCKET, sockets.SO_SNDBUF}:           20000,
	{sockets.SOL_SOCKET, sockets.SO_RCVBUF}:           30000,
	{sockets.SOL_SOCKET, sockets.SO_RCVLOWAT}:         77,
	{sockets.SOL_SOCKET, sockets.SO_LINGER}:           "0100000005000000",
	{sockets.SOL_SOCKET, sockets.SO_RCVTIMEO}:         "0500000000000000a086010000000000",
	{sockets.SOL_SOCKET, sockets.SO_SNDTIMEO}:         "0600000000000000a086010000000000",
	{sockets.SOL_SOCKET, sockets.SO_RCVTIMEO_NEW}:     "0700000000000000a086010000000000",
	{sockets.SOL_SOCKET, sockets.SO_SNDTIMEO_NEW}:     "0800000000000000a086010000000000",
	{sockets.SOL_SOCKET, sockets.SO_BINDTODEVICE}:     "6c6f00", // lo
	{sockets.SOL_SOCKET, sockets.SO_BINDTOIFINDEX}:    1,
	{sockets.SOL_SOCKET, sockets.SO_TXREHASH}:         0,
	{sockets.SOL_SOCKET, sockets.SO_MAX_PACING_RATE}:  "ffffffffffffffff",
	{sockets.SOL_SOCKET, sockets.SO_TIMESTAMPING}:     0x18,
	{sockets.SOL_SOCKET, sockets.SO_TIMESTAMPING_NEW}: 0x18,
	{sockets.SOL_IP, sockets.IP_TOS}:                  0x10,
	{sockets.SOL_IP, sockets.IP_TTL}:                  33,
	{sockets.SOL_IP, sockets.IP_MTU_DISCOVER}:         0,
	{sockets.SOL_IP, sockets.IP_LOCAL_PORT_RANGE}:     60000<<16 | 50000,
	{sockets.SOL_TCP, sockets.TCP_MAXSEG}:             1200,
	{sockets.SOL_TCP, sockets.TCP_KEEPIDLE}:           11,
	{sockets.SOL_TCP, sockets.TCP_KEEPINTVL}:          12,
	{sockets.SOL_TCP, sockets.TCP_KEEPCNT}:            13,
	{sockets.SOL_TCP, sockets.TCP_SYNCNT}:             5,
	{sockets.SOL_TCP, sockets.TCP_LINGER2}:            44,
	{sockets.SOL_TCP, sockets.TCP_DEFER_ACCEPT}:       0, // a listener with it waits for data
	{sockets.SOL_TCP, sockets.TCP_WINDOW_CLAMP}:       5000,
	{sockets.SOL_TCP, sockets.TCP_USER_TIMEOUT}:       60000,
	{sockets.SOL_TCP, sockets.TCP_QUICKACK}:           0,
	{sockets.SOL_TCP, sockets.TCP_CONGESTION}:         "72656e6f", // reno
	{sockets.SOL_TCP, sockets.TCP_FASTOPEN}:           9,
	{sockets.SOL_TCP, sockets.TCP_NOTSENT_LOWAT}:      4096,
}

// tcpRows returns the options that a TCP socket of the family has and that can
// be set to another value than they start with, and read.
func tcpRows(t *testing.T, h *sockets.Host, f sockets.Family) (rows []sockets.OptionRow, values map[[2]int][]byte) {
	t.Helper()
	values = map[[2]int][]byte{}
	for _, row := range sockets.OptionRows() {
		if !row.Settable || !row.Gettable || row.Level == sockets.SOL_SOCKET && row.Name == sockets.SO_LOCK_FILTER {
			continue
		}
		s := must[*sockets.Socket](t)(h.Socket(f, sockets.SOCK_STREAM, 0))
		key := [2]int{row.Level, row.Name}
		v := optionValue(t, tcpValues[key])
		if s.SetSockOpt(row.Level, row.Name, v) == nil {
			if after, err := s.GetSockOpt(row.Level, row.Name, 64); err == nil && len(after) > 0 {
				rows = append(rows, row)
				values[key] = v
			}
		}
		check(t, s.Close())
	}
	if len(rows) < 50 {
		t.Fatalf("only %d options can be set", len(rows))
	}
	return rows, values
}

func optionValue(t *testing.T, v any) []byte {
	t.Helper()
	switch v := v.(type) {
	case int:
		return []byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)}
	case string:
		return must[[]byte](t)(hex.DecodeString(v))
	}
	return []byte{1, 0, 0, 0}
}

// T3: an option that was set stays set when the socket gets another endpoint.
func TestOptionsOutliveEndpoints(t *testing.T) {
	h, _ := pair(t)
	for _, f := range []sockets.Family{sockets.AF_INET, sockets.AF_INET6} {
		rows, values := tcpRows(t, h, f)
		var nobody sockets.Sockaddr = sockets.Inet4{Host: "127.0.0.1", Port: 1}
		if f == sockets.AF_INET6 {
			nobody = sockets.Inet6{Host: "::1", Port: 1}
		}
		for _, row := range rows {
			s := mustSocket(t, h, f, sockets.SOCK_STREAM, 0)
			check(t, s.SetSockOpt(row.Level, row.Name, values[[2]int{row.Level, row.Name}]))
			before := must[[]byte](t)(s.GetSockOpt(row.Level, row.Name, 64))
			ep := sockets.EndpointOf(s)
			wantErrno(t, s.Connect(nobody), sockets.ECONNREFUSED)
			if sockets.EndpointOf(s) == ep {
				t.Fatal("the endpoint is the same")
			}
			after := must[[]byte](t)(s.GetSockOpt(row.Level, row.Name, 64))
			if string(before) != string(after) {
				t.Errorf("%v %s: % x before, % x after", f, row.Label, before, after)
			}
		}
	}
}

// What netstack must know about is set on each new endpoint, too.
func TestEndpointsGetTheOptions(t *testing.T) {
	a, b := pair(t)
	set := func(s *sockets.Socket) {
		for _, o := range []sockets.Option{sockets.KeepAlive(true), sockets.TTL(33), sockets.NoDelay(true), sockets.Linger{On: true, Timeout: 5 * time.Second}} {
			check(t, s.SetOption(o))
		}
		for name, v := range map[int]int{sockets.TCP_KEEPIDLE: 11, sockets.TCP_KEEPINTVL: 12, sockets.TCP_KEEPCNT: 13, sockets.TCP_USER_TIMEOUT: 60000} {
			setInt(t, s, sockets.SOL_TCP, name, v)
		}
		setInt(t, s, sockets.SOL_SOCKET, sockets.SO_RCVBUF, 30000)
		check(t, s.SetSockOpt(sockets.SOL_TCP, sockets.TCP_CONGESTION, []byte("reno")))
	}
	l := tcpSocket(t, b)
	check(t, l.Bind(sockets.Inet4{Host: addrB}))
	set(l)
	check(t, l.Listen(1))
	c := tcpSocket(t, a)
	set(c)
	wantErrno(t, c.Connect(sockets.Inet4{Host: addrB, Port: 1}), sockets.ECONNREFUSED)
	check(t, c.Connect(must[sockets.Sockaddr](t)(l.GetSockName())))
	s, _, err := l.Accept()
	check(t, err)
	defer s.Close()
	for name, s := range map[string]*sockets.Socket{"the retried": c, "the accepted": s} {
		ep := sockets.EndpointOf(s)
		var idle tcpip.KeepaliveIdleOption
		var interval tcpip.KeepaliveIntervalOption
		var timeout tcpip.TCPUserTimeoutOption
		var cc tcpip.CongestionControlOption
		for _, o := range []tcpip.GettableSocketOption{&idle, &interval, &timeout, &cc} {
			if err := ep.GetSockOpt(o); err != nil {
				t.Fatal(err)
			}
		}
		count, _ := ep.GetSockOptInt(tcpip.KeepaliveCountOption)
		ttl, _ := ep.GetSockOptInt(tcpip.IPv4TTLOption)
		ops := ep.SocketOptions()
		got := fmt.Sprintln(ops.GetKeepAlive(), ops.GetDelayOption(), ops.GetLinger(), ops.GetReceiveBufferSize(),
			time.Duration(idle), time.Duration(interval), time.Duration(timeout), count, ttl, cc)
		if want := "true false {true 5s} 60000 11s 12s 1m0s 13 33 reno\n"; got != want {
			t.Errorf("%s socket's endpoint has %swant %s", name, got, want)
		}
	}
}

// Accepted sockets have the listener's options, but for a few (H).
func TestAcceptInheritance(t *testing.T) {
	notInherited := map[[2]int]bool{{sockets.SOL_SOCKET, sockets.SO_PRIORITY}: true}
	h, _ := pair(t)
	rows, values := tcpRows(t, h, sockets.AF_INET)
	inherited := 0
	for _, row := range rows {
		key := [2]int{row.Level, row.Name}
		l := tcpSocket(t, h)
		check(t, l.Bind(sockets.Inet4{Host: "127.0.0.1"}))
		check(t, l.SetSockOpt(row.Level, row.Name, values[key]))
		check(t, l.Listen(1))
		want := must[[]byte](t)(l.GetSockOpt(row.Level, row.Name, 64))
		c := tcpSocket(t, h)
		check(t, c.Connect(must[sockets.Sockaddr](t)(l.GetSockName())))
		fresh := must[[]byte](t)(c.GetSockOpt(row.Level, row.Name, 64))
		s, _, err := l.Accept()
		check(t, err)
		got := must[[]byte](t)(s.GetSockOpt(row.Level, row.Name, 64))
		if notInherited[key] {
			want = fresh
		} else if string(want) != string(fresh) {
			inherited++
		}
		if string(got) != string(want) && row.Name != sockets.TCP_MAXSEG {
			t.Errorf("%s: % x on the accepted socket, want % x", row.Label, got, want)
		}
		for _, s := range []*sockets.Socket{l, c, s} {
			check(t, s.Close())
		}
	}
	if inherited < 40 {
		t.Errorf("only %d options were inherited", inherited)
	}
	t.Logf("%d of %d options differ from a fresh socket's, and were inherited", inherited, len(rows))

	l, addr := listener(t, h, "127.0.0.1")
	check(t, l.SetTimeout(0))
	setInt(t, l, sockets.SOL_TCP, sockets.TCP_MAXSEG, 1000)
	check(t, tcpSocket(t, h).Connect(addr))
	l.SetBlocking(true)
	check(t, l.SetTimeout(patience))
	s, _, err := l.Accept()
	check(t, err)
	defer s.Close()
	if s.Timeout() != sockets.NoTimeout {
		t.Error("the listener's timeout is inherited")
	}
	wantInt(t, s, sockets.SOL_TCP, sockets.TCP_MAXSEG, 988)
	wantInt(t, s, sockets.SOL_TCP, sockets.TCP_NODELAY, 0) // Nagle is on (T17)
}
