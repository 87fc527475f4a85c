package main

import (
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A relay passes signals that reach this process on to the program that it runs, and stops this process when the program
// is stopped, so that a shell's job control sees one job.
//
// A signal from the terminal needs no passing on: the terminal sends it to the whole process group, which the program
// shares with this process. Nothing is ever set to be ignored, since the program would inherit that.
type relay struct {
	signals chan os.Signal
	done    chan struct{}
	wg      sync.WaitGroup // pass, which done ends
}

// relayed are the signals with a meaning that somebody may send to the program and know only this process. Those that
// were ignored when this process started are so for the program too, and left alone.
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
	r := &relay{signals: make(chan os.Signal, waiting), done: make(chan struct{})}
	for _, s := range relayed {
		if !signal.Ignored(s) {
			signal.Notify(r.signals, s)
		}
	}
	return r
}

// start passes signals on to a program.
func (r *relay) start(program *os.Process) {
	r.wg.Go(func() {
		for {
			select {
			case s := <-r.signals:
				r.pass(s, program)
			case <-r.done:
				return
			}
		}
	})
}

// pass does what a signal wants.
func (r *relay) pass(s os.Signal, program *os.Process) {
	switch {
	case s == unix.SIGPIPE:
	case s == unix.SIGCHLD:
		if isStopped(program.Pid) && hasTerminal() {
			unix.Kill(os.Getpid(), unix.SIGSTOP) // until a shell continues the job, and us with it
		}
	case fromTerminal[s] && inForeground():
		// The program has had it, too.
	default:
		program.Signal(s) // a program that has ended wants no signals
	}
}

// stop ends the passing on. The default actions of the signals are back then.
func (r *relay) stop() {
	signal.Stop(r.signals)
	close(r.done)
	r.wg.Wait()
}

// isStopped reports whether a child was stopped since the last time that it was asked about (waitid(2)).
func isStopped(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WNOHANG, nil)
	return err == nil && info.Signo == int32(syscall.SIGCHLD)
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
