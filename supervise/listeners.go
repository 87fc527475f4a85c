//go:build linux && (amd64 || arm64)

package supervise

import (
	"sync"

	"github.com/userstack/userstack/stack/sockets"
)

// listeners are the listening sockets by port, so that a connection to a port of
// the program's own finds out first whether it still listens there.
type listeners struct {
	mu     sync.Mutex
	byPort map[int]map[*stream]struct{}
	ports  map[*stream]int
}

func (l *listeners) init() {
	l.byPort = make(map[int]map[*stream]struct{})
	l.ports = make(map[*stream]int)
}

func (l *listeners) add(st *stream) {
	name, err := st.sock.GetSockName()
	if err != nil {
		return
	}
	port := portOf(name)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byPort[port] == nil {
		l.byPort[port] = make(map[*stream]struct{})
	}
	l.byPort[port][st] = struct{}{}
	l.ports[st] = port
}

func (l *listeners) remove(st *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	port, known := l.ports[st]
	if !known {
		return
	}
	delete(l.ports, st)
	if delete(l.byPort[port], st); len(l.byPort[port]) == 0 {
		delete(l.byPort, port)
	}
}

// sweep ends those that the program has closed of the listeners that a
// connection to the address may reach, and reports whether others are left.
func (l *listeners) sweep(a sockets.Sockaddr) (left bool) {
	if a == nil {
		return false
	}
	l.mu.Lock()
	var found []*stream
	for st := range l.byPort[portOf(a)] {
		found = append(found, st)
	}
	l.mu.Unlock()
	for _, st := range found {
		left = !st.stale(new(roll)) || left
	}
	return left
}

// portOf returns the port of an Internet address, 0 for others.
func portOf(a sockets.Sockaddr) int {
	switch a := a.(type) {
	case sockets.Inet4:
		return a.Port
	case sockets.Inet6:
		return a.Port
	}
	return 0
}
