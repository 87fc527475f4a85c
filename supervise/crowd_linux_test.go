//go:build amd64 || arm64

package supervise_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"
)

func init() {
	children["forking"] = forkingChild
	// inheriting is a process that has descriptors of its parent's connections, and ends.
	children["inheriting"] = func([]string) {}
}

// TestCrowd has a program serve many connections at once, all of which are open
// before any is used. USERSTACK_CONNECTIONS says how many.
func TestCrowd(t *testing.T) {
	const size = 10_000
	h := newHost(t)
	cmd := child(t, h, "echo", "127.0.0.1:7009")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(10*hangGuard, func() { cmd.Process.Kill() })
	defer guard.Stop()
	var addr string
	if _, err := fmt.Fscanln(out, &addr); err != nil {
		t.Fatal(err)
	}
	var open, done sync.WaitGroup
	for range number(t, "USERSTACK_CONNECTIONS", 200) {
		open.Add(1)
		done.Go(func() {
			c, err := h.Dial("tcp", addr)
			open.Done()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			open.Wait()
			if err := echoed(c, size); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	c, err := h.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "end")
	c.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	checkNoSockets(t, h)
}

// forkingChild sends a number of megabytes to itself while it starts processes that
// inherit both ends, and compares what arrives.
func forkingChild(args []string) {
	megabytes, err := strconv.Atoi(args[0])
	fatal("size", err)
	client, server := connection()
	var extra []*os.File
	for _, c := range []*net.TCPConn{client, server} {
		f, err := c.File()
		fatal("file", err)
		extra = append(extra, f)
	}
	self, err := os.Executable()
	fatal("executable", err)
	over := make(chan struct{})
	var forking sync.WaitGroup
	forking.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
			}
			p := exec.Command(self)
			p.Args, p.ExtraFiles = []string{childName, "inheriting"}, extra
			fatal("start", p.Run())
		}
	})
	sent := sha256.New()
	var sending sync.WaitGroup
	sending.Go(func() {
		random := rand.NewChaCha8([32]byte{1})
		_, err := io.CopyN(io.MultiWriter(client, sent), random, int64(megabytes)<<20)
		fatal("send", err)
		fatal("shutdown", client.CloseWrite())
	})
	got := sha256.New()
	_, err = io.Copy(got, server)
	fatal("receive", err)
	sending.Wait()
	close(over)
	forking.Wait()
	if string(got.Sum(nil)) != string(sent.Sum(nil)) {
		fatal("compare", fmt.Errorf("other bytes arrived"))
	}
	fmt.Println("the same")
}

// TestBulkWhileForking sends USERSTACK_MEGABYTES through while processes come and
// go that have the descriptors too.
func TestBulkWhileForking(t *testing.T) {
	h := newHost(t)
	cmd := child(t, h, "forking", strconv.Itoa(number(t, "USERSTACK_MEGABYTES", 50)))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil || string(out) != "the same\n" {
		t.Errorf("%v, %q", err, out)
	}
	checkNoSockets(t, h)
}
