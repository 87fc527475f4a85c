//go:build amd64 || arm64

package supervise_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/supervise"
)

func init() {
	children["supervisor"] = supervisorChild
	children["accepting"] = acceptingChild
	children["busy"] = busyChild
}

// supervisorChild supervises a child of its own.
func supervisorChild([]string) {
	s, err := stack.New(stack.Config{})
	fatal("stack", err)
	h, err := sockets.New(sockets.Config{Stack: s})
	fatal("host", err)
	self, err := os.Executable()
	fatal("executable", err)
	cmd := supervise.Command(h, self)
	cmd.Args = []string{childName, "accepting"}
	cmd.Stdout = os.Stdout
	fatal("run", cmd.Run())
}

// acceptingChild waits for a connection that never comes.
func acceptingChild([]string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	fatal("listen", err)
	fmt.Println(os.Getpid())
	l.Accept()
}

// TestSupervisorKilled kills a supervisor. Its program must end with it.
func TestSupervisorKilled(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Args = []string{childName, "supervisor"}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	program, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(program)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p := []unix.PollFd{{Fd: int32(program), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(p, int(hangGuard.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if n != 1 || err != nil {
			unix.PidfdSendSignal(program, unix.SIGKILL, nil, 0)
			t.Fatalf("the program outlives its supervisor: %d, %v", n, err)
		}
		return
	}
}

// busyChild connects to itself, sends, accepts and closes for ever, on several
// threads.
func busyChild([]string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	fatal("listen", err)
	fmt.Println("busy")
	for range 4 {
		go func() {
			for {
				c, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					continue
				}
				c.Write(make([]byte, rand.IntN(100_000)))
				c.Close()
			}
		}()
	}
	for {
		c, err := l.Accept()
		fatal("accept", err)
		go func() {
			defer c.Close()
			p := make([]byte, 10_000)
			for range 5 {
				if _, err := c.Read(p); err != nil {
					return
				}
			}
		}()
	}
}

// TestProgramKilled kills programs at random moments. Nothing of them may stay:
// no descriptor and no goroutine here, no socket in the Host.
func TestProgramKilled(t *testing.T) {
	times := number(t, "USERSTACK_KILLS", 10)
	h := newHost(t)
	runtime.GC()
	before := openFiles(t)
	for i := range times {
		killAfter(t, h, time.Duration(rand.IntN(50))*time.Millisecond)
		if after := openFiles(t); after > before+8 { // what Go's runtime and finalizers may hold
			t.Fatalf("after %d programs %d descriptors are open, %d before", i+1, after, before)
		}
	}
	checkNoSockets(t, h)
}

// checkNoSockets fails the test if a program has left Sockets behind in the Host.
func checkNoSockets(t *testing.T, h *sockets.Host) {
	t.Helper()
	sock, err := h.Socket(sockets.AF_INET, sockets.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	if sock.Fileno() != firstDescriptor {
		t.Errorf("a new Socket has number %d: others were left behind", sock.Fileno())
	}
}

// firstDescriptor is the lowest number that a Host gives a Socket.
const firstDescriptor = 3

func killAfter(t *testing.T, h *sockets.Host, moment time.Duration) {
	t.Helper()
	cmd := child(t, h, "busy")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	bufio.NewReader(out).ReadString('\n')
	timer := time.AfterFunc(moment, func() { cmd.Process.Kill() })
	defer timer.Stop()
	err = cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(interface{ Signal() unix.Signal }); !ok || status.Signal() != unix.SIGKILL {
		t.Fatalf("the program ended by itself: %v", err)
	}
}

// openFiles counts the descriptors of this process.
func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
