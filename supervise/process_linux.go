//go:build amd64 || arm64

package supervise

import (
	"bytes"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// An adopter makes this process the parent of what the program leaves behind:
// of daemons. Without, they become children of init, whom Yama's ptrace_scope 1
// keeps us from serving.
type adopter struct {
	program int // who is not ours to reap
	signals chan os.Signal
	done    chan struct{}
}

// adopt begins to adopt. It is for a process that has no other children.
func adopt(program int) (*adopter, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, os.NewSyscallError("prctl(PR_SET_CHILD_SUBREAPER)", err)
	}
	a := &adopter{program: program, signals: make(chan os.Signal, 1), done: make(chan struct{})}
	signal.Notify(a.signals, syscall.SIGCHLD)
	return a, nil
}

// run reaps until stop. ended is told of each child that has ended.
func (a *adopter) run(ended func()) {
	defer close(a.done)
	for range a.signals {
		a.reap()
		ended()
	}
	a.reap()
}

// stop ends adopting.
func (a *adopter) stop() {
	signal.Stop(a.signals)
	close(a.signals)
	<-a.done
	unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
}

// reap takes note of the ends of all children but the program.
func (a *adopter) reap() {
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		pids, _ := os.ReadFile(list)
		for pid := range bytes.FieldsSeq(pids) {
			if n, err := strconv.Atoi(string(pid)); err == nil && n != a.program {
				unix.Wait4(n, nil, unix.WNOHANG, nil)
			}
		}
	}
}
