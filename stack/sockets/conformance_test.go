package sockets_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

//go:generate go test -run ^TestConformance$ -update .

var update = flag.Bool("update", false, "write docs/conformance.md anew")

const (
	conformanceRows = "testdata/conformance/*.tsv" // id, names, status, tests, note, separated by tabs
	conformanceDoc  = "../../docs/conformance.md"
)

// A conformanceSection is a part of the specification with the rows ID1 to IDn, or ID alone when n is 0.
type conformanceSection struct {
	id    string
	rows  int
	title string
}

var conformanceSections = []conformanceSection{
	{"A1.", 9, "Making sockets"},
	{"A2.", 12, "Names and services"},
	{"A3.", 9, "Byte order and address text"},
	{"A4.", 4, "Defaults and facts of a host"},
	{"A5.", 17, "Addresses and connections"},
	{"A6.", 17, "Data"},
	{"A7.", 12, "Modes, options, poll"},
	{"A8.", 22, "NSPR's address objects"},
	{"A9.", 10, "NSPR's intervals"},
	{"A10.", 16, "NSPR's socket options"},
	{"A11.", 9, "Exceptions"},
	{"A12.", 8, "Forms of addresses"},
	{"A13.", 26, "Constants"},
	{"A14.", 6, "SSL objects"},
	{"A15.", 11, "The documents' examples"},
	{"S", 78, "Options of SOL_SOCKET"},
	{"I", 48, "Options of IPPROTO_IP"},
	{"V", 59, "Options of IPPROTO_IPV6"},
	{"P", 41, "Options of IPPROTO_TCP"},
	{"U", 7, "Options of IPPROTO_UDP"},
	{"R", 11, "Options of raw, ping and packet sockets"},
	{"F", 18, "Message flags"},
	{"C", 21, "Ancillary data"},
	{"K", 8, "ioctl"},
	{"O", 23, "Poll, state by state"},
	{"E", 46, "Netstack's errors as errnos"},
	{"H", 0, "What accepted sockets inherit"},
	{"T", 45, "Traps: where netstack differs from Linux"},
}

func (s conformanceSection) ids() []string {
	if s.rows == 0 {
		return []string{s.id}
	}
	ids := make([]string, s.rows)
	for i := range ids {
		ids[i] = fmt.Sprint(s.id, i+1)
	}
	return ids
}

// A conformanceRow is a line of the tables.
type conformanceRow struct {
	at                       string // file:line
	id, names, status, tests string
	note                     string
}

// TestConformance checks the tables of testdata/conformance: every row of the specification stands there once, has a
// status and names the tests that show it, which exist; and docs/conformance.md is what the tables say.
func TestConformance(t *testing.T) {
	rows := map[string]conformanceRow{}
	for _, r := range readConformance(t) {
		if first, ok := rows[r.id]; ok {
			t.Errorf("%s: %s stands in %s as well", r.at, r.id, first.at)
		}
		rows[r.id] = r
	}
	checkConformanceIDs(t, rows)
	have := map[string]map[string]bool{} // by directory
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		checkConformanceRow(t, rows[id], have)
	}
	want := conformanceText(rows)
	if *update {
		check(t, os.WriteFile(conformanceDoc, []byte(want), 0o644))
	}
	if got, _ := os.ReadFile(conformanceDoc); string(got) != want {
		t.Errorf("%s is not what the tables say: run \"go generate ./stack/sockets\"", conformanceDoc)
	}
}

func readConformance(t *testing.T) (rows []conformanceRow) {
	t.Helper()
	for _, name := range must[[]string](t)(filepath.Glob(conformanceRows)) {
		text := string(must[[]byte](t)(os.ReadFile(name)))
		for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
			at := fmt.Sprintf("%s:%d", name, i+1)
			f := strings.Split(line, "\t")
			if len(f) == 4 {
				f = append(f, "")
			}
			if len(f) != 5 {
				t.Errorf("%s: %d fields, want id, names, status, tests and note, separated by tabs", at, len(f))
				continue
			}
			for i := range f {
				f[i] = strings.TrimSpace(f[i])
			}
			rows = append(rows, conformanceRow{at, f[0], f[1], f[2], f[3], f[4]})
		}
	}
	return rows
}

// checkConformanceIDs wants every id of the specification and no other.
func checkConformanceIDs(t *testing.T, rows map[string]conformanceRow) {
	t.Helper()
	known := map[string]bool{}
	var missing []string
	for _, s := range conformanceSections {
		for _, id := range s.ids() {
			known[id] = true
			if _, ok := rows[id]; !ok {
				missing = append(missing, id)
			}
		}
	}
	if len(missing) > 0 {
		t.Errorf("%d ids have no row: %s", len(missing), strings.Join(missing, " "))
	}
	for id, r := range rows {
		if !known[id] {
			t.Errorf("%s: the specification has no %q", r.at, id)
		}
	}
}

var conformanceStatus = regexp.MustCompile(`^(works|emulated|recorded|refused (E[A-Z0-9]+))( partly)?$`)

// checkConformanceRow checks one row. have keeps the tests of the directories that were parsed already.
func checkConformanceRow(t *testing.T, r conformanceRow, have map[string]map[string]bool) {
	t.Helper()
	status := conformanceStatus.FindStringSubmatch(r.status)
	switch {
	case r.names == "":
		t.Errorf("%s: %s has no name", r.at, r.id)
	case status == nil:
		t.Errorf("%s: %s: status %q is none of works, emulated, recorded, refused ERRNO, each with or without partly", r.at, r.id, r.status)
	case status[2] != "" && !isErrnoName(status[2]):
		t.Errorf("%s: %s: there is no errno %s", r.at, r.id, status[2])
	case strings.HasSuffix(r.status, " partly") && r.note == "":
		t.Errorf("%s: %s: %q needs a note that says which part", r.at, r.id, r.status)
	case r.tests == "":
		t.Errorf("%s: %s names no test", r.at, r.id)
	}
	for _, test := range strings.Split(r.tests, ",") {
		dir, name := conformanceTest(test)
		if have[dir] == nil {
			have[dir] = testFunctions(t, dir)
		}
		name, _, _ = strings.Cut(name, "/") // a subtest
		if !have[dir][name] {
			t.Errorf("%s: %s: there is no test %q", r.at, r.id, strings.TrimSpace(test))
		}
	}
}

func isErrnoName(name string) bool {
	for n := range sockets.Errno(200) { // Linux has 133
		if n.Name() == name {
			return true
		}
	}
	return false
}

// conformanceTest splits "dir:TestX", where dir is from the top of the tree; without one it is this directory.
func conformanceTest(word string) (dir, name string) {
	dir, name, found := strings.Cut(strings.TrimSpace(word), ":")
	if !found {
		return "stack/sockets", dir
	}
	return dir, name
}

// testFunctions names the tests, examples, benchmarks and fuzz targets of a directory.
func testFunctions(t *testing.T, dir string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, file := range must[[]string](t)(filepath.Glob(filepath.Join("../..", dir, "*_test.go"))) {
		f := must[*ast.File](t)(parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution))
		for _, decl := range f.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok && d.Recv == nil && isTestName(d.Name.Name) {
				names[d.Name.Name] = true
			}
		}
	}
	return names
}

func isTestName(name string) bool {
	for _, prefix := range []string{"Test", "Example", "Fuzz", "Benchmark"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
