package dnsresolver

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// The security requirements, each with the tests that show it, by the directory that
// they are in.
var securityTests = []struct {
	id, what string
	tests    string
}{
	{"S1", "nothing goes by the kernel: no resolver, dialer or socket of it",
		". TestKernelIsolation TestKernelIsolationGate; ../testnet TestNoKernelSockets"},
	{"S2", "IDs and ports cannot be guessed, and none is used twice at a time",
		". TestRandomIDs TestIDsAndPortsOnTheWire TestFreshIDAndSocketEachTime TestMixedCase TestCookies"},
	{"S3", "what is not the reply is dropped, and delays nothing",
		". TestForgedRepliesAreDropped TestForgeriesDelayNothing TestForgeryFloodMovesToTCP TestRepliesFromElsewhere TestKernelForgeries"},
	{"S4", "only records of the chain of aliases are used and remembered",
		". TestCachePoison TestWalk FuzzWalk"},
	{"S5", "names of a group go to its servers alone, whatever happens",
		". TestSplitDNS TestSplitDNSFailsClosed; ../testnet TestSplitDNSOnTheWire"},
	{"S6", "names that are handed out have no bytes that names do not have",
		". TestNamesAreHandedOut FuzzNames TestCanonicalNameIsClean; internal/wire FuzzData"},
	{"S7", "zero bytes and blanks make a literal none",
		". TestBytesThatAreInNoName; netdb TestLiterals FuzzLiteral"},
	{"S8", "public names do not point into private networks, where so configured",
		". TestNoPrivate"},
	{"S9", "compression pointers go backwards and end, names have at most 255 bytes",
		". TestForgedRepliesAreDropped; internal/wire TestMalformed FuzzParse"},
	{"S10", "the AD bit is not passed on unless it is trusted",
		". TestTTLAndAD"},
	{"S11", "nothing that is parsed makes it panic or grow without bound",
		". FuzzReply FuzzWalk FuzzResolvConf FuzzGaiConf; internal/wire FuzzParse FuzzData; netdb FuzzHosts FuzzServices FuzzProtocols FuzzLiteral"},
	{"S12", "nothing is logged: Config.Trace is told, and nobody else",
		". TestNothingIsPrinted"},
}

// The tests that are named exist.
func TestSecurityTests(t *testing.T) {
	funcs := map[string]map[string]bool{}
	for _, req := range securityTests {
		for group := range strings.SplitSeq(req.tests, ";") {
			words := strings.Fields(group)
			dir := words[0]
			if funcs[dir] == nil {
				funcs[dir] = testFuncs(t, dir)
			}
			for _, name := range words[1:] {
				if !funcs[dir][name] {
					t.Errorf("%s (%s): no test %s in %s", req.id, req.what, name, dir)
				}
			}
		}
	}
}

// testFuncs returns the functions of the tests in a directory.
func testFuncs(t *testing.T, dir string) map[string]bool {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: no tests, %v", dir, err)
	}
	found := map[string]bool{}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				found[f.Name.Name] = true
			}
		}
	}
	return found
}

// S12: no file can print or log.
func TestNothingIsPrinted(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if where := prints(file); where != "" {
			t.Errorf("%s uses %s", path, where)
		}
		return nil
	})
	if err != nil || files < 20 {
		t.Fatalf("%d files, %v", files, err)
	}
	for _, src := range []string{`import "log"; var _ = log.Print`, `import "log/slog"; var _ = slog.Info`, `import "fmt"; func f() { fmt.Println() }`, `func f() { println() }`, `import "os"; var _ = os.Stderr`} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\n"+src, parser.SkipObjectResolution)
		if err != nil || prints(file) == "" {
			t.Errorf("not seen: %s, %v", src, err)
		}
	}
}

// prints returns what in a file could print or log.
func prints(file *ast.File) (where string) {
	for _, spec := range file.Imports {
		if path := strings.Trim(spec.Path.Value, `"`); path == "log" || strings.HasPrefix(path, "log/") {
			return path
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if ok && (x.Name == "fmt" && strings.HasPrefix(n.Sel.Name, "Print") || x.Name == "os" && strings.HasPrefix(n.Sel.Name, "Std")) {
				where = x.Name + "." + n.Sel.Name
			}
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "print" || id.Name == "println") {
				where = id.Name
			}
		}
		return where == ""
	})
	return where
}
