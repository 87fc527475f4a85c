package treetest

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// gvisor is the prefix of everything that may not leak into packages which work without a stack.
const gvisor = "gvisor.dev/gvisor"

// onlyIn lists the imports that only some directories may have. Everything outside the standard library and this module
// needs a row: a new dependency is a decision, and docs/decisions.md says why it was taken.
var onlyIn = []struct {
	path  string   // the import path, or its prefix
	dirs  []string // directories, with all below, that may import it; nil means any
	tests bool     // tests may import it anywhere
}{
	{path: "unsafe", dirs: []string{"tun", "stack/link", "supervise/internal/seccomp", "stack/sockets/internal/oracle"}},
	{path: "C"}, // see forbidden
	{path: gvisor, dirs: []string{"stack", "testnet", "cmd/userstack", "supervise", "internal/bench/agent"}},
	{path: "github.com/songgao/water", dirs: []string{"tun"}},
	{path: "github.com/vishvananda/netlink", dirs: []string{"tun"}},
	{path: "github.com/miekg/dns", dirs: []string{"dnsresolver"}},
	{path: "github.com/gopacket/gopacket", dirs: []string{"stack/link"}, tests: true},
	{path: "github.com/spf13/cobra", dirs: []string{"cmd/userstack"}},
	{path: "github.com/spf13/pflag", dirs: []string{"cmd/userstack"}},                        // cobra's flags
	{path: "github.com/coredns/coredns", dirs: []string{"testnet/coredns"}},                  // a module of its own
	{path: "github.com/quic-go/quic-go", dirs: []string{"testnet/quic"}},                     // a module of its own
	{path: "github.com/containers/gvisor-tap-vsock", dirs: []string{"internal/bench/peers"}}, // a module of its own
	{path: "golang.zx2c4.com/wireguard", dirs: []string{"internal/bench/peers"}},
	{path: "go.uber.org/goleak", tests: true, dirs: []string{"testnet"}},
	{path: "golang.org/x/net/dns/dnsmessage", dirs: []string{"testnet"}, tests: true}, // dnsresolver has miekg/dns
	{path: "golang.org/x/net"},
	{path: "golang.org/x/sys"},
	{path: module + "/testnet", dirs: []string{"testnet", "cmd/userstack"}, tests: true},
}

// forbidden imports, in files that are not tests: what must not know what.
var forbidden = []struct {
	dirs   []string // these directories and all below
	except []string // but not these
	path   string   // must not import this or anything below it
	but    string   // except this and what is below it
	why    string
}{
	{dirs: []string{"."}, path: "C", why: "cgo is never needed"},
	{dirs: []string{"."}, path: gvisor + "/pkg/sentry", why: "Linux-only and heavy"},
	{dirs: []string{"."}, path: gvisor + "/pkg/syserr", why: "panics on errors that it does not know"},
	{dirs: []string{"tun", "dnsresolver"}, path: gvisor, why: "works without a stack"},
	{dirs: []string{"tun", "dnsresolver"}, path: module + "/stack", why: "works without a stack"},
	{dirs: []string{"stack/link"}, path: module + "/tun", why: "takes any Device"},
	{dirs: []string{"stack/link"}, path: module + "/dnsresolver", why: "imports no sibling"},
	{dirs: []string{"stack/link"}, path: module + "/stack", why: "imports no sibling"},
	{dirs: []string{"stack"}, except: []string{"stack/sockets", "stack/link"}, path: module + "/stack/link", why: "takes any gVisor link"},
	{dirs: []string{"stack"}, except: []string{"stack/sockets"}, path: module + "/stack/sockets", why: "sockets are built on the stack"},
	{dirs: []string{"stack"}, path: module + "/tun", why: "takes any gVisor link"},
	{dirs: []string{"stack/sockets"}, path: module + "/dnsresolver", but: module + "/dnsresolver/netdb", why: "takes any Resolver"},
	{dirs: []string{"stack/sockets"}, path: module + "/stack/link", why: "takes any stack"},
	{dirs: []string{"."}, except: []string{"cmd"}, path: module + "/cmd", why: "the command is on top"},
}

// closed lists what a package must not pull in through anything, so that a user who wants one package gets one package.
var closed = []struct {
	pkg  string
	path string
}{
	{"./...", gvisor + "/pkg/sentry"},
	{"./...", gvisor + "/pkg/syserr"},
	{"./tun/...", gvisor},
	{"./dnsresolver/...", gvisor},
	{"./stack/sockets/...", "github.com/"}, // no third party but gVisor and golang.org/x, apart from google/btree
}

// within reports whether an import path is prefix or lies below it.
func within(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }

// imports checks one file against onlyIn and forbidden.
func imports(f *file) (faults []string) {
	for _, spec := range f.ast.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		complain := func(format string, args ...any) {
			faults = append(faults, f.at(spec)+": imports "+path+": "+fmt.Sprintf(format, args...))
		}
		known := false
		for _, o := range onlyIn {
			if !within(path, o.path) {
				continue
			}
			known = true
			if o.dirs != nil && !f.under(o.dirs...) && !(o.tests && f.isTest()) {
				complain("only %s may", strings.Join(o.dirs, ", "))
			}
			break // the first row that fits decides
		}
		first, _, _ := strings.Cut(path, "/")
		if !known && strings.Contains(first, ".") && !within(path, module) {
			complain("a new dependency needs a row in onlyIn and its reason in docs/decisions.md")
		}
		for _, r := range forbidden {
			applies := r.dirs[0] == "." || f.under(r.dirs...)
			own := within(module+"/"+r.dirs[0], r.path) && within(path, module+"/"+r.dirs[0]) // its own subpackages
			if r.but != "" && within(path, r.but) {
				continue
			}
			if within(path, r.path) && applies && !f.under(r.except...) && !own && !f.isTest() {
				complain("must not: %s", r.why)
			}
		}
	}
	return faults
}

func TestImports(t *testing.T) { holds(t, imports) }

func TestImportsCatches(t *testing.T) {
	file := func(path string) string { return "package p\nimport _ \"" + path + "\"\n" }
	catches(t, imports, []seeded{
		{"tun/a.go", file("github.com/songgao/water"), ""},
		{"stack/link/a.go", file("github.com/songgao/water"), "only tun may"},
		{"tun/a.go", file(gvisor + "/pkg/tcpip"), "only stack"},
		{"stack/link/a.go", file(gvisor + "/pkg/tcpip"), ""},
		{"stack/link/a.go", file(module + "/stack"), "no sibling"},
		{"stack/link/a.go", file(module + "/tun"), "any Device"},
		{"stack/link/wireguard/a.go", file(module + "/stack/link"), ""},
		{"stack/a.go", file(module + "/stack/link"), "any gVisor link"},
		{"stack/a.go", file(module + "/stack/sockets"), "built on the stack"},
		{"stack/a.go", file(module + "/stack/internal/translate"), ""},
		{"stack/a.go", file(module + "/tun"), "any gVisor link"},
		{"stack/sockets/a.go", file(module + "/stack"), ""},
		{"stack/sockets/a.go", file(module + "/stack/internal/translate"), ""},
		{"stack/sockets/a.go", file(module + "/dnsresolver"), "any Resolver"},
		{"stack/sockets/a.go", file(module + "/dnsresolver/netdb"), ""},
		{"stack/sockets/a.go", file("unsafe"), "only tun, stack/link"},
		{"stack/sockets/a.go", file("C"), "cgo"},
		{"dnsresolver/a.go", file("github.com/miekg/dns"), ""},
		{"dnsresolver/internal/wire/a.go", file("github.com/miekg/dns"), ""},
		{"dnsresolver/a.go", file(module + "/stack"), "without a stack"},
		{"testnet/a.go", file("github.com/miekg/dns"), "only dnsresolver may"},
		{"testnet/a_test.go", file("github.com/coredns/coredns/coremain"), "only testnet/coredns may"},
		{"stack/a.go", file(gvisor + "/pkg/syserr"), "panics"},
		{"stack/sockets/a.go", file(module + "/testnet"), "only testnet, cmd/userstack may"},
		{"stack/sockets/a_test.go", file(module + "/testnet"), ""},
		{"cmd/userstack/a.go", file(module + "/testnet"), ""},
		{"tun/a.go", file("example.com/new/thing"), "a row in onlyIn"},
	})
}

// TestImportClosure asks the go command what each package pulls in, directly or not.
func TestImportClosure(t *testing.T) {
	gocmd, err := exec.LookPath("go")
	if err != nil {
		t.Skip("needs the go command in PATH: ", err)
	}
	for _, c := range closed {
		cmd := exec.CommandContext(t.Context(), gocmd, "list", "-e", "-deps", c.pkg)
		cmd.Dir = top(t)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", cmd, err)
		}
		for path := range strings.Lines(string(out)) {
			path = strings.TrimSpace(path)
			allowed := within(path, module) || within(path, "github.com/google/btree") // gVisor's own
			if strings.HasPrefix(path, c.path) && !allowed {
				t.Errorf("%s pulls in %s", c.pkg, path)
			}
		}
	}
}
