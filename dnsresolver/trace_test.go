package dnsresolver

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// recorder keeps the events of a resolver as lines without IDs.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

var idPattern = regexp.MustCompile(` #[0-9a-f]{4}`)

func (r *recorder) trace(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, idPattern.ReplaceAllString(e.String(), ""))
}

func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		n := newNetwork(t)
		n.latency = 1500 * time.Microsecond
		bad := n.add("192.0.2.1", func(q query, s sender) {
			s.reply(q, message{id: func(id uint16) uint16 { return id + 1 }})
			s.after(500*time.Microsecond, message{rcode: rcodeServFail, extra: []rr{opt()}}.pack(q))
		})
		r := n.resolver(Config{Servers: []Server{bad, n.add("192.0.2.2", zone)}, Search: []string{"s1.test", "test"}, Trace: rec.trace})
		for _, host := range []string{"cn", "127.1", "nx.test."} {
			timed(r, host, AF_INET)
		}
		r.Close()
		timed(r, "a4.test", AF_INET)
		got := strings.Join(rec.lines, "\n")
		want := strings.TrimSpace(`
    0.000 ms  try    cn.s1.test
    0.000 ms  send   udp 192.0.2.1:53 A cn.s1.test., 39 bytes
    1.500 ms  reject udp 192.0.2.1:53 A cn.s1.test., 28 bytes: not the reply: wrong ID
    2.000 ms  reply  udp 192.0.2.1:53 A cn.s1.test., 39 bytes, SERVFAIL, 0 records, 2.000 ms
    2.000 ms  fail   udp 192.0.2.1:53 A cn.s1.test.: server replied SERVFAIL
    2.000 ms  send   udp 192.0.2.2:53 A cn.s1.test., 39 bytes
    3.500 ms  reply  udp 192.0.2.2:53 A cn.s1.test., 90 bytes, NXDOMAIN, 0 records, 1.500 ms
    3.500 ms  try    cn.test
    3.500 ms  send   udp 192.0.2.2:53 A cn.test., 36 bytes
    5.000 ms  reply  udp 192.0.2.2:53 A cn.test., 135 bytes, NOERROR, 4 records, 1.500 ms
    5.000 ms  done   dual.test 192.0.2.1, 192.0.2.2, TTL 1m0s (DNS)
    0.000 ms  done   127.1 127.0.0.1 (literal)
    0.000 ms  try    nx.test
    0.000 ms  send   udp 192.0.2.2:53 A nx.test., 36 bytes
    1.500 ms  reply  udp 192.0.2.2:53 A nx.test., 87 bytes, NXDOMAIN, 0 records, 1.500 ms
    1.500 ms  done  : lookup nx.test.: Name or service not known
    0.000 ms  done  : lookup a4.test: Request canceled: use of closed network connection`)
		if strings.TrimSpace(got) != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

// Lookups are numbered, and what a file says that is not understood is told.
func TestTraceNumbersAndWarnings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(path, []byte("options bogus\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var events []Event
	r := newNetwork(t).resolver(Config{ResolvConf: path, Trace: func(e Event) { events = append(events, e) }})
	for range 2 {
		r.LookupNetIP(t.Context(), "ip", "127.0.0.1")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	r.settings(time.Now().Add(time.Hour))
	var got []string
	for _, e := range events {
		got = append(got, fmt.Sprint(e.Kind, e.Lookup, e.Note, e.Err != nil))
	}
	want := "config 0 not understood: options bogus: unknown false|done 1 literal false|done 2 literal false|config 0 keeping the last contents true"
	got2 := strings.ReplaceAll(strings.Join(got, "|"), "  ", " ")
	if compact(got2) != compact(want) {
		t.Errorf("got %s\nwant %s", got2, want)
	}
}

func compact(s string) string { return strings.ReplaceAll(s, " ", "") }
