package link

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"
)

// A script is a device whose packets come at given times of a clock that only
// Poll and Read move. Poll takes a microsecond.
type script struct {
	fakeDevice
	clock time.Time
	next  []time.Duration // from the end of the last packet's reading to the next packet
	due   time.Time
	calls string // of the wait under way: a p for each poll, and R for a read
	err   error  // what comes in place of a packet after the last one
}

const pollTime = time.Microsecond

func (s *script) now() time.Time { return s.clock }

// advance takes the next packet.
func (s *script) advance() (int, error) {
	if len(s.next) == 0 {
		return 0, s.err
	}
	s.due, s.next = s.clock.Add(s.next[0]), s.next[1:]
	return 1, nil
}

func (s *script) Poll(int, [][][]byte, []int) (int, error) {
	s.calls += "p"
	s.clock = s.clock.Add(pollTime)
	if s.clock.Before(s.due) {
		return 0, nil
	}
	return s.advance()
}

func (s *script) Read(int, [][][]byte, []int) (int, error) {
	s.calls += "R"
	if s.clock.Before(s.due) {
		s.clock = s.due.Add(40 * time.Microsecond) // to be woken
	}
	return s.advance()
}

// TestBusyPoll has the waits of a reader that polls for 20 µs: how often it
// asked the device in each, and whether it slept.
func TestBusyPoll(t *testing.T) {
	const us, idle = time.Microsecond, time.Second
	repeat := func(n int, d time.Duration) (all []time.Duration) {
		for range n {
			all = append(all, d)
		}
		return all
	}
	tests := []struct {
		name string
		gaps []time.Duration
		want []string // number of polls, and R where it slept
	}{
		{"the first packets after a pause are not polled for", []time.Duration{idle, idle, 10 * us, idle}, []string{"0R", "0R", "0R", "20R"}},
		{"short gaps are polled through", []time.Duration{idle, 10 * us, 10 * us, 5 * us}, []string{"0R", "0R", "10", "5"}},
		{"a pause ends it", []time.Duration{10 * us, 10 * us, idle, idle, 10 * us}, []string{"0R", "10", "20R", "0R", "0R"}},
		{
			"in vain, it tries less and less", repeat(10, 50*us),
			[]string{"0R", "20R", "20R", "0R", "20R", "0R", "0R", "0R", "20R", "0R"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &script{clock: time.Unix(1, 0), next: append(test.gaps, idle)}
			w := newScriptWaiter(s, 20*us)
			s.advance()
			var got []string
			for range test.want {
				s.calls = ""
				if _, err := w.read(nil, nil); err != nil {
					t.Fatal(err)
				}
				got = append(got, s.said())
			}
			if fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("polls %v, want %v", got, test.want)
			}
		})
	}
}

// said is the calls in short.
func (s *script) said() string {
	polls, read := 0, ""
	for _, c := range s.calls {
		if c == 'p' {
			polls++
		} else {
			read += string(c)
		}
	}
	return fmt.Sprint(polls, read)
}

func newScriptWaiter(s *script, budget time.Duration) *waiter {
	e := &Endpoint{device: s, busyPoll: budget}
	w := e.newWaiter(0)
	w.now = s.now
	return w
}

// TestBusyPollLeavesBulkAlone has a reader that does not poll while much passes.
func TestBusyPollLeavesBulkAlone(t *testing.T) {
	s := &script{clock: time.Unix(1, 0), next: make([]time.Duration, 100)}
	w := newScriptWaiter(s, 20*time.Microsecond)
	for i, want := range []string{"0R", "1", "0R", "0R", "1"} {
		if i == 2 || i == 3 {
			w.e.stats.txBytes.Add(pollBytes + 1)
		}
		s.calls = ""
		if _, err := w.read(nil, nil); err != nil || s.said() != want {
			t.Errorf("wait %d: %v, %v; want %v", i, s.said(), err, want)
		}
	}
}

// TestBusyPollRests has a reader that lets the scheduler have the thread from
// time to time, whatever comes.
func TestBusyPollRests(t *testing.T) {
	s := &script{clock: time.Unix(1, 0)}
	w := newScriptWaiter(s, 20*time.Microsecond)
	slept := 0
	for range 2000 { // 10 µs each
		s.next = []time.Duration{10 * time.Microsecond}
		s.calls = ""
		if _, err := w.read(nil, nil); err != nil {
			t.Fatal(err)
		}
		if s.calls[len(s.calls)-1] == 'R' {
			slept++
		}
	}
	if slept < 3 || slept > 6 {
		t.Errorf("slept %d times in 20 ms, want once in 5 ms", slept)
	}
}

// TestBusyPollEnds has a device that is closed while it is polled.
func TestBusyPollEnds(t *testing.T) {
	s := &script{clock: time.Unix(1, 0), next: make([]time.Duration, 2), err: os.ErrClosed}
	w := newScriptWaiter(s, 20*time.Microsecond)
	for range 2 {
		if n, err := w.read(nil, nil); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	s.calls = ""
	if _, err := w.read(nil, nil); !errors.Is(err, os.ErrClosed) || s.said() != "1" {
		t.Errorf("%v after %v polls, want closed after one", err, s.said())
	}
}

// TestBusyPollNeedsAPoller has a device that cannot be asked, and settings that
// make no sense.
func TestBusyPollNeedsAPoller(t *testing.T) {
	a, b := newFakePair(0, 1)
	defer b.Close()
	if w := (&Endpoint{device: a, busyPoll: time.Microsecond}).newWaiter(0); w.poller != nil {
		t.Error("polls a device without Poll")
	}
	for _, d := range []time.Duration{-1, maxBusyPoll + 1} {
		if e, err := New(Config{Device: a, BusyPoll: d}); err == nil {
			e.Close()
			t.Errorf("busy polling for %v is taken", d)
		}
	}
	e, err := New(Config{Device: a, BusyPoll: maxBusyPoll})
	if err != nil {
		t.Fatal(err)
	}
	e.Close()
}
