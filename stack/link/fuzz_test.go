package link

import (
	"slices"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
)

// fuzzModes are the links that a fuzzed frame goes to, by its first byte.
var fuzzModes = []struct {
	features uint64
	ethernet bool
	wireForm bool
	queues   int
}{
	{features: allOffloads, queues: 1},
	{features: 0, queues: 1},
	{features: allOffloads, queues: 2},
	{features: allOffloads, queues: 1, wireForm: true},
	{features: allOffloads, queues: 1, ethernet: true},
	{features: allOffloads &^ (FeatureGuestTSO6 | FeatureGuestUSO4), queues: 1, ethernet: true, wireForm: true},
}

// A fuzzLink is a stack that listens, on a link that frames are put into. The
// stack's answers are checked as everything that is sent.
type fuzzLink struct {
	endpoint *Endpoint
	device   *fakeDevice
	frame    frame
}

func newFuzzLink(f *testing.F, mode int) *fuzzLink {
	m := fuzzModes[mode]
	d, _ := newFakePair(m.features, m.queues)
	d.strict(f, DefaultMTU)
	fl := &fuzzLink{device: d}
	var h *host
	cfg := Config{Device: d, Queues: m.queues}
	if m.ethernet {
		d.l2 = header.EthernetMinimumSize
		e, err := NewEthernet(EthernetConfig{Config: cfg, MAC: testMAC})
		if err != nil {
			f.Fatal(err)
		}
		fl.endpoint = &e.Endpoint
		h = newHost(f, 1, e)
	} else {
		e, err := New(cfg)
		if err != nil {
			f.Fatal(err)
		}
		fl.endpoint = e
		h = newHost(f, 1, e)
	}
	if m.wireForm {
		fl.endpoint.RequireWireForm()
	}
	any := tcpip.FullAddress{Port: 2000}
	udp, err := gonet.DialUDP(h.Stack, &any, nil, ipv4.ProtocolNumber)
	if err != nil {
		f.Fatal(err)
	}
	tcp, err := gonet.ListenTCP(h.Stack, any, ipv4.ProtocolNumber)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { udp.Close(); tcp.Close(); fl.frame.release() })
	return fl
}

// put receives a frame as a reader does and returns what became of it.
func (fl *fuzzLink) put(data []byte) verdict {
	rest := data
	for _, s := range fl.frame.refill() {
		rest = rest[copy(s, rest):]
	}
	return fl.endpoint.receive(nil, &fl.frame, len(data))
}

// FuzzEndpointInput gives links frames as a hostile device might: the first
// byte chooses the link, the rest is virtio header, link header and packet.
// Nothing may panic, every frame has one verdict, and whatever the stack
// answers must be well-formed. A stack works in goroutines of its own, so the
// fuzzer sees coverage change by itself: run it with -fuzzminimizetime 10x.
func FuzzEndpointInput(f *testing.F) {
	for _, g := range garbageFrames() {
		if len(g.frame) < 1<<12 { // the fuzzer mutates small ones better
			f.Add(append([]byte{0}, g.frame...))
		}
	}
	for i := range fuzzModes {
		for _, seed := range fuzzSeeds(fuzzModes[i].ethernet) {
			f.Add(append([]byte{byte(i)}, seed...))
		}
	}
	links := make([]*fuzzLink, len(fuzzModes))
	for i := range links {
		links[i] = newFuzzLink(f, i)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		fl := links[int(data[0])%len(links)]
		before := fl.endpoint.Stats()
		v := fl.put(data[1:])
		after := fl.endpoint.Stats()
		if v < pass || v >= verdicts {
			t.Fatalf("verdict %d", v)
		}
		if v != pass && (after.RxBytes != before.RxBytes || after.RxVouched != before.RxVouched) {
			t.Fatalf("verdict %d, but counted as delivered", v)
		}
		fl.device.mu.Lock()
		defer fl.device.mu.Unlock()
		if len(fl.device.bad) > 0 {
			t.Fatalf("the stack's answer: %v", fl.device.bad[0])
		}
	})
}

// fuzzSeeds are frames that pass.
func fuzzSeeds(ethernet bool) [][]byte {
	var seeds [][]byte
	for _, p := range []testPacket{
		{payload: 10}, {payload: 300, options: 12}, {v6: true, payload: 300, hopOpts: 8},
		{udp: true, payload: 300}, {udp: true, v6: true, payload: 300}, {flags: header.TCPFlagSyn},
	} {
		plain, l := p.build()
		half := slices.Clone(plain)
		hp := partial(half, l)
		headers := []virtioHeader{{}, {flags: virtioDataValid}, hp}
		packets := [][]byte{plain, plain, half}
		if p.payload > 100 {
			headers, packets = append(headers, coalesced(half, l, 100)), append(packets, half)
		}
		for i, h := range headers {
			b := packets[i]
			if ethernet {
				proto := header.IPv4ProtocolNumber
				if p.v6 {
					proto = header.IPv6ProtocolNumber
				}
				b = ethernetFrame(testMAC, proto, b)
				h.csumStart += header.EthernetMinimumSize
			}
			seeds = append(seeds, framed(h, b))
		}
	}
	return seeds
}
