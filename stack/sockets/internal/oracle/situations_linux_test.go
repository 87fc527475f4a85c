package oracle

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A situation is a program that brings the socket s, and where it has one its peer p, into a state.
type situation struct{ name, setup string }

const (
	tcpPair  = "socket l tcp; bind l lo:1; listen l 5; socket s tcp; bind s lo:2; connect s lo:1; accept l p; "
	tcpLater = "socket l tcp; bind l lo:1; listen l 5; socket p tcp; bind p lo:2; connect p lo:1; accept l s; "
	udpPair  = "socket p udp; bind p lo:2; socket s udp; bind s lo:1; connect s lo:2; "
	udpOpen  = "socket p udp; bind p lo:2; socket s udp; bind s lo:1; "
)

var tcpSituations = []situation{
	{"fresh", "socket s tcp"},
	{"bound", "socket s tcp; bind s lo:1"},
	{"bound to any", "socket s tcp; bind s any:1"},
	{"listening", "socket s tcp; bind s lo:1; listen s 5"},
	{"listening unbound", "socket s tcp; listen s 5"},
	{"listening, a connection waits", "socket s tcp; bind s lo:1; listen s 5; socket p tcp; bind p lo:2; connect p lo:1"},
	{"listening, shut for reading", "socket s tcp; bind s lo:1; listen s 5; shutdown s 0"},
	{"listening, shut with one waiting", "socket s tcp; bind s lo:1; listen s 5; socket p tcp; bind p lo:2; connect p lo:1; shutdown s 0"},
	{"listening, shut for writing", "socket s tcp; bind s lo:1; listen s 5; shutdown s 1"},
	{"connecting", "socket s tcp; connect s silent:1"},
	{"connecting, shut", "socket s tcp; connect s silent:1; shutdown s 2"},
	{"refused", "socket s tcp; connect s lo:9"},
	{"refused, bound", "socket s tcp; bind s lo:2; connect s lo:9"},
	{"refused, error taken", "socket s tcp; connect s lo:9; error s"},
	{"refused in blocking mode", "socket s tcp; bconnect s lo:9"},
	{"connected", tcpPair},
	{"accepted", tcpLater},
	{"connected, data", tcpPair + "send p hello"},
	{"peer shut for writing", tcpPair + "shutdown p 1"},
	{"peer shut for writing, data", tcpPair + "send p hello; shutdown p 1"},
	{"peer closed", tcpPair + "close p"},
	{"peer closed, data", tcpPair + "send p hello; close p"},
	{"peer closed, end read", tcpPair + "send p hello; close p; recv s 10; recv s 10"},
	{"peer closed, sent to", tcpPair + "close p; send s x"},
	{"shut for reading", tcpPair + "shutdown s 0"},
	{"shut for reading, data", tcpPair + "send p hello; shutdown s 0"},
	{"shut for reading, data later", tcpPair + "shutdown s 0; send p hello"},
	{"shut for writing", tcpPair + "shutdown s 1"},
	{"shut for writing, data", tcpPair + "send p hello; shutdown s 1"},
	{"shut both ways", tcpPair + "shutdown s 2"},
	{"shut both ways, data", tcpPair + "send p hello; shutdown s 2"},
	{"shut for reading, peer for writing", tcpPair + "shutdown s 0; shutdown p 1"},
	{"time-wait", tcpPair + "shutdown s 1; shutdown p 1"},
	{"time-wait, data", tcpPair + "shutdown s 1; send p hello; close p"},
	{"closed passively", tcpPair + "shutdown p 1; shutdown s 1"},
	{"reset", tcpPair + "linger p 1 0; close p"},
	{"reset, data", tcpPair + "send p hello; linger p 1 0; close p"},
	{"reset, error taken", tcpPair + "linger p 1 0; close p; error s"},
	{"reset after the peer's end", tcpPair + "shutdown p 1; linger p 1 0; close p"},
	{"peer closed with unread data", tcpPair + "send s hello; close p"},
	{"peer closed with unread data, data", tcpPair + "send s hello; send p world; close p"},
	{"disconnected", tcpPair + "connect s unspec"},
	{"disconnected, never bound", "socket s tcp; connect s lo:9; connect s unspec"},
	{"closed", "socket s tcp; close s"},
}

var udpSituations = []situation{
	{"fresh", "socket s udp"},
	{"bound", "socket s udp; bind s lo:1"},
	{"bound to any", "socket s udp; bind s any:1"},
	{"connected", udpPair},
	{"connected unbound", "socket p udp; bind p lo:2; socket s udp; connect s lo:2"},
	{"data", udpOpen + "sendto p hello lo:1"},
	{"two datagrams", udpOpen + "sendto p hello lo:1; sendto p world lo:1"},
	{"empty datagram", udpOpen + "sendto p - lo:1"},
	{"connected, data", udpPair + "sendto p hello lo:1"},
	{"connected, data from before", udpOpen + "sendto p hello lo:1; connect s lo:3"},
	{"refused", "socket s udp; bind s lo:1; connect s lo:9; send s x"},
	{"refused, data", udpOpen + "sendto p hello lo:1; connect s lo:9; send s x"},
	{"refused, error taken", "socket s udp; bind s lo:1; connect s lo:9; send s x; error s"},
	{"shut for reading", "socket s udp; bind s lo:1; shutdown s 0"},
	{"shut for writing", "socket s udp; bind s lo:1; shutdown s 1"},
	{"shut both ways", "socket s udp; bind s lo:1; shutdown s 2"},
	{"connected, shut for reading", udpPair + "shutdown s 0"},
	{"connected, shut for reading, data", udpPair + "sendto p hello lo:1; shutdown s 0"},
	{"connected, shut for reading, data later", udpPair + "shutdown s 0; sendto p hello lo:1"},
	{"connected, shut for writing", udpPair + "shutdown s 1"},
	{"connected, shut both ways", udpPair + "shutdown s 2"},
	{"disconnected", udpPair + "connect s unspec"},
	{"disconnected, never bound", "socket p udp; bind p lo:2; socket s udp; connect s lo:2; connect s unspec"},
	{"closed", "socket s udp; close s"},
}

// anyCalls are made on sockets of every kind, each in a fresh situation.
var anyCalls = []string{
	"bind s lo:3", "bind s lo:0", "bind s any:3", "bind s any:0", "bind s foreign:3", "bind s wrong:3", "bind s multicast:3",
	"listen s 5", "listen s 0", "listen s -1", "accept s n",
	"connect s unspec", "connect s wrong:8", "connect s lo:0", "connect s lo:9", "connect s any:9", "connect s broadcast:8",
	"connect s multicast:8", "connect s silent:8",
	"send s x", "send s -", "send s x OOB", "send s x MORE", "send s x DONTWAIT", "send s x UNKNOWN", "send s x CONFIRM", "send s x70000",
	"sendto s x lo:7", "sendto s x lo:0", "sendto s x wrong:7", "sendto s x broadcast:7", "sendto s x multicast:7", "sendto s - lo:7",
	"recv s 3", "recv s 100", "recv s 3 PEEK", "recv s 3 TRUNC", "recv s 3 PEEK|TRUNC", "recv s 3 OOB", "recv s 3 WAITALL",
	"recv s 100 ERRQUEUE", "recv s 3 UNKNOWN", "recvfrom s 100",
	"shutdown s 0", "shutdown s 1", "shutdown s 2", "shutdown s 3", "shutdown s -1",
	"shutdown s 0; shutdown s 0", "shutdown s 1; shutdown s 1", "shutdown s 1; shutdown s 0",
	"getsockname s", "getpeername s", "error s", "error s; error s", "fionread s", "atmark s", "close s", "close s; close s",
	"poll s IN", "poll s OUT", "poll s RDHUP", "poll s PRI",
	"get s TYPE", "get s DOMAIN", "get s PROTOCOL", "get s ACCEPTCONN", "get s REUSEADDR", "get s V6ONLY", "get s NODELAY",
	"get s RCVLOWAT", "set s TYPE 1", "set s REUSEADDR 1; get s REUSEADDR", "set s V6ONLY 1", "set s V6ONLY 0",
	"set s NODELAY 1; get s NODELAY", "set s RCVLOWAT 4; poll s IN", "set s TTL 7; get s TTL", "set s BROADCAST 1; sendto s x broadcast:7",
	"set s RECVERR 1; get s RECVERR", "set s RCVBUF 5000; get s RCVBUF",
}

var tcpCalls = append([]string{
	"socket h tcp; bind h lo:8; listen h 5; connect s lo:8", "socket h tcp; bind h lo:8; listen h 5; bconnect s lo:8",
	"bconnect s lo:9", "connect s lo:9; connect s lo:9", "connect s lo:9; error s; connect s lo:9",
	"connect s lo:9; recv s 10", "connect s lo:9; send s x", "connect s unspec; bind s lo:3", "connect s unspec; listen s 5",
	"socket h tcp; bind h lo:1", "set s REUSEADDR 1; socket h tcp; set h REUSEADDR 1; bind h lo:1; listen h 5; listen s 5",
	"linger s 1 0; close s", "set s CORK 1; send s x; set s CORK 0", "set s DEFER_ACCEPT 1",
}, anyCalls...)

var udpCalls = append([]string{
	"socket h udp; bind h lo:8; connect s lo:8", "socket h udp; bind h lo:8; sendto s x lo:8; recvfrom h 10",
	"socket h udp; bind h lo:8; sendto s x lo:8; sendto h y lo:1; recvfrom s 10", "send s x; send s x",
	"sendto s x lo:7; getsockname s", "brecv s 10", "sendto p more lo:1; recv s 10; recv s 10",
	"socket h udp; bind h lo:1", "set s CORK 1", "send s one MORE; send s two; recv p 20",
}, anyCalls...)

// after is what follows in every cell, to see what the call has left behind.
const after = "; error s; recv s 20; send s y; error s"

// A cell is a situation and a call.
type cell struct {
	kind, family string
	situation    situation
	call         string
}

func cells() []cell {
	var all []cell
	for _, family := range []string{"v4", "v6", "dual"} {
		for _, s := range tcpSituations {
			for _, c := range tcpCalls {
				all = append(all, cell{"tcp", family, s, c})
			}
		}
		for _, s := range udpSituations {
			for _, c := range udpCalls {
				all = append(all, cell{"udp", family, s, c})
			}
		}
	}
	return append(all, unixCells()...)
}

var (
	onlyCells = flag.String("oracle.cells", "", "run only the cells whose \"kind family situation: call\" has this `text`")
)

// mostFound ends the test: a fault that shows everywhere would take an hour of waiting for what never comes.
const mostFound = 20

// workers is how many programs run at a time: most of the time each waits for the other side.
const workers = 8

// TestSituations makes every call in every state on both sides.
func TestSituations(t *testing.T) {
	var todo []cell
	for _, c := range cells() {
		if strings.Contains(fmt.Sprintf("%s %s %s: %s", c.kind, c.family, c.situation.name, c.call), *onlyCells) {
			todo = append(todo, c)
		}
	}
	if raceEnabled && *onlyCells == "" {
		todo = sample(todo)
	}
	permits := newPermits(situationPermits)
	var mu sync.Mutex
	var found []string
	labs := &labs{t: t}
	next := make(chan cell, len(todo))
	for _, c := range todo {
		next <- c
	}
	close(next)
	labs.renew() // skips here, in the test's own goroutine, if it must
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for c := range next {
				mu.Lock()
				enough := len(found) >= mostFound && *onlyCells == ""
				mu.Unlock()
				if enough {
					return
				}
				diffs := labs.confirm(t, c.kind+" "+c.family, func(l *lab, patience time.Duration) []difference {
					return c.run(l, patience, permits)
				})
				mu.Lock()
				for _, d := range diffs {
					found = append(found, d.String())
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(found)
	for _, f := range slices.Compact(found) {
		t.Error(f)
	}
	if *onlyCells == "" && !raceEnabled && len(found) == 0 {
		permits.unused(t)
	}
	t.Logf("%d cells, of which %d end at a permitted difference", len(todo), permits.uses())
}

// sample leaves one cell in raceShare, different calls in different states.
func sample(cells []cell) []cell {
	var some []cell
	for i := 0; i < len(cells); i += raceShare {
		some = append(some, cells[i])
	}
	return some
}

func (c cell) run(l *lab, patience time.Duration, permits *permits) []difference {
	o, k := l.drivers(c.family)
	defer o.close()
	defer k.close()
	r := &run{family: c.kind + " " + c.family, state: c.situation.name, o: o, k: k, permits: permits, patience: patience}
	if p := parse(c.situation.setup); r.program(p) < len(p) {
		return r.diffs
	}
	r.state += ": " + c.call
	r.program(parse(c.call + after))
	return r.diffs
}
