//go:build amd64 || arm64

package supervise_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

func init() {
	children["juggle"] = juggleChild
	children["holder"] = holderChild
	children["prefork"] = preforkChild
	children["worker"] = workerChild
}

// A juggled connection is one end here, under changing descriptors, and one that is
// with whoever has it: this process or the holder.
type juggled struct {
	here, there int
	passed      bool
}

// juggleChild makes connections and plays with their descriptors in random order:
// duplicates them, puts one in place of another, passes them to another process and
// takes them back. What is written at one end has to be read at the other.
func juggleChild(args []string) {
	seed, err := strconv.ParseUint(args[0], 10, 64)
	fatal("seed", err)
	rounds, err := strconv.Atoi(args[1])
	fatal("rounds", err)
	random := rand.New(rand.NewPCG(seed, seed))
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	fatal("socketpair", err)
	self, err := os.Executable()
	fatal("executable", err)
	holder := exec.Command(self)
	holder.Args = []string{childName, "holder"}
	holder.ExtraFiles = []*os.File{os.NewFile(uintptr(pair[1]), "holder")}
	holder.Stderr = os.Stderr
	fatal("start", holder.Start())
	holder.ExtraFiles[0].Close()

	const connections = 8
	var all []*juggled
	for range connections {
		c, s := connection()
		all = append(all, &juggled{here: taken(c), there: taken(s)})
	}
	for i := range rounds {
		j := all[random.IntN(len(all))]
		j.play(random, pair[0])
		check(all[random.IntN(len(all))], uint32(i), pair[0])
	}
	for i, j := range all {
		check(j, uint32(rounds+i), pair[0])
	}
	unix.Close(pair[0])
	fatal("holder", holder.Wait())
	fmt.Println("all arrived")
}

// taken returns the descriptor of a connection, which blocks.
func taken(c *net.TCPConn) int {
	f, err := c.File()
	fatal("file", err)
	defer f.Close()
	c.Close()
	fd, err := unix.Dup(int(f.Fd()))
	fatal("dup", err)
	fatal("block", unix.SetNonblock(fd, false))
	return fd
}

// play does one thing with the descriptors.
func (j *juggled) play(random *rand.Rand, holder int) {
	switch random.IntN(5) {
	case 0:
		fd, err := unix.Dup(j.here)
		fatal("dup", err)
		unix.Close(j.here)
		j.here = fd
	case 1: // in place of something else
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		fatal("socket", err)
		fatal("dup3", unix.Dup3(j.here, fd, unix.O_CLOEXEC))
		unix.Close(j.here)
		j.here = fd
	case 2:
		if !j.passed {
			fatal("pass", unix.Sendmsg(holder, []byte("keep"), unix.UnixRights(j.there), nil, 0))
			unix.Close(j.there)
			j.there, j.passed = receiveNumber(holder), true
		}
	case 3:
		if j.passed {
			fatal("ask", unix.Sendmsg(holder, binary.NativeEndian.AppendUint32([]byte("give"), uint32(j.there)), nil, nil, 0))
			j.there, j.passed = receiveDescriptor(holder), false
		}
	case 4:
		fd, err := unix.FcntlInt(uintptr(j.here), unix.F_DUPFD, 100)
		fatal("fcntl", err)
		j.here, fd = fd, j.here
		unix.Close(fd)
	}
}

// check sends a number through a connection, by way of the holder if that has the
// other end.
func check(j *juggled, n uint32, holder int) {
	want := binary.NativeEndian.AppendUint32(nil, n)
	_, err := unix.Write(j.here, want)
	fatal("write", err)
	got := make([]byte, 4)
	if j.passed {
		fatal("ask", unix.Sendmsg(holder, binary.NativeEndian.AppendUint32([]byte("read"), uint32(j.there)), nil, nil, 0))
		_, err = unix.Read(holder, got)
	} else {
		_, err = unix.Read(j.there, got)
	}
	fatal("read", err)
	if string(got) != string(want) {
		fatal("check", fmt.Errorf("%x arrived, %x was sent", got, want))
	}
}

func receiveNumber(fd int) int {
	var b [4]byte
	_, err := unix.Read(fd, b[:])
	fatal("read", err)
	return int(binary.NativeEndian.Uint32(b[:]))
}

func receiveDescriptor(fd int) int {
	b, oob := make([]byte, 8), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(fd, b, oob, 0)
	fatal("recvmsg", err)
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	fatal("control", err)
	fds, err := unix.ParseUnixRights(&messages[0])
	fatal("rights", err)
	return fds[0]
}

// holderChild keeps descriptors, reads from them and gives them back, as it is told
// by its socket.
func holderChild([]string) {
	const socket = 3
	for {
		b, oob := make([]byte, 8), make([]byte, unix.CmsgSpace(4))
		n, oobn, _, _, err := unix.Recvmsg(socket, b, oob, 0)
		fatal("recvmsg", err)
		if n == 0 {
			return
		}
		fd := int(binary.NativeEndian.Uint32(b[4:]))
		switch string(b[:4]) {
		case "keep":
			messages, err := unix.ParseSocketControlMessage(oob[:oobn])
			fatal("control", err)
			fds, err := unix.ParseUnixRights(&messages[0])
			fatal("rights", err)
			_, err = unix.Write(socket, binary.NativeEndian.AppendUint32(nil, uint32(fds[0])))
			fatal("write", err)
		case "give":
			fatal("give", unix.Sendmsg(socket, []byte("give"), unix.UnixRights(fd), nil, 0))
			unix.Close(fd)
		case "read":
			got := make([]byte, 4)
			_, err := unix.Read(fd, got)
			fatal("read", err)
			_, err = unix.Write(socket, got)
			fatal("write", err)
		}
	}
}

// TestDescriptors plays with descriptors of connections, in one process and between
// two. USERSTACK_SEED repeats a run, USERSTACK_ROUNDS makes it longer.
func TestDescriptors(t *testing.T) {
	seed := strconv.Itoa(number(t, "USERSTACK_SEED", int(rand.Int32())))
	t.Logf("USERSTACK_SEED=%s go test -run TestDescriptors ./supervise", seed)
	h := newHost(t)
	if got := says(t, h, "juggle", seed, strconv.Itoa(number(t, "USERSTACK_ROUNDS", 500))); got != "all arrived" {
		t.Errorf("printed %q", got)
	}
	checkNoSockets(t, h)
}

// preforkChild listens, has workers inherit the socket, and connects to them. Each
// connection has to be accepted once.
func preforkChild(args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	fatal("listen", err)
	f, err := l.(*net.TCPListener).File()
	fatal("file", err)
	fatal("block", unix.SetNonblock(int(f.Fd()), false))
	connections, err := strconv.Atoi(args[0])
	fatal("connections", err)
	self, err := os.Executable()
	fatal("executable", err)
	const workers = 4
	var all []*exec.Cmd
	for range workers {
		w := exec.Command(self)
		w.Args, w.ExtraFiles, w.Stderr = []string{childName, "worker"}, []*os.File{f}, os.Stderr
		fatal("start", w.Start())
		all = append(all, w)
	}
	to := l.Addr().String()
	l.Close()
	f.Close()
	for i := range connections {
		c, err := net.Dial("tcp", to)
		fatal("dial", err)
		_, err = c.Write(binary.NativeEndian.AppendUint32(nil, uint32(i)))
		fatal("write", err)
		var got [8]byte
		n, err := c.Read(got[:])
		if n != 4 || err != nil || binary.NativeEndian.Uint32(got[:]) != uint32(i) {
			fatal("read", fmt.Errorf("%d bytes, %x, %v", n, got, err))
		}
		c.Close()
	}
	for _, w := range all {
		fatal("kill", w.Process.Kill())
		w.Wait()
	}
	// The supervisor looks only now and then whether who waits in accept still lives.
	for errno(err) != "ECONNREFUSED" {
		var c net.Conn
		if c, err = net.Dial("tcp", to); err == nil {
			c.Close()
		}
	}
	fmt.Println("each accepted once")
}

// workerChild answers connections of an inherited socket until it is killed.
func workerChild([]string) {
	const listener = 3
	for {
		fd, _, err := unix.Accept(listener)
		fatal("accept", err)
		var b [4]byte
		_, err = unix.Read(fd, b[:])
		fatal("read", err)
		_, err = unix.Write(fd, b[:])
		fatal("write", err)
		unix.Close(fd)
	}
}

// TestPrefork has several processes accept from one socket.
func TestPrefork(t *testing.T) {
	h := newHost(t)
	if got := says(t, h, "prefork", strconv.Itoa(number(t, "USERSTACK_CONNECTIONS", 200))); got != "each accepted once" {
		t.Errorf("printed %q", got)
	}
	checkNoSockets(t, h)
}
