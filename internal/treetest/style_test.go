package treetest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"regexp"
	"strings"
	"testing"
)

// Ceilings of STYLE, in lines. A file or function that is better long has a row in long.
const (
	maxFile     = 400 // a file that is not a test
	maxFunction = 60  // a function that is not a test's
)

// long lets files ("dir/file.go") and functions ("dir/file.go F") be longer, each with its reason.
var long = map[string]string{}

func formatted(f *file) []string {
	want, err := format.Source(f.src)
	if err != nil {
		return []string{f.name + ": " + err.Error()}
	}
	if !bytes.Equal(want, f.src) {
		return []string{f.name + ": not gofmt-clean"}
	}
	return nil
}

func size(f *file) (faults []string) {
	if f.isTest() || f.generated() {
		return nil
	}
	if n := bytes.Count(f.src, []byte("\n")); n > maxFile && long[f.name] == "" {
		faults = append(faults, fmt.Sprintf("%s: %d lines, more than %d", f.name, n, maxFile))
	}
	for _, decl := range f.ast.Decls {
		d, ok := decl.(*ast.FuncDecl)
		if !ok || long[f.name+" "+d.Name.Name] != "" {
			continue
		}
		if n := f.line(d.End()) - f.line(d.Pos()) + 1; n > maxFunction {
			faults = append(faults, fmt.Sprintf("%s: %s has %d lines, more than %d", f.at(d), d.Name.Name, n, maxFunction))
		}
	}
	return faults
}

// capability matches a skip message that says what is missing, rather than that something did not work out.
var capability = regexp.MustCompile(`(?i)\b(needs?|requires?|missing|no|not|without|unavailable|lacks?|only|set|has)\b`)

// patience: tests wait for events, not for time, and say what they lack when they skip. In a bubble of testing/synctest
// sleeping is an event.
func patience(f *file) (faults []string) {
	if !f.isTest() && !f.under("testnet") {
		return nil
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		fun, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, _ := fun.X.(*ast.Ident)
		switch {
		case x != nil && x.Name == "time" && fun.Sel.Name == "Sleep" && !bytes.Contains(f.src, []byte(`"testing/synctest"`)):
			faults = append(faults, f.at(n)+": time.Sleep in a test: wait for the event")
		case fun.Sel.Name == "SkipNow" || fun.Sel.Name == "Skip" && len(call.Args) == 0:
			faults = append(faults, f.at(n)+": skips without naming the missing capability")
		case fun.Sel.Name == "Skip" || fun.Sel.Name == "Skipf":
			text, ok := call.Args[0].(*ast.BasicLit) // an error value speaks for itself
			if ok && len(call.Args) == 1 && !capability.MatchString(text.Value) {
				faults = append(faults, f.at(n)+": the skip does not name the missing capability: "+text.Value)
			}
		}
		return true
	})
	return faults
}

// required: a function that skips for want of a namespace or a TUN device must be able to fail instead.
func required(f *file) (faults []string) {
	for _, decl := range f.ast.Decls {
		d, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		src := string(f.src[f.fset.Position(d.Pos()).Offset:f.fset.Position(d.End()).Offset])
		skips := strings.Contains(src, ".Skip(") || strings.Contains(src, ".Skipf(")
		spaces := strings.Contains(src, "namespace.Available")
		if skips && spaces && !bytes.Contains(f.src, []byte("USERSTACK_REQUIRE")) {
			faults = append(faults, f.at(d)+": skips without namespaces, and USERSTACK_REQUIRE=netns cannot turn that into a failure")
		}
	}
	return faults
}

// words that have no place in any file of the tree: paths of one person's machine, and unfinished work.
var words = []struct {
	re  *regexp.Regexp
	why string
}{
	{regexp.MustCompile(`(^|[\s"'=(])/(root|home|work|Users)/[\w.]`), "a path of one machine"},
	{regexp.MustCompile(`\b(TODO|FIXM` + `E|HACK)\b`), "unfinished work belongs in the issue tracker"},
}

func wording(name, text string) (faults []string) {
	for i, line := range strings.Split(text, "\n") {
		for _, w := range words {
			if m := w.re.FindString(line); m != "" && !strings.HasPrefix(name, "internal/treetest/") {
				faults = append(faults, fmt.Sprintf("%s:%d: %q: %s", name, i+1, strings.TrimSpace(m), w.why))
			}
		}
	}
	return faults
}

func TestFormatted(t *testing.T) { holds(t, formatted) }
func TestSize(t *testing.T)      { holds(t, size) }
func TestPatience(t *testing.T)  { holds(t, patience) }
func TestRequired(t *testing.T)  { holds(t, required) }

func TestWording(t *testing.T) {
	walk(t, func(name string, read func() string) {
		text := read()
		if strings.ContainsRune(text, 0) {
			return // not text
		}
		for _, fault := range wording(name, text) {
			t.Error(fault)
		}
	})
}

func TestStyleCatches(t *testing.T) {
	catches(t, formatted, []seeded{
		{"a/a.go", "package a\n\nvar x  = 1\n", "gofmt"},
		{"a/a.go", "package a\n\nvar x = 1\n", ""},
	})
	catches(t, size, []seeded{
		{"a/a.go", "package a\n" + strings.Repeat("\n", maxFile), "more than 400"},
		{"a/a.go", "package a\nfunc f() {\n" + strings.Repeat("\n", maxFunction) + "}\n", "f has 62 lines"},
		{"a/a_test.go", "package a\n" + strings.Repeat("\n", maxFile), ""},
	})
	body := func(stmt string) string { return "package a\nfunc f() {\n" + stmt + "\n}\n" }
	catches(t, patience, []seeded{
		{"a/a_test.go", body("time.Sleep(1)"), "wait for the event"},
		{"a/a.go", body("time.Sleep(1)"), ""},
		{"a/a_test.go", strings.Replace(body("time.Sleep(1)"), "a\n", "a\nimport \"testing/synctest\"\n", 1), ""},
		{"a/a_test.go", body("t.SkipNow()"), "without naming"},
		{"a/a_test.go", body("t.Skip()"), "without naming"},
		{"a/a_test.go", body(`t.Skip("flaky")`), "does not name"},
		{"a/a_test.go", body(`t.Skip("needs /dev/net/tun")`), ""},
		{"a/a_test.go", body(`t.Skip(err)`), ""},
	})
	skip := body("if err := namespace.Available(); err != nil {\nt.Skip(err)\n}")
	catches(t, required, []seeded{
		{"a/a_test.go", skip, "USERSTACK_REQUIRE"},
		{"a/a_test.go", skip + "// USERSTACK_REQUIRE\n", ""},
	})
	for _, c := range []seeded{
		{"a.md", "see /home/someone/notes", "one machine"},
		{"a.md", "run /usr/bin/env, and read ./work/x or /etc/resolv.conf", ""},
		{"a.go", "// TODO: later", "issue tracker"},
	} {
		got := strings.Join(wording(c.name, c.src), "\n")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%q: got complaint %q, want one with %q", c.src, got, c.want)
		}
	}
}
