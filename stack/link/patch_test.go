package link

import (
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// patchLink is a kind of link that a Patch may have at one side: it starts a
// host at the far end and returns the near one. Endpoint is the near end's
// device link, if it has one.
type patchLink struct {
	name    string
	offload bool
	make    func(t *testing.T, n byte) (*host, stack.LinkEndpoint, *Endpoint)
}

func patchLinks() []patchLink {
	device := func(features uint64) func(*testing.T, byte) (*host, stack.LinkEndpoint, *Endpoint) {
		return func(t *testing.T, n byte) (*host, stack.LinkEndpoint, *Endpoint) {
			x, y := newFakePair(features, 1)
			x.strict(t, DefaultMTU)
			y.strict(t, DefaultMTU)
			e, err := New(Config{Device: y})
			if err != nil {
				t.Fatal(err)
			}
			return newEndpointHost(t, n, x, Config{}), e, e
		}
	}
	pipe := func(gso uint32) func(*testing.T, byte) (*host, stack.LinkEndpoint, *Endpoint) {
		return func(t *testing.T, n byte) (*host, stack.LinkEndpoint, *Endpoint) {
			a, b := NewPipe(PipeConfig{GSOMaxSize: gso})
			return newHost(t, n, a), b, nil
		}
	}
	return []patchLink{
		{"device", true, device(allOffloads)},
		{"device without offload", false, device(0)},
		{"device with checksums", false, device(FeatureCSUM | FeatureGuestCSUM)},
		{"pipe", true, pipe(MaxGSOSize)},
		{"pipe without offload", false, pipe(0)},
		{"impaired pipe", false, func(t *testing.T, n byte) (*host, stack.LinkEndpoint, *Endpoint) {
			h, l, _ := pipe(MaxGSOSize)(t, n)
			i, err := NewImpair(l, ImpairConfig{})
			if err != nil {
				t.Fatal(err)
			}
			return h, i, nil
		}},
	}
}

// TestPatch joins two hosts by a patch of every kind of link with every other.
// The devices check each packet that is written to them.
func TestPatch(t *testing.T) {
	for _, left := range patchLinks() {
		for _, right := range patchLinks() {
			t.Run(left.name+" to "+right.name, func(t *testing.T) {
				t.Parallel()
				one, a, near := left.make(t, 1)
				two, b, _ := right.make(t, 2)
				p := NewPatch(a, b)
				t.Cleanup(func() { p.Close(); p.Wait() })
				for _, v := range []string{"4", "6"} {
					from, to := connect(t, one, two, v)
					transfer(t, from, to, 1<<18)
					transfer(t, to, from, 1<<18)
					exchange(t, one, two, v, 0, 1, 1000, 9000)
				}
				if near == nil || !left.offload || !right.offload {
					return
				}
				if s := near.Stats(); s.RxSplit > 0 || s.TxSegments > 0 || s.RxCoalesced == 0 || s.TxOffloaded == 0 {
					t.Errorf("offload was not passed on: %+v", s)
				}
			})
		}
	}
}

// TestPatchClose closes a patch whose ends are in use.
func TestPatchClose(t *testing.T) {
	a, b := NewPipe(PipeConfig{})
	c, d := NewPipe(PipeConfig{})
	one, two := newHost(t, 1, a), newHost(t, 2, d)
	p := NewPatch(b, c)
	from, to := connect(t, one, two, "4")
	transfer(t, from, to, 1<<10)
	p.Close()
	p.Wait()
	if _, err := from.Write([]byte("into the void")); err != nil {
		t.Error(err)
	}
}

// TestPatchSmallPeer joins a host with another that takes smaller segments than
// the link to it does. Its device checks their sizes.
func TestPatchSmallPeer(t *testing.T) {
	const small = 1300
	for _, left := range patchLinks() {
		t.Run(left.name, func(t *testing.T) {
			t.Parallel()
			one, a, _ := left.make(t, 1)
			x, y := newFakePair(allOffloads, 1)
			y.strict(t, small)
			two := newEndpointHost(t, 2, x, Config{MTU: small})
			b, err := New(Config{Device: y})
			if err != nil {
				t.Fatal(err)
			}
			p := NewPatch(a, b)
			t.Cleanup(func() { p.Close(); p.Wait() })
			for _, v := range []string{"4", "6"} {
				from, to := connect(t, one, two, v)
				transfer(t, from, to, 1<<18)
			}
		})
	}
}
