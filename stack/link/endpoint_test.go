package link

import (
	"testing"
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
				transfer(t, near, far, 4<<20)
				transfer(t, far, near, 4<<20)
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
