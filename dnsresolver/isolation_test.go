package dnsresolver

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// allowedUse lists, for the packages that could reach the kernel's network, all
// that the resolver may use of them.
var allowedUse = map[string][]string{
	"net": {"Conn", "DNSError", "ErrClosed", "Error", "IP", "IPAddr", "Listener", "MX", "NS", "PacketConn", "SRV", "UDPAddr", "UDPAddrFromAddrPort", "UnknownNetworkError"},
	// The codec and nothing of the client.
	"github.com/miekg/dns": {
		"ClassINET", "DNAME", "EDNS0", "EDNS0COOKIE", "EDNS0_COOKIE", "EDNS0_PADDING", "RcodeBadCookie", "Fqdn", "HTTPS", "MX", "NS", "NULL", "RFC3597", "SRV", "SVCB", "StringToType", "TXT", "UnpackRR", "Msg", "MsgHdr", "OPT", "Question", "RR", "RR_Header", "RcodeBadVers", "RcodeFormatError",
		"RcodeNameError", "RcodeNotImplemented", "RcodeRefused", "RcodeServerFailure", "RcodeSuccess", "RcodeToString",
		"Type", "TypeA", "TypeAAAA", "TypeCNAME", "TypeNS", "TypeOPT", "TypePTR", "TypeSOA", "UnpackDomainName",
		// Those that dnsforward makes replies with.
		"A", "AAAA", "CNAME", "HINFO", "MaxMsgSize", "NewRR", "OpcodeQuery", "PTR", "TypeANY", "TypeAXFR", "TypeHINFO", "TypeIXFR", "TypeNone", "TypeToString",
	},
	// TLS on connections that exist, and HTTP on those that Config.Transport makes.
	"crypto/tls": {"Client", "Config", "ConnectionState", "VersionTLS12"},
	"net/http":   {"MethodPost", "NewRequestWithContext", "StatusOK", "Transport"},
	// Errors of sockets that exist.
	"syscall": {"ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH"},
	// Files and the environment only.
	"os": {"ErrDeadlineExceeded", "Getenv", "LookupEnv", "Open", "SameFile", "Stat"},
}

// allowedImports are the packages that cannot reach a network.
var allowedImports = []string{
	"bufio", "bytes", "cmp", "context", "crypto/rand", "crypto/hmac", "crypto/sha256", "encoding/hex", "embed", "encoding/base64", "encoding/binary", "errors", "fmt", "hash/maphash", "io", "io/fs", "iter", "math/bits",
	"math/rand/v2", "net/netip", "net/url", "slices", "strconv", "strings", "sync", "sync/atomic", "time", "unicode/utf8", "golang.org/x/net/idna",
	"github.com/userstack/userstack/dnsresolver", "github.com/userstack/userstack/dnsresolver/internal/wire", "github.com/userstack/userstack/dnsresolver/netdb",
}

// codecDirs are the directories that may use the library's codec.
var codecDirs = []string{"internal/wire", "dnsforward"}

// Nothing here can reach the network of the kernel: the packages and names used
// are on a list.
func TestKernelIsolation(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		for _, problem := range kernelUses(t, path, nil) {
			t.Error(problem)
		}
		return nil
	})
	if err != nil || files < 20 {
		t.Fatalf("%d files, %v", files, err)
	}
}

// The gate itself: it must see these.
func TestKernelIsolationGate(t *testing.T) {
	for _, body := range []string{
		`import "net"; var _ = net.Dial`,
		`import "net"; var _ net.Resolver`,
		`import "net"; var _ = net.Interfaces`,
		`import n "net"; var _ = n.ListenPacket`,
		`import . "net"`,
		`import _ "net"`,
		`import "syscall"; var _ = syscall.Socket`,
		`import "golang.org/x/sys/unix"`,
		`import "net/http"; var _ = http.Get`,
		`import "net/http"; var _ = http.DefaultClient`,
		`import "crypto/tls"; var _ = tls.Dial`,
		`import "os/exec"`,
		`import "os"; var _ = os.OpenFile`,
		`import "gvisor.dev/gvisor/pkg/tcpip"`,
		`import "github.com/miekg/dns"; var _ dns.Client`,
		`import "github.com/miekg/dns"; var _ = dns.Exchange`,
		`import "unsafe"`,
		`import "C"`,
	} {
		if got := kernelUses(t, "x.go", "package x\n"+body); len(got) == 0 {
			t.Errorf("not seen: %s", body)
		}
	}
	if got := kernelUses(t, "internal/wire/x.go", `package x; import "net"; import "github.com/miekg/dns"; var _ net.Conn; var _ dns.Msg`); len(got) != 0 {
		t.Error(got)
	}
	if got := kernelUses(t, "x.go", `package x; import "github.com/miekg/dns"; var _ dns.Msg`); len(got) != 1 {
		t.Errorf("the codec's library outside internal/wire: %v", got)
	}
}

// kernelUses returns what a file uses beyond the lists.
func kernelUses(t *testing.T, path string, src any) (problems []string) {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	local := map[string]string{} // names of the packages of allowedUse
	for _, spec := range file.Imports {
		pkg, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		name := pkg[strings.LastIndexByte(pkg, '/')+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		switch _, listed := allowedUse[pkg]; {
		case listed && (name == "." || name == "_"):
			problems = append(problems, fmt.Sprintf("%s imports %s as %s", path, pkg, name))
		case pkg == "github.com/miekg/dns" && !slices.Contains(codecDirs, filepath.ToSlash(filepath.Dir(path))):
			problems = append(problems, fmt.Sprintf("%s imports %s", path, pkg))
		case listed:
			local[name] = pkg
		case !slices.Contains(allowedImports, pkg):
			problems = append(problems, fmt.Sprintf("%s imports %s", path, pkg))
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if ok && local[x.Name] != "" && !slices.Contains(allowedUse[local[x.Name]], sel.Sel.Name) {
			problems = append(problems, fmt.Sprintf("%s uses %s.%s", fset.Position(sel.Pos()), x.Name, sel.Sel.Name))
		}
		return true
	})
	return problems
}
