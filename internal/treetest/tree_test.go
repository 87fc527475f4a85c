package treetest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/userstack/userstack"

// file is one Go source file, named by its slash-separated path from the top of the tree.
type file struct {
	name string
	src  []byte
	fset *token.FileSet
	ast  *ast.File
}

func (f *file) dir() string     { return path.Dir(f.name) }
func (f *file) isTest() bool    { return strings.HasSuffix(f.name, "_test.go") }
func (f *file) generated() bool { return ast.IsGenerated(f.ast) }

func (f *file) line(p token.Pos) int { return f.fset.Position(p).Line }

// at gives the place of a node as file:line.
func (f *file) at(n ast.Node) string { return f.name + ":" + strconv.Itoa(f.line(n.Pos())) }

// under reports whether the file lies in one of dirs or below it.
func (f *file) under(dirs ...string) bool {
	for _, dir := range dirs {
		if f.dir() == dir || strings.HasPrefix(f.dir(), dir+"/") {
			return true
		}
	}
	return false
}

func parse(t *testing.T, name, src string) *file {
	t.Helper()
	f := &file{name: name, src: []byte(src), fset: token.NewFileSet()}
	var err error
	if f.ast, err = parser.ParseFile(f.fset, name, src, parser.ParseComments|parser.SkipObjectResolution); err != nil {
		t.Fatal(err)
	}
	return f
}

// top finds the top of the tree: the nearest directory upwards that holds go.mod.
func top(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		t.Fatal("no go.mod above the working directory")
	}
}

// walk calls visit for every regular file of the tree, leaving out .git, testdata and what git ignores at the top.
func walk(t *testing.T, visit func(name string, read func() string)) {
	t.Helper()
	root := os.DirFS(top(t))
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == ".git" || name == "bin" || name == "dist" || d.Name() == "testdata"):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		visit(name, func() string {
			b, err := fs.ReadFile(root, name)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// tree parses every Go file of the tree.
func tree(t *testing.T) []*file {
	t.Helper()
	var files []*file
	walk(t, func(name string, read func() string) {
		if strings.HasSuffix(name, ".go") {
			files = append(files, parse(t, name, read()))
		}
	})
	if len(files) < 5 {
		t.Fatalf("found %d Go files: the walk is broken", len(files))
	}
	return files
}

// rule looks at one file and returns what is wrong with it, each fault as "file:line: what".
type rule func(*file) []string

// holds runs a rule over the whole tree.
func holds(t *testing.T, r rule) {
	t.Helper()
	for _, f := range tree(t) {
		for _, fault := range r(f) {
			t.Error(fault)
		}
	}
}

// seeded is a small file and a word that the rule's complaint about it contains; no word means that it must pass.
type seeded struct {
	name string // path in the tree
	src  string
	want string
}

// catches checks a rule itself: it must complain about the seeded faults and about nothing else.
func catches(t *testing.T, r rule, cases []seeded) {
	t.Helper()
	for _, c := range cases {
		got := strings.Join(r(parse(t, c.name, c.src)), "\n")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s:\n%s\ngot complaint %q, want one with %q", c.name, c.src, got, c.want)
		}
	}
}
