package tun

import (
	"sync/atomic"
	"time"
)

// monitorPeriod is how long goroutines may keep every processor before the
// monitor of Go's scheduler looks for packets and makes them give way
// (runtime.sysmon, forcePreemptNS).
const monitorPeriod = 10 * time.Millisecond

// A monitor decides whether the scheduler is told of a system call.
//
// Calls here do not wait, so there is no need to, and it is dear: the first call
// that the scheduler hears of after a moment in which the program had nothing to
// do wakes the monitor, a thread that then looks around every 20 µs for a
// millisecond. With a packet now and then that is two more threads' turns for each
// of them, on processors that somebody waits for.
//
// But a monitor that sleeps through traffic does not see that goroutines which
// packets have woken keep every processor. So the first call tells the scheduler,
// and as long as calls follow a timer is pending: no sleep of the monitor is
// longer than to the next timer.
type monitor struct {
	told  atomic.Bool // the timer is pending
	used  atomic.Bool // there was a call since the timer was set
	timer *time.Timer
}

func newMonitor() *monitor {
	m := new(monitor)
	m.timer = time.AfterFunc(monitorPeriod, m.look)
	m.timer.Stop()
	return m
}

// due reports whether the scheduler is to be told of the call that follows.
func (m *monitor) due() bool {
	if m.told.Load() {
		if !m.used.Load() {
			m.used.Store(true)
		}
		return false
	}
	if m.told.Swap(true) {
		return false
	}
	m.timer.Reset(monitorPeriod)
	return true
}

// look ends a period.
func (m *monitor) look() {
	if m.used.Swap(false) {
		m.timer.Reset(monitorPeriod)
		return
	}
	m.told.Store(false)
}

// stop lets go of the timer. Calls may still follow.
func (m *monitor) stop() { m.timer.Stop() }
