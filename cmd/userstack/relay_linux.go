package main

import (
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A relay passes signals that reach this process on to the program that it runs, and stops this process when the program
// is stopped, so that a shell's job control sees one job. When the program has ended, and others that it left running have
// not, signals that end are for those.
//
// A signal from the terminal needs no passing on: the terminal sends it to the whole process group, which the program
// shares with this process. Nothing is ever set to be ignored, since the program would inherit that.
type relay struct {
	signals chan os.Signal
	done    chan struct{}
	wg      sync.WaitGroup // run, which done ends

	program *os.Process
	ended   <-chan time.Time // nil while the program runs; then tells once that its leavings have had time to end, too
	ours    map[int]bool     // children of this process that have nothing to do with the program
}

// relayed are the signals with a meaning that somebody may send to the program and know only this process. Those that
// were ignored when this process started are so for the program too, and left alone: SIGHUP and SIGINT, that is, since of
// others Go's runtime does not tell.
var relayed = []os.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGVTALRM,
	unix.SIGWINCH, unix.SIGCONT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGIO, unix.SIGPWR,
	unix.SIGCHLD, // not passed on: it says that the program was stopped
	unix.SIGPIPE, // not passed on, and no reason to die while the program lives
}

// fromTerminal are the signals that a terminal sends to its foreground process group (termios(3), tty_ioctl(4)).
var fromTerminal = map[os.Signal]bool{
	unix.SIGINT: true, unix.SIGQUIT: true, unix.SIGTSTP: true, unix.SIGTTIN: true, unix.SIGTTOU: true, unix.SIGWINCH: true,
}

// newRelay begins to catch signals, which wait until start. It is called before the program exists, so that this process
// cannot end before the program.
func newRelay() *relay {
	// More at once than anybody sends; a signal that finds it full is one of many.
	const waiting = 64
	r := &relay{signals: make(chan os.Signal, waiting), done: make(chan struct{}), ours: map[int]bool{}}
	for _, pid := range ownChildren() {
		r.ours[pid] = true
	}
	for _, s := range relayed {
		if !signal.Ignored(s) {
			signal.Notify(r.signals, s)
		}
	}
	return r
}

// start passes signals on to a program. Should others go on when it has ended, explain is called with their numbers.
func (r *relay) start(program *os.Process, explain func(rest []int)) {
	r.program = program
	r.wg.Go(func() {
		r.lookForEnd() // whose signal may have come before anybody was to be told
		for {
			select {
			case s := <-r.signals:
				r.pass(s)
			case <-r.ended:
				explain(r.rest())
			case <-r.done:
				return
			}
		}
	})
}

// pass does what a signal wants.
func (r *relay) pass(s os.Signal) {
	switch {
	case s == unix.SIGPIPE:
	case s == unix.SIGCHLD:
		r.lookForEnd()
		if isStopped(r.program.Pid) && hasTerminal() {
			stopSelf()
		}
	case r.ended != nil:
		r.passToRest(s)
	case fromTerminal[s] && inForeground():
		// The program has had it, too.
	default:
		r.program.Signal(s) // a program that has ended wants no signals
	}
}

// passToRest does what a signal wants when the program has ended: the others that it left are to do the same, whether the
// terminal reaches them or not.
func (r *relay) passToRest(s os.Signal) {
	switch s {
	case unix.SIGTSTP:
		stopSelf()
	case unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM:
		for _, pid := range r.rest() {
			unix.Kill(pid, s.(syscall.Signal))
		}
	}
}

// rest returns what the program left running, as far as it has become this process's.
func (r *relay) rest() (pids []int) {
	for _, pid := range ownChildren() {
		if pid != r.program.Pid && !r.ours[pid] {
			pids = append(pids, pid)
		}
	}
	return pids
}

// restTime is how long what a program left running may take to end before it is worth a word.
const restTime = time.Second

// lookForEnd sets ended if the program has.
func (r *relay) lookForEnd() {
	if r.ended != nil {
		return
	}
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, r.program.Pid, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
	if err == unix.ECHILD || err == nil && info.Signo == int32(unix.SIGCHLD) {
		r.ended = time.After(restTime)
	}
}

// stop ends the passing on. The default actions of the signals are back then.
func (r *relay) stop() {
	signal.Stop(r.signals)
	close(r.done)
	r.wg.Wait()
}

// stopSelf returns when a shell continues this process.
func stopSelf() { unix.Kill(os.Getpid(), unix.SIGSTOP) }

// ownChildren returns the children of this process (proc_pid_children(5)), none on a kernel that does not list them.
func ownChildren() (pids []int) {
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for word := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(word); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// isStopped reports whether a child was stopped since the last time that it was asked about (waitid(2)).
func isStopped(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WNOHANG, nil)
	return err == nil && info.Signo == int32(unix.SIGCHLD)
}

// terminalPath is the controlling terminal of whoever opens it (tty(4)).
const terminalPath = "/dev/tty"

// hasTerminal reports whether there is a controlling terminal: without one nobody would continue a stopped job.
func hasTerminal() bool {
	tty, err := os.OpenFile(terminalPath, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	tty.Close()
	return true
}

// inForeground reports whether the terminal sends its signals to this process's group.
func inForeground() bool {
	tty, err := os.OpenFile(terminalPath, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer tty.Close()
	foreground, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && foreground == unix.Getpgrp()
}
