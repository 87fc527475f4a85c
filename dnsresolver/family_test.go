package dnsresolver

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// The second family has FamilyGrace after the first, or the whole time.
func TestFamilyGrace(t *testing.T) {
	for _, test := range []struct {
		host  string
		grace time.Duration
		conf  string
		want  time.Duration
		code  EAI
	}{
		{"drop6.test", 0, "", defaultFamilyGrace, 0},
		{"drop4.test", 0, "", defaultFamilyGrace, 0},
		{"drop6.test", 200 * time.Millisecond, "", 200 * time.Millisecond, 0},
		{"drop6.test", -1, "", 10 * time.Second, 0},
		{"drop6.test", 0, "options strict-error", 10 * time.Second, EAI_AGAIN},
		{"drop6.test", 0, "options single-request", 10 * time.Second, 0},
		{"drop6.test", 0, "options no-aaaa", 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			r := n.resolver(Config{
				Servers: []Server{n.add("192.0.2.1", zone)}, FamilyGrace: test.grace, ResolvConfText: test.conf,
			})
			_, took, err := timed(r, test.host, AF_UNSPEC)
			if test.code != 0 {
				wantCode(t, err, test.code)
			} else if err != nil {
				t.Errorf("%+v: %v", test, err)
			}
			about(t, fmt.Sprintf("%+v", test), took, test.want)
			synctest.Wait()
			if c := n.connections(); c != 0 {
				t.Errorf("%d connections left", c)
			}
			// Nothing carries over to the next lookup (glibc's sticky
			// single-request mode).
			if ans, took, err := timed(r, "sf4.test", AF_UNSPEC); test.conf == "" && (err != nil || len(ans.Addrs) != 1 || took > time.Second) {
				t.Errorf("next lookup: %v, %v, %v", ans, err, took)
			}
		})
	}
}

// A and AAAA go out together, each from its own socket; with single-request,
// AAAA only after the answer of A.
func TestFamiliesInParallel(t *testing.T) {
	for conf, want := range map[string]time.Duration{"": 100 * time.Millisecond, "options single-request": 200 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			n.latency = 100 * time.Millisecond
			r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", zone)}, ResolvConfText: conf})
			ans, took, err := timed(r, "dual.test", AF_UNSPEC)
			if err != nil || len(ans.Addrs) != 4 {
				t.Error(ans, err)
			}
			about(t, conf, took, want)
			if n.dialed() != 2 {
				t.Errorf("%d sockets, want 2", n.dialed())
			}
		})
	}
}

// With strict-error, both families must have been answered.
func TestStrictError(t *testing.T) {
	for host, code := range map[string]EAI{
		"sf6.test": EAI_AGAIN, "sf4.test": EAI_AGAIN, "ref6.test": EAI_AGAIN,
		"nx6.test": 0, "dual.test": 0, "a4.test": 0, "nx.test": EAI_NONAME,
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			r := n.resolver(Config{Servers: []Server{n.add("192.0.2.1", zone)}, Options: Options{StrictError: true}})
			_, _, err := timed(r, host, AF_UNSPEC)
			if code != 0 {
				wantCode(t, err, code)
			} else if err != nil {
				t.Errorf("%s: %v", host, err)
			}
		})
	}
}

// The table of what two families come to, written out.
func TestCombine(t *testing.T) {
	const (
		data, nodata, nx = statusData, statusNoData, statusNXDomain
		temp, mute       = statusTemporary, statusUnanswered
		broken, stopped  = statusBroken, statusStopped
	)
	order := []status{data, nodata, nx, temp, mute, broken, stopped}
	want := [][]status{ // rows: A, columns: AAAA
		{data, data, data, data, data, data, stopped},
		{data, nodata, nodata, temp, mute, broken, stopped},
		{data, nodata, nx, temp, mute, broken, stopped},
		{data, temp, temp, temp, mute, temp, stopped},
		{data, mute, mute, mute, mute, mute, stopped},
		{data, broken, broken, temp, mute, broken, stopped},
		{stopped, stopped, stopped, stopped, stopped, stopped, stopped},
	}
	strict := map[status]bool{temp: true, mute: true, broken: true}
	for i, v4 := range order {
		for j, v6 := range order {
			if got := (Options{}).combine(v4, v6); got != want[i][j] {
				t.Errorf("combine(%d, %d) = %d, want %d", v4, v6, got, want[i][j])
			}
			wanted := want[i][j]
			if wanted == data && strict[min(v4, v6)] {
				wanted = min(v4, v6)
			}
			if got := (Options{StrictError: true}).combine(v4, v6); got != wanted {
				t.Errorf("strict combine(%d, %d) = %d, want %d", v4, v6, got, wanted)
			}
		}
		if got := (Options{}).combine(v4, statusNotAsked); got != v4 {
			t.Errorf("combine(%d, not asked) = %d", v4, got)
		}
	}
}
