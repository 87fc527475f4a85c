//go:build amd64 || arm64

package supervise_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/testnet"
)

// Each benchmark does one thing three times: "run" is a program under
// supervision, "api" the same with this package's Host and no program, "kernel"
// the same program natively, on the machine's own loopback. `make bench-run`
// runs them in turn and compares the medians.
//
// Besides the time, "supervisor-µs/op" is the processor time that this process
// spent for one operation.

// A program does an operation whenever it is told to.
type program struct {
	b   *testing.B
	in  io.Writer
	out *bufio.Scanner

	first string // line that it printed
}

// runs starts a program under supervision on h.
func runs(b *testing.B, h *sockets.Host, args ...string) *program {
	b.Helper()
	cmd := child(b, h, "bench", args...)
	return started(b, cmd.Cmd, cmd.Start, cmd.Wait)
}

// native starts it without.
func native(b *testing.B, args ...string) *program {
	b.Helper()
	cmd := bare(b, append([]string{"bench"}, args...)...)
	return started(b, cmd, cmd.Start, cmd.Wait)
}

// bare returns the command that runs a child natively.
func bare(b *testing.B, args ...string) *exec.Cmd {
	b.Helper()
	self, err := os.Executable()
	must(b, err)
	cmd := exec.Command(self)
	cmd.Args = append([]string{childName}, args...)
	return cmd
}

func started(b *testing.B, cmd *exec.Cmd, start, wait func() error) *program {
	b.Helper()
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		wait()
	})
	p := &program{b: b, in: in, out: bufio.NewScanner(out)}
	p.line()
	p.first = p.out.Text()
	return p
}

func (p *program) line() {
	if !p.out.Scan() {
		p.b.Fatal("the program has ended: ", p.out.Err())
	}
}

// do has the program do its operation n times.
func (p *program) do(n int) {
	fmt.Fprintln(p.in, n)
	p.line()
}

// used is the processor time of this process so far, in µs.
func used() float64 {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e3
}

// measure measures do, which does the operation a number of times.
func measure(b *testing.B, do func(n int)) {
	b.Helper()
	do(max(b.N/10, 1)) // so that everything has been done once
	before := used()
	b.ResetTimer()
	do(b.N)
	b.StopTimer()
	b.ReportMetric((used()-before)/float64(b.N), "supervisor-µs/op")
}

// compare measures an operation of a program, and the same in this process.
func compare(b *testing.B, operation string, api func(b *testing.B, h *sockets.Host) func()) {
	b.Run("run", func(b *testing.B) { measure(b, runs(b, newHost(b), operation).do) })
	if api != nil {
		b.Run("api", func(b *testing.B) {
			do := api(b, newHost(b))
			measure(b, func(n int) {
				for range n {
					do()
				}
			})
		})
	}
	b.Run("kernel", func(b *testing.B) { measure(b, native(b, operation).do) })
}

func must(b *testing.B, err error) {
	if err != nil {
		b.Helper()
		b.Fatal(err)
	}
}

func socketOf(b *testing.B, h *sockets.Host) *sockets.Socket {
	s, err := h.Socket(sockets.AF_INET, sockets.SOCK_STREAM, 0)
	must(b, err)
	return s
}

func BenchmarkGetsockname(b *testing.B) {
	compare(b, "getsockname", func(b *testing.B, h *sockets.Host) func() {
		s := socketOf(b, h)
		return func() { s.GetSockName() }
	})
}

func BenchmarkSetsockopt(b *testing.B) {
	compare(b, "setsockopt", func(b *testing.B, h *sockets.Host) func() {
		s := socketOf(b, h)
		return func() { must(b, s.SetSockOptInt(sockets.SOL_TCP, sockets.TCP_NODELAY, 1)) }
	})
}

// BenchmarkForeign is a call on a socket that is none of ours.
func BenchmarkForeign(b *testing.B) { compare(b, "foreign", nil) }

func BenchmarkSocket(b *testing.B) {
	compare(b, "socket", func(b *testing.B, h *sockets.Host) func() {
		return func() { must(b, socketOf(b, h).Close()) }
	})
}

// BenchmarkCycle is socket, connect, accept and close of both ends.
func BenchmarkCycle(b *testing.B) {
	compare(b, "cycle", func(b *testing.B, h *sockets.Host) func() {
		l, at := apiListener(b, h)
		return func() {
			c, s := apiAccepted(b, h, l, at)
			must(b, c.Close())
			must(b, s.Close())
		}
	})
}

// BenchmarkRoundTrip is a byte there and back on the loopback, of one thread
// that has both ends.
func BenchmarkRoundTrip(b *testing.B) {
	compare(b, "roundtrip", func(b *testing.B, h *sockets.Host) func() {
		l, at := apiListener(b, h)
		c, s := apiAccepted(b, h, l, at)
		return func() {
			for _, end := range [][2]*sockets.Socket{{c, s}, {s, c}} {
				var p [1]byte
				_, err := end[0].Send(p[:])
				must(b, err)
				_, err = end[1].RecvInto(p[:])
				must(b, err)
			}
		}
	})
}

func apiListener(b *testing.B, h *sockets.Host) (*sockets.Socket, sockets.Sockaddr) {
	l := socketOf(b, h)
	must(b, l.Bind(sockets.Inet4{Host: "127.0.0.1"}))
	must(b, l.Listen(16))
	at, err := l.GetSockName()
	must(b, err)
	return l, at
}

func apiAccepted(b *testing.B, h *sockets.Host, l *sockets.Socket, at sockets.Sockaddr) (c, s *sockets.Socket) {
	c = socketOf(b, h)
	must(b, c.Connect(at))
	s, _, err := l.Accept()
	must(b, err)
	return c, s
}

// peer returns a listener for the other end of a transfer, on another stack at
// the end of a wire in memory, and the Host to dial it from.
func peer(b *testing.B) (h *sockets.Host, l net.Listener) {
	near, far := testnet.Pair(b)
	l, err := far.Host.Listen("tcp", netip.AddrPortFrom(far.Addr4, 0).String())
	must(b, err)
	return near.Host, l
}

// bulk measures a transfer of chunks. start has the other end connect to a
// listener; move moves n chunks there while this process does the opposite.
func bulk(b *testing.B, l net.Listener, start func() (move func(n int)), here func(c net.Conn, n int) error) {
	b.Helper()
	b.Cleanup(func() { l.Close() })
	arrived := make(chan net.Conn, 1)
	go func() {
		c, _ := l.Accept()
		arrived <- c
	}()
	move := start()
	c := <-arrived
	b.Cleanup(func() { c.Close() })
	b.SetBytes(benchChunk)
	both := func(n int) {
		done := make(chan error, 1)
		go func() { done <- here(c, n) }()
		move(n)
		must(b, <-done)
	}
	const warmUp = 32 << 20 / benchChunk // past slow start and the growth of windows
	both(warmUp)
	measure(b, both)
}

// compareBulk is compare for transfers between the program and this process.
func compareBulk(b *testing.B, operation string, api, here func(c net.Conn, n int) error) {
	b.Run("run", func(b *testing.B) {
		h, l := peer(b)
		bulk(b, l, func() func(int) { return runs(b, h, operation, l.Addr().String()).do }, here)
	})
	b.Run("api", func(b *testing.B) {
		h, l := peer(b)
		bulk(b, l, func() func(int) {
			c, err := h.Dial("tcp", l.Addr().String())
			must(b, err)
			b.Cleanup(func() { c.Close() })
			return func(n int) { must(b, api(c, n)) }
		}, here)
	})
	b.Run("kernel", func(b *testing.B) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(b, err)
		bulk(b, l, func() func(int) { return native(b, operation, l.Addr().String()).do }, here)
	})
}

func writeChunks(c net.Conn, n int) (err error) {
	block := make([]byte, benchChunk)
	for ; n > 0 && err == nil; n-- {
		_, err = c.Write(block)
	}
	return err
}

func readChunks(c net.Conn, n int) (err error) {
	block := make([]byte, benchChunk)
	for ; n > 0 && err == nil; n-- {
		_, err = io.ReadFull(c, block)
	}
	return err
}

func BenchmarkSend(b *testing.B)    { compareBulk(b, "send", writeChunks, readChunks) }
func BenchmarkReceive(b *testing.B) { compareBulk(b, "receive", readChunks, writeChunks) }

// inUse is what the heap and the stacks of this process hold, in bytes.
func inUse() float64 {
	debug.FreeOSMemory()
	debug.FreeOSMemory() // twice, for what pools keep
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

// BenchmarkIdle is what connections cost that do nothing, in bytes each. Both
// ends of the stack are in it, as they are in "api".
func BenchmarkIdle(b *testing.B) {
	const many = 5000 // for each operation, so that what is there once does not count
	idle := func(b *testing.B, start func(h *sockets.Host, to string) func(n int)) {
		h, n := newHost(b), many*b.N
		l, err := h.Listen("tcp", "127.0.0.1:0")
		must(b, err)
		held := make(chan net.Conn, n)
		go func() {
			for range n {
				c, _ := l.Accept()
				held <- c
			}
		}()
		do := start(h, l.Addr().String())
		before := inUse()
		b.ResetTimer()
		do(n)
		conns := make([]net.Conn, n)
		for i := range conns {
			conns[i] = <-held
		}
		b.StopTimer()
		b.ReportMetric((inUse()-before)/float64(n), "B/conn")
		for _, c := range conns {
			c.Close()
		}
		l.Close()
	}
	b.Run("run", func(b *testing.B) {
		idle(b, func(h *sockets.Host, to string) func(int) { return runs(b, h, "idle", to).do })
	})
	b.Run("api", func(b *testing.B) {
		idle(b, func(h *sockets.Host, to string) func(int) {
			return func(n int) {
				for range n {
					c, err := h.Dial("tcp", to)
					must(b, err)
					b.Cleanup(func() { c.Close() })
				}
			}
		})
	})
}
