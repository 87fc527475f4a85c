//go:build amd64 || arm64

package supervise_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/userstack/userstack/supervise"
	"github.com/userstack/userstack/testnet"
)

const (
	programFile  = 1 << 20         // bytes of the file that servers serve
	programGuard = 2 * time.Minute // hang guard for one program
	programRetry = 20 * time.Millisecond
)

// A programRow is a row of the table: a server on one Host, and clients of it on the other end of a wire. Braces in commands
// files and what is wanted stand for: {dir} a directory of the row's own with "file" in it, {digest} that file's, {addr} and
// {addr6} the server's addresses.
type programRow struct {
	name    string
	needs   []string          // programs, as "program" or "program:package"
	files   map[string]string // to be written into {dir} by name
	setup   [][]string        // commands to be run before, on the machine
	server  []string          // its command; none if the clients need none
	port    int               // where it listens with TCP; it is connected to until it accepts
	says    string            // instead: what it says then, for one that takes a connection for its only client, and listens anew for each
	clients []client
	lacks   string // a regular expression: what the server says where the machine lacks something that no program is
	heavy   bool   // only with USERSTACK_PROGRAMS=all
}

// A client is a command and what it must print, or a Go program's request.
type client struct {
	name  string
	needs []string
	args  []string
	get   string // instead of args: a URL that is fetched through the Host's API
	want  string // a regular expression for the output
	file  bool   // the output is {dir}/file
}

// TestPrograms runs the table: servers and clients, both supervised, on two Hosts that are joined by a wire in memory.
func TestPrograms(t *testing.T) {
	t.Parallel()
	all := os.Getenv("USERSTACK_PROGRAMS") == "all"
	for _, p := range programTable {
		t.Run(p.name, func(t *testing.T) {
			if p.heavy && !all {
				t.Skip("has to be asked for with USERSTACK_PROGRAMS=all")
			}
			t.Parallel()
			p.run(t)
		})
	}
}

// mustAbsolute is for programs that run in another directory than the tests.
func mustAbsolute(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		panic(err)
	}
	return abs
}

// stage is where a row runs.
type stage struct {
	near, far *testnet.Node // clients, the server
	dir       string
	digest    string // of {dir}/file
	braces    *strings.Replacer
}

func (p *programRow) run(t *testing.T) {
	needAll(t, p.needs)
	s := newStage(t)
	for name, text := range p.files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(s.braces.Replace(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range p.setup {
		args = s.replaced(args)
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd, err, out)
		}
	}
	s.serveNames(t)
	said := &syncBuffer{}
	if p.server != nil {
		s.serve(t, s.replaced(p.server), said)
		s.ready(t, p, said, 1)
	}
	for i, c := range p.clients {
		t.Run(c.name, func(t *testing.T) {
			needAll(t, c.needs)
			if p.says != "" {
				s.ready(t, p, said, i+1)
			}
			if c.get != "" {
				s.get(t, s.braces.Replace(c.get))
				return
			}
			err := s.ask(t, c)
			if m := regexp.MustCompile(p.lacks).FindString(said.String()); err != nil && m != "" {
				t.Skip("needs what the server misses: ", m)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// needAll skips the test unless all programs are there, and names the package of the first that is not.
func needAll(t *testing.T, programs []string) {
	t.Helper()
	for _, p := range programs {
		name, pkg, ok := strings.Cut(p, ":")
		if !ok {
			pkg = name
		}
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("needs %s (package %s): %v", name, pkg, err)
		}
	}
}

func newStage(t *testing.T) *stage {
	t.Helper()
	near, far := testnet.Pair(t)
	s := &stage{near: near, far: far, dir: t.TempDir()}
	hash := sha256.New()
	noise := io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{'p'}), programFile), hash)
	b, err := io.ReadAll(noise)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "file"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	s.digest = hex.EncodeToString(hash.Sum(nil))
	s.braces = strings.NewReplacer("{dir}", s.dir, "{addr}", far.Addr4.String(), "{addr6}", far.Addr6.String(), "{digest}", s.digest)
	return s
}

func (s *stage) replaced(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = s.braces.Replace(a)
	}
	return out
}

// serveNames answers DNS queries on the server's Host: program.test is its name.
func (s *stage) serveNames(t *testing.T) {
	t.Helper()
	addr := net.JoinHostPort(s.far.Addr4.String(), "53")
	pc, err := s.far.Host.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := s.far.Host.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	d, err := testnet.NewDNSServer(testnet.Zone{"program.test": {Addrs: []netip.Addr{s.far.Addr4, s.far.Addr6}}}, pc, ln)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
}

// inGroup makes a command the leader of a process group, all of which is killed when its context ends.
func inGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// serve starts a server that ends with the test, and notes what it says.
func (s *stage) serve(t *testing.T, args []string, said *syncBuffer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), programGuard)
	cmd := supervise.CommandContext(ctx, s.far.Host, args[0], args[1:]...)
	inGroup(cmd.Cmd)
	cmd.Stdout, cmd.Stderr = said, said
	cmd.Dir = s.dir
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatalf("%s: %v", args[0], err)
	}
	t.Cleanup(func() {
		defer cancel()
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		if err := cmd.Wait(); ctx.Err() != nil {
			t.Errorf("%s did not end: %v", args[0], err)
		}
		if t.Failed() {
			t.Logf("%s said at last:\n%s", args[0], said.Last(2000))
		}
	})
}

// ready waits until the server accepts a connection, or has said so a number of times.
func (s *stage) ready(t *testing.T, p *programRow, said *syncBuffer, times int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), programGuard)
	defer cancel()
	tick := time.NewTicker(programRetry)
	defer tick.Stop()
	for {
		var err error
		if p.says == "" {
			var c net.Conn
			c, err = s.near.Host.DialContext(ctx, "tcp", net.JoinHostPort(s.far.Addr4.String(), strconv.Itoa(p.port)))
			if err == nil {
				c.Close()
				return
			}
		} else if strings.Count(said.String(), p.says) >= times {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("nothing listens on port %d: %v; the server says:\n%s", p.port, err, said)
		}
	}
}

// ask runs a client and looks at what it prints.
func (s *stage) ask(t *testing.T, c client) error {
	ctx, cancel := context.WithTimeout(t.Context(), programGuard)
	defer cancel()
	args := s.replaced(c.args)
	cmd := supervise.CommandContext(ctx, s.near.Host, args[0], args[1:]...)
	inGroup(cmd.Cmd)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Dir = s.dir
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%q: %w\n%.2000s%s", args, err, stdout.Bytes(), stderr.Bytes())
	}
	if c.want != "" && !regexp.MustCompile(s.braces.Replace(c.want)).Match(stdout.Bytes()) {
		return fmt.Errorf("%q prints %.2000q, want a match of %s; stderr:\n%s", args, stdout.Bytes(), c.want, stderr.Bytes())
	}
	if c.file {
		sum := sha256.Sum256(stdout.Bytes())
		if got := hex.EncodeToString(sum[:]); got != s.digest {
			return fmt.Errorf("%q prints %d bytes with digest %s, want %s; stderr:\n%s", args, stdout.Len(), got, s.digest, stderr.Bytes())
		}
	}
	return nil
}

// get fetches a URL as a Go program does that uses the Host.
func (s *stage) get(t *testing.T, url string) {
	tr := &http.Transport{DialContext: s.near.Host.DialContext}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr, Timeout: programGuard}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, resp.Body)
	if got := hex.EncodeToString(hash.Sum(nil)); err != nil || got != s.digest {
		t.Errorf("%s: %s, %d bytes with digest %s, %v; want %s", url, resp.Status, n, got, err, s.digest)
	}
}
