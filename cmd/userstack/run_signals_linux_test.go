package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// startRun starts a program under run with a pipe from its standard output.
func startRun(t *testing.T, args ...string) (cmd *exec.Cmd, stdout *bufio.Reader) {
	t.Helper()
	cmd = userstack(t, append([]string{"run", "--net", "demo", "--"}, args...)...)
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	// In a group of its own: what the test does to it does not reach the test.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	begin(t, cmd)
	t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	return cmd, bufio.NewReader(pipe)
}

// readLine returns the next line, without its end.
func readLine(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("%v after %q", err, line)
	}
	return strings.TrimSuffix(line, "\n")
}

// countSignals is a program that says which signals come, and ends when it reads a line. The signals wait for it: a
// handler could come just before a call that then waits for something else.
const countSignals = `
import os, signal, sys, threading
end = signal.SIGRTMIN
signals = {getattr(signal, name) for name in sys.argv[1:]} | {end}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
def read():
    sys.stdin.readline()
    os.kill(os.getpid(), end)
threading.Thread(target=read).start()
print("ready", flush=True)
while (n := signal.sigwait(signals)) != end: print(signal.Signals(n).name, flush=True)
print("end", flush=True)
`

// TestRunForwards: a signal that only run gets is the program's, once.
func TestRunForwards(t *testing.T) {
	t.Parallel()
	needProgram(t, "python3")
	signals := []string{"SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGQUIT", "SIGWINCH", "SIGALRM", "SIGCONT", "SIGTSTP"}
	cmd := userstack(t, append([]string{"run", "--net", "demo", "--", "python3", "-c", countSignals}, signals...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	// No terminal, so that none of the signals seems to be a terminal's.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	begin(t, cmd)
	stdout := bufio.NewReader(pipe)
	readLine(t, stdout)
	for _, name := range signals {
		cmd.Process.Signal(unix.SignalNum(name))
		if got := readLine(t, stdout); got != name {
			t.Errorf("%s arrived as %s", name, got)
		}
	}
	io.WriteString(stdin, "\n")
	if got := readLine(t, stdout); got != "end" {
		t.Errorf("then came %s", got)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestRunSignalled: the exit status says by which signal the program ended.
func TestRunSignalled(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			cmd, stdout := startRun(t, "sh", "-c", "echo ready; exec sleep 1000")
			cmd.SysProcAttr.Setsid = true
			readLine(t, stdout)
			cmd.Process.Signal(sig)
			cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != exitSignal+int(sig) {
				t.Errorf("exit status %d, want %d", code, exitSignal+int(sig))
			}
		})
	}
}

// TestRunIgnored: a signal that was ignored when run started is ignored by the program, as nohup(1) wants.
func TestRunIgnored(t *testing.T) {
	t.Parallel()
	script := `trap "" HUP INT; exec "$0" run --net demo -- sh -c 'kill -HUP $$; kill -INT $$; echo alive'`
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", script, self)
	cmd.Env = userstack(t).Env
	output(t, cmd, "").expect(t, exitOK, "^alive\n$", "")
}

// TestRunLeavings: run waits for what the program leaves behind, and a signal ends it.
func TestRunLeavings(t *testing.T) {
	t.Parallel()
	needProgram(t, "setsid")
	try(t, "run", "--net", "demo", "sh", "-c", `(sleep 0.3; echo late) & echo early; exit 3`).expect(t, 3, "^early\nlate\n$", "")

	r := start(t, userstack(t, "run", "-v", "--net", "demo", "sh", "-c",
		`setsid sh -c 'trap "echo caught; exit" TERM; echo $$ >&2; while :; do sleep 0.1; done' & exit 4`), nil)
	r.await(t, `^\d+\n$`) // its trap is set
	r.await(t, `^userstack: run: sh has ended; waiting for what it left running \(process \d+\)`)
	r.cmd.Process.Signal(syscall.SIGTERM)
	r.end(t).expect(t, 4, "^caught\n$", "has ended")
}

// TestRunPipes: run does not keep open what the program closes.
func TestRunPipes(t *testing.T) {
	t.Parallel()
	cmd := userstack(t, "run", "--net", "demo", "sh", "-c", `echo one; exec >&-; read wait`)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	begin(t, cmd)
	if out, err := io.ReadAll(stdout); string(out) != "one\n" || err != nil { // although the program goes on
		t.Errorf("read %q, %v", out, err)
	}
	stdin.Close()
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 { // of read at the end of its input
		t.Errorf("exit status %d", code)
	}
}

// A terminal is the master side of a pseudoterminal, and what a program wrote there.
type terminal struct {
	*os.File
	said bytes.Buffer
}

// onTerminal starts a command with a pseudoterminal as its standard files and controlling terminal.
func onTerminal(t *testing.T, cmd *exec.Cmd) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("needs pseudoterminals: ", err)
	}
	t.Cleanup(func() { master.Close() })
	var number int
	control(t, master, func(fd int) (err error) {
		if err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
		}
		return err
	})
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	begin(t, cmd)
	t.Cleanup(func() { endSession(cmd.Process.Pid) })
	if err := master.SetReadDeadline(time.Now().Add(commandPatience)); err != nil {
		t.Fatal(err)
	}
	return &terminal{File: master}
}

// control asks something of a file, which Fd would make one without deadlines.
func control(t *testing.T, file *os.File, ask func(fd int) error) {
	t.Helper()
	raw, err := file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if e := raw.Control(func(fd uintptr) { err = ask(int(fd)) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
}

// endSession kills what is left of a session.
func endSession(sid int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest) // state, parent, group, session
		if len(fields) > 3 && fields[3] == strconv.Itoa(sid) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// await reads until a pattern has appeared, and forgets what was before its end.
func (p *terminal) await(t *testing.T, pattern string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	b := make([]byte, 4096)
	for {
		if at := re.FindIndex(p.said.Bytes()); at != nil {
			p.said.Next(at[1])
			return
		}
		n, err := p.Read(b)
		p.said.Write(b[:n])
		if err != nil {
			t.Fatalf("%v before %q was said:\n%s", err, pattern, p.said.String())
		}
	}
}

// TestRunInterrupt: control-C reaches the program once, and not run.
func TestRunInterrupt(t *testing.T) {
	t.Parallel()
	needProgram(t, "python3")
	cmd := userstack(t, "run", "--net", "demo", "--", "python3", "-c", countSignals, "SIGINT", "SIGQUIT", "SIGWINCH")
	tty := onTerminal(t, cmd)
	tty.await(t, "ready\r\n")
	io.WriteString(tty, "\x03")
	tty.await(t, `\^CSIGINT\r\n`)
	io.WriteString(tty, "\x1c")
	tty.await(t, `^\^\\SIGQUIT\r\n`) // nothing was said in between
	control(t, tty.File, func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 10, Col: 40})
	})
	tty.await(t, `^SIGWINCH\r\n`)
	io.WriteString(tty, "\n")
	tty.await(t, `^\r\nend\r\n`)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestRunJobControl: control-Z stops the job, and a shell continues it, with the terminal the program's again.
func TestRunJobControl(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-i", "-m")
	cmd.Env = append(userstack(t).Env, "PATH="+bin(t)+":"+os.Getenv("PATH"), "PS1=prompt; ", "ENV=")
	tty := onTerminal(t, cmd)
	tty.await(t, "prompt; ")
	io.WriteString(tty, "userstack run --net demo sh -c 'echo started; read x; echo read $x; exit 7'\n")
	tty.await(t, `started\r\n`)
	io.WriteString(tty, "\x1a")
	tty.await(t, `(Stopped|Suspended)(?s:.*)prompt; `)
	io.WriteString(tty, "fg\n")
	tty.await(t, `userstack run`)
	io.WriteString(tty, "typed\n")
	tty.await(t, `read typed\r\n`)
	tty.await(t, "prompt; ")
	io.WriteString(tty, "echo status $?\n")
	tty.await(t, `status 7\r\n`)
	io.WriteString(tty, "exit 0\n")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
