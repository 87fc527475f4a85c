package oracle

import (
	"flag"
	"fmt"
	"math"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"gvisor.dev/gvisor/pkg/refs"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/testnet"
	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/namespace"
)

func TestMain(m *testing.M) {
	refs.SetLeakMode(refs.LeaksPanic)
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	refs.DoLeakCheck()
	os.Exit(code)
}

// A lab is a network namespace and a Host that are alike: loopback, and one network in which nobody answers.
type lab struct {
	ns   *namespace.Namespace
	host *sockets.Host
	none *sockets.Socket // a closed socket of host

	mu     sync.Mutex
	base   int                 // first port of the next program
	spares map[[2]int]*os.File // kernel sockets by family and type, one of each
}

// socket makes a kernel socket. The namespace's helper closes its own descriptor only after it has passed the socket on,
// and until then no close here is the last. So each socket is made one request before it is used.
func (l *lab) socket(family, typ int) (*os.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := [2]int{family, typ}
	for {
		next, err := l.ns.Socket(family, typ, 0)
		if err != nil {
			return nil, err
		}
		spare := l.spares[key]
		l.spares[key] = next
		if spare != nil {
			return spare, nil
		}
	}
}

func (l *lab) closeSpares() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.spares {
		s.Close()
	}
}

const (
	firstBase = 1024
	basePorts = 16 // ports for each program
)

// silentNet are the addresses of the lab in the network in which nobody answers; the other end is place "silent".
var silentNet = []netip.Prefix{netip.MustParsePrefix("10.99.0.1/24"), netip.MustParsePrefix("fd99::1/64")}

func newLab(t testing.TB) *lab {
	t.Helper()
	testnet.RequireNamespaces(t)
	ns, err := namespace.New(namespace.Config{Sysctl: map[string]string{
		"net.ipv4.icmp_ratemask": "0", // no limit to the refusals of datagrams, of which there are thousands
		"net.ipv6.icmp.ratemask": "2", // none but packet-too-big
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	dev, err := ns.OpenTUN(tun.Config{Addrs: silentNet, Routes: []tun.Route{
		{Dst: netip.MustParsePrefix("0.0.0.0/0")}, {Dst: netip.MustParsePrefix("::/0")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	left, right := link.NewPipe(link.PipeConfig{})
	s, err := stack.New(stack.Config{NICs: []stack.NIC{{Link: left, Addrs: silentNet}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); right.Close() })
	s.GVisor().SetICMPLimit(math.MaxFloat64)
	host, err := sockets.New(sockets.Config{Stack: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	none, err := host.TCP()
	if err != nil {
		t.Fatal(err)
	}
	none.Close()
	l := &lab{ns: ns, host: host, none: none, base: firstBase, spares: map[[2]int]*os.File{}}
	t.Cleanup(l.closeSpares)
	return l
}

// full reports whether the ports below the ephemeral ones are used up, but for what the workers may have begun to use.
func (l *lab) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.base+(workers+1)*basePorts > ephemeralFirst
}

// A driver runs a program's steps on one kind of sockets.
type driver interface {
	call(step) string
	look() []sight
	close()
}

// drivers returns the two for one program: ours, and the kernel's.
func (l *lab) drivers(family string) (driver, driver) {
	l.mu.Lock()
	defer l.mu.Unlock()
	base := l.base
	l.base += basePorts
	place := scene{family: family, base: base}
	return &ours{host: l.host, scene: place, socks: map[string]*sockets.Socket{}, none: l.none},
		&kernel{lab: l, scene: place, fds: map[string]int{}}
}

// A sight is one thing that can be seen of a socket.
type sight struct{ socket, what, value string }

const (
	// defaultPatience is how long the two sides may differ: longer than a delayed ACK and a retransmitted SYN.
	defaultPatience = 3 * time.Second

	// reruns are tries to see a difference again, with longPatience times the patience. One that does not show again is
	// logged, and fails only a soak: the machine may have been too busy for longer than patience.
	reruns       = 2
	longPatience = 10

	// blockingPatience is how long a call in blocking mode waits for what may never come.
	blockingPatience = 20 * time.Millisecond

	// raceShare is how much less is done under the race detector, where all of it takes minutes. It has no divisor in
	// common with the number of calls, so that each is made.
	raceShare = 7

	// spins are tries before a wait gives the processor away for longer.
	spins = 200
)

var patience = flag.Duration("oracle.patience", defaultPatience, "how `long` the two sides may differ")

// await calls done until it returns true, or patience ends.
func await(limit time.Duration, done func() bool) bool {
	var tick *time.Ticker
	for i, end := 0, time.Now().Add(limit); ; i++ {
		if done() {
			return true
		}
		if i < spins {
			runtime.Gosched()
			continue
		}
		if time.Now().After(end) {
			return false
		}
		if tick == nil {
			tick = time.NewTicker(200 * time.Microsecond)
			defer tick.Stop()
		}
		<-tick.C
	}
}

// A difference is what one step showed on the two sides.
type difference struct {
	family, state string
	step          step
	what          string // "result", or a sight and its socket
	ours, kernel  string
}

func (d difference) String() string {
	return fmt.Sprintf("%s %s: %s: %s: ours %s, Linux %s", d.family, d.state, strings.Join(d.step, " "), d.what, d.ours, d.kernel)
}

// A run is one program on both sides.
type run struct {
	family, state string
	o, k          driver
	permits       *permits
	patience      time.Duration // how long the two sides may differ
	diffs         []difference  // those that are not permitted
	permitted     bool          // one was: what follows it may differ as well
}

// allow reports whether a difference is permitted, and notes that there was one.
func (r *run) allow(d difference) bool {
	r.permitted = r.permitted || r.permits.allow(d)
	return r.permitted
}

// again are the results of calls that changed nothing and may end otherwise yet: what is missing may come, and a closed
// socket, which cannot be looked at, may give its port back.
var again = map[string]bool{"EAGAIN": true, "EADDRINUSE": true}

// step makes one call on both sides and compares. It returns false when going on makes no sense: after a difference,
// permitted or not.
func (r *run) step(s step) bool {
	k, o := r.k.call(s), r.o.call(s)
	d := difference{family: r.family, state: r.state, step: s, what: "result"}
	same := func() bool {
		d.ours, d.kernel = o, k
		switch {
		case o == k || r.allow(d):
			return true
		case again[o]:
			o = r.o.call(s)
		case again[k]:
			k = r.k.call(s)
		}
		return false
	}
	limit := r.patience
	if !again[o] && !again[k] {
		limit = 0
	}
	if !await(limit, same) {
		r.diffs = append(r.diffs, d)
		return false
	}
	return !r.permitted && r.settle(s)
}

// settle waits until every socket looks the same on both sides.
func (r *run) settle(s step) bool {
	var d difference
	if await(r.patience, func() bool {
		o, k := r.o.look(), r.k.look()
		if len(o) != len(k) {
			d = difference{r.family, r.state, s, "open sockets", fmt.Sprint(len(o)), fmt.Sprint(len(k))}
			return r.allow(d)
		}
		for i := range o {
			if o[i] == k[i] {
				continue
			}
			d = difference{r.family, r.state, s, o[i].what + " of " + o[i].socket, o[i].value, k[i].value}
			if !r.allow(d) {
				return false
			}
		}
		return true
	}) {
		return !r.permitted
	}
	r.diffs = append(r.diffs, d)
	return false
}

// program runs all of p, or as far as the two sides agree, and returns how many steps it ran.
func (r *run) program(p program) int {
	for i, s := range p {
		if !r.step(s) {
			return i
		}
	}
	return len(p)
}

// labs runs programs in a lab, and in a new one when its ports are used up.
type labs struct {
	t testing.TB

	// mu is held for reading while a program runs, and for writing while a lab is made: that forks, and until the child
	// becomes another program it has every descriptor open, so that nothing that is closed is closed for the kernel.
	mu   sync.RWMutex
	last *lab
}

// do runs a program in a lab.
func (l *labs) do(program func(*lab)) {
	l.renew()
	l.mu.RLock()
	defer l.mu.RUnlock()
	program(l.last)
}

// renew makes a lab if there is none that has ports left. The first time it must be called on the test's own goroutine, where
// the test can be skipped.
func (l *labs) renew() {
	l.mu.RLock()
	fit := l.last != nil && !l.last.full()
	l.mu.RUnlock()
	if fit {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil || l.last.full() {
		l.last = newLab(l.t)
	}
}

// confirm runs a program, and again when the sides differ, and returns the differences if they show twice.
func (l *labs) confirm(t *testing.T, what string, run func(l *lab, patience time.Duration) []difference) (diffs []difference) {
	t.Helper()
	l.do(func(l *lab) { diffs = run(l, *patience) })
	if len(diffs) == 0 || os.Getenv(soakVariable) != "" {
		return diffs
	}
	first := diffs
	for range reruns {
		l.do(func(l *lab) { diffs = run(l, longPatience**patience) })
		if len(diffs) > 0 {
			return diffs
		}
	}
	t.Logf("%s: once in %d runs: %v", what, 1+reruns, first)
	return nil
}
