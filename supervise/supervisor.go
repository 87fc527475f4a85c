//go:build linux && (amd64 || arm64)

package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/supervise/internal/seccomp"
)

// A supervisor answers the calls of one program and its descendants.
type supervisor struct {
	host      *sockets.Host
	trace     func(Event)
	names     *names
	graves    graves
	ports     ports
	files     registry
	listeners listeners
	tasks     tasks
	blocked   blocked
	exchange  exchange
	listener  *seccomp.Listener

	ctx     context.Context // done when all tasks are gone, or after close
	cancel  context.CancelFunc
	closing sync.Once
	served  chan struct{} // closed when the receiver has returned
	lost    error         // why the receiver gave up, once served is closed
	work    crew
	sweeps  sweeper
	counts  counters
	adopts  *adopter // nil unless asked for
}

// errGone ends what waits on behalf of tasks that are no more.
var errGone = errors.New("every task of the program has ended")

func newSupervisor(host *sockets.Host, trace func(Event)) (*supervisor, error) {
	n, err := newNames()
	if err != nil {
		return nil, err
	}
	s := &supervisor{host: host, trace: trace, names: n, served: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.files.init()
	s.tasks.init()
	s.listeners.init()
	return s, nil
}

// serve starts to answer.
func (s *supervisor) serve(l *seccomp.Listener) {
	s.listener = l
	go func() {
		s.lost = s.receive()
		close(s.served)
	}()
	s.work.Go(s.watchBlocked)
}

// adopt makes this process the parent of what the program leaves behind.
func (s *supervisor) adopt(program int) error {
	a, err := adopt(program)
	if err != nil {
		return err
	}
	s.adopts = a
	s.work.Go(func() { a.run(func() { s.files.sweep() }) })
	return nil
}

// receive takes calls from the kernel until every task is gone. What cannot
// wait is answered here and now: handing it to another goroutine costs as much
// as answering.
func (s *supervisor) receive() error {
	for {
		c := newCall(s)
		err := s.listener.Receive(&c.n)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("listening for calls: %w", err)
		}
		c.serve()
	}
}

// wait returns when every task is gone and the peers have what it sent.
func (s *supervisor) wait() error {
	<-s.served
	late, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	s.files.drain(late)
	s.close()
	s.host.Stack().Drain(late)
	return s.lost
}

// close ends everything at once, and later calls wait for that.
func (s *supervisor) close() { s.closing.Do(s.end) }

func (s *supervisor) end() {
	s.cancel()
	if s.listener != nil {
		s.listener.Close()
		<-s.served
	}
	if s.adopts != nil {
		s.adopts.stop()
	}
	s.sweeps.stop()
	s.files.closeAll()
	s.exchange.close()
	s.work.Wait()
	s.tasks.close()
	s.names.close()
	s.graves.close()
}

// stats returns what was counted.
func (s *supervisor) stats() Stats {
	return s.counts.stats(func(nr int) string { return handlers[nr].name })
}

// drainTime bounds how long a program's last bytes may take to leave and to be
// acknowledged. Linux waits for 60 s at least (tcp_fin_timeout(7)), but it need
// not end.
const drainTime = 10 * time.Second

// A task cache remembers descriptors of threads, by which their descriptors are
// reached.
type tasks struct {
	mu    sync.Mutex
	pidfd map[uint32]int
}

// mostTasks bounds the cache: more are forgotten all at once.
const mostTasks = 512

func (t *tasks) init() { t.pidfd = make(map[uint32]int) }

// descriptor returns a duplicate of descriptor fd of thread tid.
func (t *tasks) descriptor(tid uint32, fd int) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	pidfd, known := t.pidfd[tid]
	for {
		if !known {
			var err error
			if pidfd, err = seccomp.OpenThread(int(tid)); err != nil {
				return -1, err
			}
			if len(t.pidfd) >= mostTasks {
				t.forgetLocked()
			}
			t.pidfd[tid] = pidfd
		}
		dup, err := seccomp.GetFD(pidfd, fd)
		if err != syscall.ESRCH || !known {
			return dup, err
		}
		unix.Close(pidfd) // of an earlier thread with the same number
		delete(t.pidfd, tid)
		known = false
	}
}

func (t *tasks) forgetLocked() {
	for _, pidfd := range t.pidfd {
		unix.Close(pidfd)
	}
	clear(t.pidfd)
}

func (t *tasks) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forgetLocked()
}
