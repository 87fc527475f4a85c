package link

import (
	"bytes"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
)

// endpointFeatures are devices as they come.
var endpointFeatures = map[string]uint64{
	"no offload":    0,
	"checksum only": FeatureCSUM | FeatureGuestCSUM,
	"IPv4 only":     FeatureCSUM | FeatureGuestCSUM | FeatureGuestTSO4 | FeatureHostTSO4,
	"all offloads":  allOffloads,
	"send only":     FeatureHostTSO4 | FeatureHostTSO6, // without CSUM: worthless
}

// newEndpointHosts joins two hosts over fake devices.
func newEndpointHosts(t testing.TB, features uint64, cfg Config) (one, two *host) {
	t.Helper()
	x, y := newFakePair(features, max(1, cfg.Queues))
	mtu := DefaultMTU
	if cfg.MTU != 0 {
		mtu = int(cfg.MTU)
	}
	x.strict(t, mtu)
	y.strict(t, mtu)
	return newEndpointHost(t, 1, x, cfg), newEndpointHost(t, 2, y, cfg)
}

func newEndpointHost(t testing.TB, n byte, d Device, cfg Config) *host {
	t.Helper()
	cfg.Device = d
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return newHost(t, n, e)
}

func TestEndpointTCP(t *testing.T) {
	for name, features := range endpointFeatures {
		for _, v := range []string{"4", "6"} {
			t.Run(name+"/"+v, func(t *testing.T) {
				t.Parallel()
				one, two := newEndpointHosts(t, features, Config{})
				near, far := connect(t, one, two, v)
				transfer(t, near, far, 2<<20)
				transfer(t, far, near, 2<<20)
				s := two.link.(*Endpoint).Stats()
				if dropped := s.RxDetached + s.RxShort + s.RxOversize + s.RxUnknown + s.RxBadChecksum + s.RxBadGSO + s.RxNotNegotiated; dropped > 0 || s.TxErrors > 0 {
					t.Errorf("stats %+v", s)
				}
				offload := features == allOffloads || features == endpointFeatures["IPv4 only"] && v == "4"
				if got := s.RxCoalesced > 0 && s.TxOffloaded > 0; got != offload {
					t.Errorf("offload %v, want %v: %+v", got, offload, s)
				}
				if got := s.TxSegments > 0; got == offload {
					t.Errorf("cut here %v, want %v: %+v", got, !offload, s)
				}
				if got := s.RxVouched > 0; got != (features&FeatureGuestCSUM != 0) {
					t.Errorf("vouched %v: %+v", got, s)
				}
			})
		}
	}
}

func TestEndpointUDP(t *testing.T) {
	for name, features := range endpointFeatures {
		for _, v := range []string{"4", "6"} {
			t.Run(name+"/"+v, func(t *testing.T) {
				t.Parallel()
				one, two := newEndpointHosts(t, features, Config{})
				exchange(t, one, two, v, 0, 1, 1000, 1472, 1473, 9000, 65507)
			})
		}
	}
}

func TestEndpointQueues(t *testing.T) {
	for _, v := range []string{"4", "6"} {
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			one, two := newEndpointHosts(t, allOffloads, Config{Queues: 4})
			for range 6 {
				near, far := connect(t, one, two, v)
				transfer(t, near, far, 1<<20)
				transfer(t, far, near, 1<<20)
			}
			exchange(t, one, two, v, 65507)
		})
	}
}

// TestEndpointVerifiesFragments sends datagrams in fragments, which no device
// can vouch for, between packets that it vouches for: a corrupt one must not
// reach the socket.
func TestEndpointVerifiesFragments(t *testing.T) {
	d, _ := newFakePair(allOffloads, 1)
	h := newEndpointHost(t, 1, d, Config{})
	local := tcpip.FullAddress{Addr: h.v4, Port: 2000}
	c, err := gonet.DialUDP(h.Stack, &local, nil, ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(testTimeout))
	vouched, l := testPacket{udp: true, payload: 20}.build()
	hv := partial(vouched, l)
	whole, _ := testPacket{udp: true, payload: 3000, noDF: true, id: 1}.build()
	corrupt := bytes.Clone(whole)
	corrupt[2000]++
	header.IPv4(corrupt).SetID(2)
	for _, p := range [][]byte{corrupt, whole} {
		d.inject(0, [][]byte{framed(hv, vouched)})
		for _, f := range fragments(p, 1480) {
			d.inject(0, [][]byte{framed(virtioHeader{}, f)})
		}
	}
	buf := make([]byte, 1<<16)
	for _, want := range [][]byte{vouched[28:], vouched[28:], whole[28:]} {
		if n, _, err := c.ReadFrom(buf); err != nil || !bytes.Equal(buf[:n], want) {
			t.Fatalf("got %d bytes, want %d: %v", n, len(want), err)
		}
	}
	if n := h.Stats().UDP.ChecksumErrors.Value(); n != 1 {
		t.Errorf("%d bad checksums, want 1", n)
	}
}

// fragments cuts an IPv4 packet with a header of 20 bytes.
func fragments(p []byte, size int) (fs [][]byte) {
	for at := 20; at < len(p); at += size {
		end := min(at+size, len(p))
		f := append(bytes.Clone(p[:20]), p[at:end]...)
		ip := header.IPv4(f)
		flags := uint8(0)
		if end < len(p) {
			flags = header.IPv4FlagMoreFragments
		}
		ip.SetTotalLength(uint16(len(f)))
		ip.SetFlagsFragmentOffset(flags, uint16(at-20))
		ip.SetChecksum(0)
		ip.SetChecksum(^ip.CalculateChecksum())
		fs = append(fs, f)
	}
	return fs
}
