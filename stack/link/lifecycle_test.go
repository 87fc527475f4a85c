package link

import (
	"sync"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// newLinks has a fresh link of every kind that has goroutines, and what frees
// the rest.
var newLinks = map[string]func() (l stack.LinkEndpoint, rest func()){
	"pipe": func() (stack.LinkEndpoint, func()) {
		a, b := NewPipe(PipeConfig{})
		return a, func() { b.Close(); b.Wait() }
	},
	"endpoint": func() (stack.LinkEndpoint, func()) {
		d, _ := newFakePair(allOffloads, 3)
		e, _ := New(Config{Device: d, Queues: 3})
		return e, func() {}
	},
	"ethernet": func() (stack.LinkEndpoint, func()) {
		d, _ := newFakePair(allOffloads, 1)
		e, _ := NewEthernet(EthernetConfig{Config: Config{Device: d}})
		return e, func() {}
	},
}

// TestLifecycle calls everything in orders that a stack, or a hurried owner,
// may choose; what is left over fails TestMain.
func TestLifecycle(t *testing.T) {
	orders := map[string]func(l stack.LinkEndpoint, s *sink){
		"never attached": func(l stack.LinkEndpoint, _ *sink) { l.Wait(); l.Close(); l.Wait() },
		"close twice":    func(l stack.LinkEndpoint, s *sink) { l.Attach(s); l.Close(); l.Close(); l.Wait(); l.Wait() },
		"detach first":   func(l stack.LinkEndpoint, s *sink) { l.Attach(nil); l.Attach(s); l.Attach(nil); l.Close(); l.Wait() },
		"attach again":   func(l stack.LinkEndpoint, s *sink) { l.Attach(s); l.Attach(nil); l.Attach(s); l.Close(); l.Wait() },
		"attach closed":  func(l stack.LinkEndpoint, s *sink) { l.Close(); l.Attach(s); l.Attach(nil); l.Wait() },
		"all at once": func(l stack.LinkEndpoint, s *sink) {
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() { l.Attach(s) })
				wg.Go(func() { l.Attach(nil) })
				wg.Go(func() { l.Close() })
			}
			wg.Wait()
			l.Wait()
		},
	}
	for kind, newLink := range newLinks {
		for name, order := range orders {
			t.Run(kind+"/"+name, func(t *testing.T) {
				l, rest := newLink()
				defer rest()
				order(l, &sink{link: l, arrived: make(chan struct{}, 1)})
				if l.IsAttached() {
					t.Error("attached after Close")
				}
				pkt, _, _ := outgoing(testPacket{payload: 10}, 10, 1400)
				var list stack.PacketBufferList
				list.PushBack(pkt)
				l.WritePackets(list) // after Close: goes nowhere, harms nobody
				list.Reset()
			})
		}
	}
}

// TestCloseUnderTraffic closes both ends in the middle of transfers.
func TestCloseUnderTraffic(t *testing.T) {
	links := map[string]func() (a, b stack.LinkEndpoint){
		"pipe":     func() (a, b stack.LinkEndpoint) { return first2(NewPipe(PipeConfig{GSOMaxSize: MaxGSOSize})) },
		"endpoint": func() (a, b stack.LinkEndpoint) { return newEndpointPair(t, allOffloads) },
	}
	for name, newPair := range links {
		t.Run(name, func(t *testing.T) {
			a, b := newPair()
			one, two := newHost(t, 1, a), newHost(t, 2, b)
			near, far := connect(t, one, two, "4")
			var wg sync.WaitGroup
			flowing := make(chan struct{})
			wg.Go(func() {
				buf := make([]byte, 1<<16)
				for i := 0; ; i++ {
					if _, err := far.Read(buf); err != nil {
						return
					}
					if i == 20 {
						close(flowing)
					}
				}
			})
			wg.Go(func() {
				for buf := make([]byte, 1<<16); ; {
					if _, err := near.Write(buf); err != nil {
						return
					}
				}
			})
			<-flowing
			a.Close()
			b.Close()
			a.Wait()
			b.Wait()
			one.Stack.Close()
			two.Stack.Close()
			wg.Wait()
		})
	}
}

func first2(a, b *PipeEnd) (x, y stack.LinkEndpoint) { return a, b }

func newEndpointPair(t *testing.T, features uint64) (a, b stack.LinkEndpoint) {
	x, y := newFakePair(features, 1)
	one, err := New(Config{Device: x})
	if err != nil {
		t.Fatal(err)
	}
	two, err := New(Config{Device: y})
	if err != nil {
		t.Fatal(err)
	}
	return one, two
}

func TestNewRefuses(t *testing.T) {
	for name, cfg := range map[string]Config{
		"small MTU":       {MTU: 67},
		"large MTU":       {MTU: 65536},
		"negative queues": {Queues: -1},
		"many queues":     {Queues: 257},
	} {
		d, _ := newFakePair(0, 1)
		cfg.Device = d
		if _, err := New(cfg); err == nil || !d.queues[0].closed {
			t.Errorf("%s: error %v, device closed %v", name, err, d.queues[0].closed)
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("no device, and no error")
	}
	if _, err := NewEthernet(EthernetConfig{}); err == nil {
		t.Error("no device, and no error")
	}
}
