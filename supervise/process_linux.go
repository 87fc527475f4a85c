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
	others  map[int]bool // who is not ours to reap
	signals chan os.Signal
	done    chan struct{}
}

// adopt begins to adopt. The program, and children that this process has
// already, are reaped by whoever waits for them.
func adopt(program int) (*adopter, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, os.NewSyscallError("prctl(PR_SET_CHILD_SUBREAPER)", err)
	}
	a := &adopter{others: map[int]bool{program: true}, signals: make(chan os.Signal, 1), done: make(chan struct{})}
	for _, pid := range children() {
		a.others[pid] = true
	}
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

// reap takes note of the ends of all children but the others.
func (a *adopter) reap() {
	for _, pid := range children() {
		if !a.others[pid] {
			unix.Wait4(pid, nil, unix.WNOHANG, nil)
		}
	}
}

// children returns the children of this process (proc_pid_children(5)).
func children() (pids []int) {
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for word := range bytes.FieldsSeq(text) {
			if pid, err := strconv.Atoi(string(word)); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
