package treetest

import (
	"cmp"
	"go/ast"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// obvious methods say all there is to say by implementing fmt.Stringer or error.
var obvious = map[string]bool{"String": true, "Error": true}

// comments wants a comment on every exported name: constants, variables, types, functions, methods of exported types, and
// fields of configurations, where each says what zero means. One comment may serve a group, and that of a type serves the
// fields that it names. An interface is read as a whole, so its own comment is enough.
func comments(f *file) (faults []string) {
	if f.isTest() || f.generated() || f.ast.Name.Name == "main" {
		return nil
	}
	want := func(n ast.Node, name string, docs ...*ast.CommentGroup) {
		if !ast.IsExported(name[strings.LastIndex(name, ".")+1:]) {
			return
		}
		for _, d := range docs {
			if d != nil {
				return
			}
		}
		faults = append(faults, f.at(n)+": "+name+" is exported and has no comment")
	}
	var last *ast.CommentGroup // of the run of one-line functions that this declaration continues
	for i, decl := range f.ast.Decls {
		if i == 0 || f.line(f.ast.Decls[i-1].End())+1 < f.line(decl.Pos()) {
			last = nil
		}
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Doc != nil {
				last = d.Doc
			}
			if d.Recv == nil || ast.IsExported(receiver(d)) && !obvious[d.Name.Name] {
				want(d, d.Name.Name, last)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					want(s, s.Name.Name, s.Doc, d.Doc)
					fields(f, s, cmp.Or(s.Doc, d.Doc).Text(), want)
				case *ast.ValueSpec:
					for _, name := range s.Names {
						want(s, name.Name, s.Doc, s.Comment, d.Doc)
					}
				}
			}
		}
	}
	return faults
}

// fields checks an exported configuration. A comment above a run of fields without a blank line between them serves the
// run, as in the standard library. Internal packages have no users to tell, and stubs for other systems repeat a type that
// is documented elsewhere.
func fields(f *file, s *ast.TypeSpec, doc string, want func(ast.Node, string, ...*ast.CommentGroup)) {
	config, ok := s.Type.(*ast.StructType)
	stub := strings.HasSuffix(f.name, "_other.go")
	internal := strings.Contains("/"+f.dir()+"/", "/internal/")
	if !ok || !ast.IsExported(s.Name.Name) || !strings.HasSuffix(s.Name.Name, "Config") || stub || internal {
		return
	}
	list := config.Fields
	var last *ast.CommentGroup
	for i, field := range list.List {
		if field.Doc != nil || i > 0 && f.line(list.List[i-1].End())+1 < f.line(field.Pos()) {
			last = field.Doc // a new run
		}
		for _, name := range field.Names {
			if slices.Contains(strings.FieldsFunc(doc, notInName), name.Name) {
				continue
			}
			want(field, s.Name.Name+"."+name.Name, field.Doc, field.Comment, last)
		}
	}
}

// notInName reports whether a rune ends a Go identifier.
func notInName(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// receiver names the type of a method.
func receiver(d *ast.FuncDecl) string {
	expr := d.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}

func TestComments(t *testing.T) { holds(t, comments) }

func TestCommentsCatches(t *testing.T) {
	catches(t, comments, []seeded{
		{"a/a.go", "package a\nfunc F() {}\n", "F is exported"},
		{"a/a.go", "package a\n// F does.\nfunc F() {}\n", ""},
		{"a/a.go", "package a\nfunc f() {}\n", ""},
		{"a/a.go", "package a\ntype t struct{ X int }\nfunc (*t) M() {}\n", ""},
		{"a/a.go", "package a\n// T is.\ntype T struct{}\nfunc (*T) M() {}\n", "M is exported"},
		{"a/a.go", "package a\n// T is.\ntype T struct{}\nfunc (*T) String() string { return \"\" }\n", ""},
		{"a/a.go", "package a\n// T is.\ntype T[K any] struct{}\nfunc (T[K]) M() {}\n", "M is exported"},
		{"a/a.go", "package a\n// T is.\ntype T struct{\n\tX int\n}\n", ""},
		{"a/a.go", "package a\n// Config is.\ntype Config struct{\n\tX int\n}\n", "Config.X is exported"},
		{"a/a.go", "package a\n// Config is.\ntype Config struct{\n\tx int\n}\n", ""},
		{"a/a.go", "package a\n// Config is.\ntype Config struct{\n\t// X and Y are.\n\tX int\n\tY int\n}\n", ""},
		{"a/a.go", "package a\n// Config is.\ntype Config struct{\n\t// X is.\n\tX int\n\n\tY int\n}\n", "Config.Y is exported"},
		{"a/a.go", "package a\n// T is.\ntype T interface{\n\tM()\n}\n", ""},
		{"a/a.go", "package a\n// Config has X.\ntype Config struct{\n\tX int\n}\n", ""},
		{"a/internal/b/a.go", "package a\n// Config is.\ntype Config struct{\n\tX int\n}\n", ""},
		{"a/a.go", "package a\n// F and G do.\nfunc F() {}\nfunc G() {}\n", ""},
		{"a/a.go", "package a\n// F does.\nfunc F() {}\n\nfunc G() {}\n", "G is exported"},
		{"a/a.go", "package a\n// These are.\nconst (\n\tA = 1\n\tB = 2\n)\n", ""},
		{"a/a.go", "package a\nvar E error\n", "E is exported"},
		{"a/a_test.go", "package a\nfunc F() {}\n", ""},
	})
}

// manualLines is the least that a package comment can be and still say what the package is and what it does not do.
const manualLines = 3

// TestPackageComments wants one comment of some length on every package that is more than its tests.
func TestPackageComments(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range tree(t) {
		if f.isTest() {
			continue
		}
		doc := f.ast.Doc.Text()
		if doc != "" {
			if documented[f.dir()] {
				t.Errorf("%s: the package has a second package comment", f.name)
			}
			if strings.Count(doc, "\n") < manualLines {
				t.Errorf("%s: the package comment is shorter than %d lines", f.name, manualLines)
			}
		}
		documented[f.dir()] = documented[f.dir()] || doc != ""
	}
	for dir, yes := range documented {
		if !yes {
			t.Errorf("%s: the package has no package comment", dir)
		}
	}
}
