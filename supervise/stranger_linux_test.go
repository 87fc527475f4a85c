//go:build amd64 || arm64

package supervise_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	children["strangers"] = strangersChild
	children["stranger"] = strangerChild
	children["smuggler"] = smugglerChild
	children["acceptors"] = acceptorsChild
}

// strangersChild listens, and accepts once a connection has come.
func strangersChild([]string) {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	fatal("socket", err)
	fatal("bind", unix.Bind(l, &unix.SockaddrInet4{Port: 8132, Addr: [4]byte{127, 0, 0, 1}}))
	fatal("listen", unix.Listen(l, 8))
	var stat unix.Stat_t
	fatal("fstat", unix.Fstat(l, &stat))
	fmt.Println(stat.Ino)
	bufio.NewReader(os.Stdin).ReadString('\n')
	c, _, err := unix.Accept(l)
	fatal("accept", err)
	b := make([]byte, 100)
	n, err := unix.Read(c, b)
	fatal("read", err)
	fmt.Printf("%s", b[:n])
}

// strangerChild connects to the AF_UNIX socket of that name, and stays.
func strangerChild(args []string) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	fatal("socket", err)
	fatal("connect", unix.Connect(fd, &unix.SockaddrUnix{Name: args[0]}))
	fmt.Println("connected")
	bufio.NewReader(os.Stdin).ReadString('\n')
}

// nameOf returns the name of the AF_UNIX socket with that inode (proc_net(5),
// unix), or nothing.
func nameOf(inode string) string {
	list, err := os.ReadFile("/proc/net/unix")
	fatal("/proc/net/unix", err)
	for line := range strings.Lines(string(list)) {
		const ino, path = 6, 7
		if f := strings.Fields(line); len(f) > path && f[ino] == inode {
			return f[path]
		}
	}
	return ""
}

// TestStrangers has another process connect to the AF_UNIX socket that stands for
// a listening one: it must not get in between the program and a client.
func TestStrangers(t *testing.T) {
	h := newHost(t)
	strangers := child(t, h, "strangers")
	program := begin(t, strangers.Cmd, strangers)
	inode, _ := program.out.ReadString('\n')
	stranger := exec.Command("/proc/self/exe")
	stranger.Args = []string{childName, "stranger", nameOf(strings.TrimSpace(inode))}
	begin(t, stranger, stranger).out.ReadString('\n')
	c, err := h.Dial("tcp", "127.0.0.1:8132")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintln(c, "from the client")
	fmt.Fprintln(program.in)
	if got, err := program.out.ReadString('\n'); got != "from the client\n" {
		t.Errorf("the program read %q, %v", got, err)
	}
}

// smugglerChild sends descriptors to the AF_UNIX socket that stands for its UDP
// socket, and receives from that by way of its supervisor.
func smugglerChild([]string) {
	udp, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	fatal("socket", err)
	self := &unix.SockaddrInet4{Port: 8133, Addr: [4]byte{127, 0, 0, 1}}
	fatal("bind", unix.Bind(udp, self))
	var stat unix.Stat_t
	fatal("fstat", unix.Fstat(udp, &stat))
	name := nameOf(fmt.Sprint(stat.Ino))
	sender, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	fatal("socket", err)
	fmt.Println(name != "")
	bufio.NewReader(os.Stdin).ReadString('\n')
	for range 20 {
		err := unix.Sendmsg(sender, []byte("x"), unix.UnixRights(0, 1, 2, udp), &unix.SockaddrUnix{Name: name}, 0)
		fatal("sendmsg", err)
		fatal("sendto", unix.Sendto(udp, []byte("x"), 0, self))
		for range 2 {
			pollFor(udp, unix.POLLIN)
			_, _, err := unix.Recvfrom(udp, make([]byte, 1), unix.MSG_DONTWAIT)
			if err == unix.EAGAIN { // it has none for us, but maybe for read(2)
				_, err = unix.Read(udp, make([]byte, 1))
			}
			fatal("receive", err)
		}
	}
	fmt.Println("received")
}

// TestSmuggledDescriptors has a program send descriptors to where its supervisor
// reads datagrams. They must not pile up there.
func TestSmuggledDescriptors(t *testing.T) {
	cmd := child(t, newHost(t), "smuggler")
	program := begin(t, cmd.Cmd, cmd)
	if named, _ := program.out.ReadString('\n'); named != "true\n" {
		t.Fatal("the program does not find the name of its socket")
	}
	before := openFiles(t)
	fmt.Fprintln(program.in)
	if line, _ := program.out.ReadString('\n'); line != "received\n" {
		t.Errorf("the program says %q", line)
	}
	if after := openFiles(t); after > before+8 { // what Go's runtime and finalizers may hold
		t.Errorf("%d descriptors are open, %d before", after, before)
	}
}

// A conversation is a process that reads and writes lines.
type conversation struct {
	in  io.WriteCloser
	out *bufio.Reader
}

// begin starts a process, which the test's end ends. run is cmd, or has it
// supervised.
func begin(t *testing.T, cmd *exec.Cmd, run interface {
	Start() error
	Wait() error
}) conversation {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(hangGuard, func() { cmd.Process.Kill() })
	t.Cleanup(func() {
		defer guard.Stop()
		in.Close()
		if err := run.Wait(); err != nil {
			t.Error(err)
		}
	})
	return conversation{in, bufio.NewReader(out)}
}

// acceptorsChild has several threads wait for a connection, and shuts the
// listening socket down.
func acceptorsChild([]string) {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	fatal("socket", err)
	fatal("listen", unix.Listen(l, 8))
	const acceptors = 3
	ended := make(chan error)
	for range acceptors {
		go func() {
			_, _, err := unix.Accept(l)
			ended <- err
		}()
	}
	for waiting := 0; waiting < acceptors; {
		waiting = 0
		calls, err := filepath.Glob("/proc/self/task/*/syscall")
		fatal("glob", err)
		for _, name := range calls {
			if call, err := os.ReadFile(name); err == nil && strings.HasPrefix(string(call), fmt.Sprint(unix.SYS_ACCEPT4, " ")) {
				waiting++
			}
		}
	}
	fatal("shutdown", unix.Shutdown(l, unix.SHUT_RD))
	for range acceptors {
		fmt.Println(errno(<-ended))
	}
	fatal("listen again", unix.Listen(l, 8))
}

// TestShutdownWakesAll shuts down a listening socket on which several wait.
func TestShutdownWakesAll(t *testing.T) {
	if got := says(t, newHost(t), "acceptors"); got != "EINVAL\nEINVAL\nEINVAL" {
		t.Errorf("printed\n%s", got)
	}
}
