//go:build linux && (amd64 || arm64)

package supervise

import (
	"encoding/binary"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/supervise/internal/seccomp"
)

// ports are the addresses of the program's netlink sockets.
type ports struct {
	mu    sync.Mutex
	taken map[uint32]*netlink
	last  uint32
}

// take gives a socket the port, or fails when another one has it. Port 0 stands for
// one that is free: that of the process if it can be had (netlink(7)).
func (p *ports) take(n *netlink, port, process uint32) (uint32, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken == nil {
		p.taken = map[uint32]*netlink{}
	}
	const rover = -4096 & 0xffffffff // as netlink_autobind: from there down
	switch {
	case port != 0 && p.taken[port] != nil:
		return 0, false
	case port == 0:
		port = process
		for port == 0 || p.taken[port] != nil {
			p.last = (p.last + 1) % (1 << 20)
			port = rover - p.last
		}
	}
	p.taken[port] = n
	return port, true
}

// release gives a socket's port back.
func (p *ports) release(n *netlink) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if port := n.client.PortID; p.taken[port] == n {
		delete(p.taken, port)
	}
}

// holder returns who has a port.
func (p *ports) holder(port uint32) *netlink {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken[port]
}

// autobindLocked gives the socket a port if it has none.
func (n *netlink) autobindLocked() {
	if n.bound {
		return
	}
	tid, _ := n.where()
	process, err := seccomp.Process(int(tid))
	if err != nil {
		process = 0
	}
	if h := n.s.ports.holder(uint32(process)); h != nil && h != n {
		h.stale(nil)
	}
	n.client.PortID, n.bound = n.s.ports.take(n, 0, uint32(process))
}

// netlinkAddr is struct sockaddr_nl (netlink(7)).
func netlinkAddr(port, groups uint32) []byte {
	b := binary.NativeEndian.AppendUint16(nil, unix.AF_NETLINK)
	b = append(b, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, port)
	return binary.NativeEndian.AppendUint32(b, groups)
}
