package tun

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// TestMonitor has the scheduler told of the first call after a pause, and of no
// other while calls follow one another.
func TestMonitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMonitor()
		defer m.stop()
		told := 0
		calls := func(n int, apart time.Duration) {
			for range n {
				if m.due() {
					told++
				}
				<-time.After(apart) // of the bubble
			}
		}
		for _, step := range []struct {
			n     int
			apart time.Duration
			want  int
		}{
			{1, 0, 1},
			{1000, time.Millisecond, 1},
			{1, 3 * monitorPeriod, 1}, // the pause is behind it
			{1, 0, 2},
			{100, 3 * monitorPeriod, 101},
		} {
			if calls(step.n, step.apart); told != step.want {
				t.Fatalf("after %d calls %v apart the scheduler was told of %d in all, want %d", step.n, step.apart, told, step.want)
			}
		}
	})
}

// TestMonitorRests has the timer not go on without calls: it would wake an idle
// program.
func TestMonitorRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMonitor()
		m.due()
		<-time.After(3 * monitorPeriod) // of the bubble
		synctest.Wait()
		if m.timer.Stop() {
			t.Error("the timer is pending")
		}
	})
}

// newPairQueue returns a queue whose device is one end of a socket pair, which
// keeps packets apart as a device does, and the other end.
func newPairQueue(t *testing.T) (q *queue, fd uintptr, far int) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	q, err = newQueue(os.NewFile(uintptr(fds[0]), "pair"), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.close(); unix.Close(fds[1]) })
	return q, uintptr(fds[0]), fds[1]
}

// TestReadsPerPacket counts what the device is asked: for a small packet that was
// waited for once more than there are packets, and no more after that.
func TestReadsPerPacket(t *testing.T) {
	q, fd, far := newPairQueue(t)
	send := func(sizes ...int) {
		for _, n := range sizes {
			if _, err := unix.Write(far, make([]byte, n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name   string
		before []int // sizes of packets that are there when Read begins
		after  []int // and of those that come while it waits
		want   int   // packets of this Read
	}{
		{"one that was waited for", nil, []int{60}, 1},
		{"small ones that were waited for, the rest is for the next", nil, []int{60, 60, 60}, 1},
		{"those that are there already", []int{60, 60, 60}, nil, 3},
		{"large ones", nil, []int{2048, 2048}, 2},
		{"a small one behind a large one", nil, []int{2048, 60}, 1 + 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			packets, sizes := make([][][]byte, 4), make([]int, 4)
			for i := range packets {
				packets[i] = [][]byte{make([]byte, 4096)}
			}
			q.rx.packets, q.rx.sizes, q.rx.n, q.rx.waited = packets, sizes, 0, false
			send(test.before...)
			if len(test.before) == 0 && q.readStep(fd) {
				t.Fatal("does not wait where there is nothing")
			}
			send(test.after...)
			if !q.readStep(fd) || q.rx.n != test.want {
				t.Errorf("%d packets, want %d", q.rx.n, test.want)
			}
			q.rx.n, q.rx.waited = 0, false
			q.readStep(fd) // the rest
		})
	}
}

// TestYields has who polls give its processor away where that brings the answer,
// and not where the answer comes by itself.
func TestYields(t *testing.T) {
	for _, test := range []struct {
		name  string
		calls string // w writes, 0 polls in vain, 1 polls with success, s sleeps
		want  string // for each poll: y yields
	}{
		{"not at first", "w0001", "...."},
		{"after polling in vain", "w00sw01w01w01", "..y.y.y."},
		{"once for what was written", "w00sw000", "..y.."},
		{"not where nothing was written", "w00sw0000s00", "..y....."},
		{"no more when the answer comes by itself", "w00sw0001w001", "..y......"},
		{"when what wakes us is late", "w00s0w01w01", "..yy.y."},
		{"an answer at once tells nothing", "w00s1w01", "...y."},
	} {
		t.Run(test.name, func(t *testing.T) {
			var y yields
			written, got := uint64(0), ""
			for _, c := range test.calls {
				switch c {
				case 'w':
					written++
				case 's':
					y.sleep()
				default:
					if y.after(int(c-'0'), written) {
						got += "y"
					} else {
						got += "."
					}
				}
			}
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
