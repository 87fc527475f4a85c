package hostnet

import (
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// A flowKey tells flows apart: all that one socket of the stack sends, to
// whomever, is one flow. A ping's port is its identifier.
type flowKey struct {
	proto tcpip.TransportProtocolNumber
	dns   bool // to the DNS addresses: the answers' sender is not who was asked
	src   netip.AddrPort
}

// A socket is one of the machine's for datagrams.
type socket interface {
	net.PacketConn
	syscall.Conn
}

// A flow is a socket of the stack's and its counterpart of the machine's.
type flow struct {
	key    flowKey
	sock   socket
	rawFD  syscall.RawConn // of sock, on Linux
	idle   time.Duration
	pinned bool   // published: lives as long as the uplink
	raw    bool   // of echo: a raw socket
	ident  uint16 // of raw ones: the identifier outside
	peers  peers  // of published ones

	// What was judged last, and until when that holds; the goroutine that
	// delivers packets has these alone.
	to, target netip.AddrPort
	verdict    verdict
	until      time.Time
	whole      bool       // routers have been asked not to fragment
	from       netip.Addr // of published ones: the address that the client had sent to

	used time.Time // guarded by flowTable.mu
}

// flowTable holds the flows.
type flowTable struct {
	u *Uplink

	mu    sync.Mutex
	flows map[flowKey]*flow // nil once closed
}

// get returns the flow of a key and notes that it is used.
func (t *flowTable) get(k flowKey) *flow {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.flows[k]
	if f != nil {
		f.used = time.Now()
	}
	return f
}

// touch notes that a flow is used.
func (t *flowTable) touch(f *flow) {
	t.mu.Lock()
	f.used = time.Now()
	t.mu.Unlock()
}

// add puts a new flow into the table; what has been idle longest makes room. It
// reports false when the uplink is closing. The flow's goroutine starts here; it
// ends when the socket is closed.
func (t *flowTable) add(f *flow, receive func(*flow)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.flows == nil {
		f.sock.Close()
		return false
	}
	if old := t.flows[f.key]; old != nil { // what is published takes the place of what is not
		t.drop(old)
	}
	if len(t.flows) >= t.u.cfg.MaxFlows {
		t.evict()
	}
	f.used = time.Now()
	t.flows[f.key] = f
	t.u.work.Go(func() { receive(f) })
	return true
}

// evict ends the flow that has been idle longest. The caller has the lock.
func (t *flowTable) evict() {
	var oldest *flow
	for _, f := range t.flows {
		if !f.pinned && (oldest == nil || f.used.Before(oldest.used)) {
			oldest = f
		}
	}
	if oldest != nil {
		t.u.stats.flowsEvicted.Add(1)
		t.drop(oldest)
	}
}

// drop ends a flow. The caller has the lock.
func (t *flowTable) drop(f *flow) {
	delete(t.flows, f.key)
	f.sock.Close()
}

// remaining returns how long a flow may still be idle. It ends the flow if that
// is over.
func (t *flowTable) remaining(f *flow) (left time.Duration, alive bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.flows[f.key] != f {
		return 0, false
	}
	if left = f.idle - time.Since(f.used); left > 0 || f.pinned {
		return left, true
	}
	t.drop(f)
	return 0, false
}

func (t *flowTable) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.flows)
}

// closing ends all flows.
func (t *flowTable) closing() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.flows {
		f.sock.Close()
	}
	t.flows = nil
}
