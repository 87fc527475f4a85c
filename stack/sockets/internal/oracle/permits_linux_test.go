package oracle

import (
	"regexp"
	"sync"
	"testing"
)

// A permit is a difference that may stay, with the reason. The texts are regular expressions that must match as a whole;
// an empty one matches anything.
type permit struct {
	where        string // "kind family situation: call"
	step         string
	what         string // "result", or "mask of s"
	ours, kernel string
	why          string
	rare         bool // known from longer runs: need not show in a short one
}

type permits struct {
	rows []compiledPermit

	mu   sync.Mutex
	used []int
}

type compiledPermit struct {
	where, step, what, ours, kernel *regexp.Regexp
	rare                            bool
}

func newPermits(rows []permit) *permits {
	whole := func(text string) *regexp.Regexp {
		if text == "" {
			text = ".*"
		}
		return regexp.MustCompile("^(?:" + text + ")$")
	}
	p := &permits{used: make([]int, len(rows))}
	for _, r := range rows {
		p.rows = append(p.rows, compiledPermit{whole(r.where), whole(r.step), whole(r.what), whole(r.ours), whole(r.kernel), r.rare})
	}
	return p
}

func (p *permits) allow(d difference) bool {
	for i, r := range p.rows {
		if r.ours.MatchString(d.ours) && r.kernel.MatchString(d.kernel) && r.what.MatchString(d.what) &&
			r.step.MatchString(program{d.step}.String()) && r.where.MatchString(d.family+" "+d.state) {
			p.mu.Lock()
			p.used[i]++
			p.mu.Unlock()
			return true
		}
	}
	return false
}

// unused complains about rows that were not needed.
func (p *permits) unused(t *testing.T) {
	for i, n := range p.used {
		if n == 0 && !p.rows[i].rare {
			t.Errorf("permit %d is not needed any more: step %v, what %v", i, p.rows[i].step, p.rows[i].what)
		}
	}
}

func (p *permits) uses() (n int) {
	for _, u := range p.used {
		n += u
	}
	return n
}

// situationPermits end a cell without a failure.
var situationPermits = []permit{
	{step: "send s x OOB", what: "result", ours: "ENOTSUP",
		why: "netstack has no urgent data (T39)"},
	{step: "recv s 3 OOB", what: "result", where: "(stream|seqpacket|dgram) unix .*", ours: "ENOTSUP", kernel: "EINVAL|ENOTCONN",
		why: "no urgent data in AF_UNIX either, which Linux may be built without"},
	{step: "atmark s", what: "result", where: "stream unix listening, a connection waits: .*", ours: "0", kernel: "1",
		why: "urgent data again: Linux takes the waiting connection for some"},
	{step: "bind s multicast:3", what: "result", where: "tcp (v4|dual) .*", ours: "EADDRNOTAVAIL", kernel: "ok",
		why: "netstack binds TCP to no multicast address, where nothing could ever arrive (T18)"},
	{step: "bind h lo:1", what: "result", where: "tcp .*: set s REUSEADDR 1; .*", ours: "EADDRINUSE", kernel: "ok",
		why: "netstack looks at SO_REUSEADDR when a socket is bound, not again when another is (T37)"},
	{step: "listen s 5", what: "result", where: "tcp .* time-wait.*: connect s unspec; listen s 5", ours: "ok", kernel: "EADDRINUSE",
		why: "netstack's disconnect ends TIME_WAIT, which holds the port on Linux"},
	{step: "connect s silent:8", what: "result", where: "(tcp|udp) v6 .*", ours: "ENETUNREACH",
		why: "netstack has no route from ::1 to other hosts; Linux sends what nobody can answer"},
	{step: "send s y", what: "result", where: "udp dual .*: connect s lo:0", ours: "1|EPIPE", kernel: "EINVAL",
		why: "IPv4 port 0 as a peer is refused when sending by Linux's IPv6 sockets, but not by its IPv4 ones"},
	{step: "(connect|sendto) s x? ?wrong:.", what: "result", where: "udp v6 connected unbound: .*", ours: "ENETUNREACH",
		why: "netstack keeps the source address of the first connect, which is not of the family of the second"},
}

// sequencePermits end a random sequence without a failure.
var sequencePermits = newPermits([]permit{
	{step: "bind .*", what: "result", where: "(v4|v6|dual) sequence", ours: "EINVAL", kernel: "ok|EADDRINUSE",
		why: "a connection that has ended has given its port back on Linux, so that the socket can be bound again, with data still unread"},
	{step: "connect .* lo:.", what: "result", ours: "EADDRNOTAVAIL", kernel: "EINPROGRESS",
		why: "netstack keeps the port of a listener that has ended for as long as its connections live, or wait in TIME_WAIT"},
	{step: "listen .*", what: "result", where: "(v4|v6|dual) sequence", ours: "EADDRINUSE", kernel: "ok",
		why: "the same", rare: true},
	{step: "connect .* lo:.", what: "state of .*", ours: "1", kernel: "7|8",
		why: "a socket that was shut down before it had a connection passes that on when it listens, or connects to itself"},
	{step: "connect .* unspec", what: "local of .*", ours: "(any|lo|other):[a-z]", kernel: "(any|lo|other):0",
		why: "a UDP socket that was bound to port 0 keeps the port that it got when it is disconnected", rare: true},
	{step: "connect .*", what: "local of .*", ours: "any:[1-9a-z]", kernel: "(lo|other):[1-9a-z]",
		why: "an accepted socket that was disconnected and bound to any address keeps the listener's on Linux", rare: true},
	{step: "(bind|listen) .*", what: "result", where: "(v4|v6|dual) sequence", ours: "ok", kernel: "EADDRINUSE",
		why: "netstack gives back the port of a connection that failed or ended, even if the socket was bound to it"},
	{step: "send .*", what: "state of .*", ours: "8|4|5", kernel: "7",
		why: "what arrives after shutdown(SHUT_RDWR) is received, as after SHUT_RD; Linux resets the connection"},
})
