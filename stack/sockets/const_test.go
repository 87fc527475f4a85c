package sockets_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

// constants returns the integer constants of a package by name. Its imports are
// not followed: what depends on them is left out.
func constants(t *testing.T, files []string) map[string]string {
	t.Helper()
	fset := token.NewFileSet()
	var parsed []*ast.File
	for _, name := range files {
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		check(t, err)
		parsed = append(parsed, f)
	}
	conf := types.Config{Error: func(error) {}, IgnoreFuncBodies: true, Importer: noImports{}}
	pkg, _ := conf.Check("p", fset, parsed, nil)
	values := map[string]string{}
	for _, name := range pkg.Scope().Names() {
		if c, ok := pkg.Scope().Lookup(name).(*types.Const); ok && c.Val().Kind() == constant.Int {
			values[name] = c.Val().ExactString()
		}
	}
	return values
}

type noImports struct{}

func (noImports) Import(string) (*types.Package, error) { return nil, errors.New("not followed") }

// own returns the constants of package sockets.
func own(t *testing.T) map[string]string {
	t.Helper()
	var files []string
	all, err := filepath.Glob("*.go")
	check(t, err)
	for _, name := range all {
		if !strings.HasSuffix(name, "_test.go") && !strings.HasSuffix(name, "_other.go") {
			files = append(files, name)
		}
	}
	return constants(t, files)
}

// Every constant that golang.org/x/sys/unix has for Linux has its value.
func TestConstantsAreLinux(t *testing.T) {
	gocmd, err := exec.LookPath("go")
	if err != nil {
		t.Skip("needs the go command in PATH: ", err)
	}
	cmd := exec.CommandContext(t.Context(), gocmd, "list", "-f", "{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}\n{{end}}", "golang.org/x/sys/unix")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	check(t, err)
	unix := constants(t, strings.Fields(string(out)))
	compared := 0
	for name, value := range own(t) {
		want, ok := unix[name]
		if !ok || name == "TIPC_WAIT_FOREVER" { // (~0) in C, an int, which Go's package has unsigned
			continue
		}
		compared++
		if value != want {
			t.Errorf("%s is %s, on Linux %s", name, value, want)
		}
	}
	if compared < 300 {
		t.Errorf("compared %d constants of %d", compared, len(unix))
	}
}

// Every constant that Python's socket module has has its value: that finds what
// x/sys/unix lacks, IPPORT_*, INADDR_*, EAI_* and NI_*.
func TestConstantsArePythons(t *testing.T) {
	out := python(t, `
import socket
for n in dir(socket):
    v = getattr(socket, n)
    if n.isupper() and isinstance(v, int):
        print(n, int(v))
`)
	mine, compared := own(t), 0
	for line := range strings.Lines(out) {
		name, want, _ := strings.Cut(strings.TrimSpace(line), " ")
		value, ok := mine[name]
		if !ok || name == "SOMAXCONN" { // Python has the one of its kernel's headers
			continue
		}
		compared++
		if value != want && value != "-"+want { // EAI_* are negative in glibc
			t.Errorf("%s is %s, in Python %s", name, value, want)
		}
	}
	if compared < 150 {
		t.Errorf("compared %d constants", compared)
	}
}

// python runs a program and returns what it prints.
func python(t *testing.T, program string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("needs python3 in PATH: ", err)
	}
	cmd := exec.CommandContext(t.Context(), path, append([]string{"-c", program}, args...)...)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		t.Fatalf("python3: %v\n%s", err, exit.Stderr)
	}
	check(t, err)
	return string(out)
}

// The constants that the documents name, those that no other test compares
// among them.
func TestDocumentedConstants(t *testing.T) {
	for name, pair := range map[string][2]any{
		"AF_LOCAL":               {sockets.AF_LOCAL, sockets.AF_UNIX},
		"PR_AF_INET6":            {sockets.PR_AF_INET6, sockets.Family(10)},
		"PR_AF_LOCAL":            {sockets.PR_AF_LOCAL, sockets.Family(1)},
		"PR_AF_UNSPEC":           {sockets.PR_AF_UNSPEC, sockets.Family(0)},
		"PR_SHUTDOWN_RCV":        {sockets.PR_SHUTDOWN_RCV, sockets.How(0)},
		"PR_SHUTDOWN_SEND":       {sockets.PR_SHUTDOWN_SEND, sockets.How(1)},
		"PR_SHUTDOWN_BOTH":       {sockets.PR_SHUTDOWN_BOTH, sockets.How(2)},
		"PR_DESC_LAYERED":        {sockets.PR_DESC_LAYERED, sockets.DescType(4)},
		"PR_DESC_PIPE":           {sockets.PR_DESC_PIPE, sockets.DescType(5)},
		"PR_DESC_FILE":           {sockets.PR_DESC_FILE, sockets.DescType(1)},
		"SOMAXCONN":              {sockets.SOMAXCONN, 4096},
		"IPPROTO_SEC":            {sockets.IPPROTO_SEC, sockets.Protocol(100)},
		"IPPROTO_UDPLITE":        {sockets.IPPROTO_UDPLITE, sockets.Protocol(136)},
		"IPPORT_USERRESERVED":    {sockets.IPPORT_USERRESERVED, 5000},
		"IPPORT_ECHO":            {sockets.IPPORT_ECHO, 7},
		"INADDR_ALLRTRS_GROUP":   {sockets.INADDR_ALLRTRS_GROUP, uint32(0xe0000002)},
		"INADDR_LOOPBACK":        {sockets.INADDR_LOOPBACK, uint32(0x7f000001)},
		"INADDR_MAX_LOCAL_GROUP": {sockets.INADDR_MAX_LOCAL_GROUP, uint32(0xe00000ff)},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %v, want %v", name, pair[0], pair[1])
		}
	}
	if s := fmt.Sprint(sockets.AF_TIPC, sockets.Family(40), sockets.Family(-1)); s != "AF_TIPC AF_VSOCK AF_-1" {
		t.Errorf("names of families: %s", s)
	}
}

// IPPROTO_SEC is WiPy's: the socket is a TCP socket.
func TestProtocolSEC(t *testing.T) {
	a, _ := pair(t)
	s := mustSocket(t, a, sockets.AF_INET, sockets.SOCK_STREAM, sockets.IPPROTO_SEC)
	if s.Proto() != sockets.IPPROTO_SEC {
		t.Errorf("Proto is %d", s.Proto())
	}
	if p := must[int](t)(s.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_PROTOCOL)); p != int(sockets.IPPROTO_TCP) {
		t.Errorf("SO_PROTOCOL is %d", p)
	}
}
