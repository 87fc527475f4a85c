package sockets_test

import (
	"fmt"
	"strings"
)

const conformanceHead = `# What package sockets has of the socket API

Generated from stack/sockets/testdata/conformance by ` + "`go generate ./stack/sockets`" + `; TestConformance checks it.

The rows are those of five documents: the socket modules of Python 2.5, 2.6 and 2.7, MicroPython's usocket, and NSPR's io
module (python-nss); and of Linux, whose behaviour decides where the documents are silent: every socket option, message
flag, kind of ancillary data, ioctl and poll state. Each row names the tests that show what it says, so that nothing here
is a promise only. They stand in stack/sockets unless another directory is given.

| status | |
|-|-|
| works | as on Linux, or as the documents say |
| emulated | the same to the program, by other means than Linux's |
| recorded | accepted, checked as Linux checks it, and returned; a hint without effect on what arrives |
| refused ERRNO | the call fails with this error, whose text names what is missing |
| … partly | the note says which part |

Beyond these tests, TestSituations and TestSequences in stack/sockets/internal/oracle make every call in every state, and
thousands of random sequences of calls, on these sockets and on the kernel's, and compare.
`

// conformanceText is docs/conformance.md.
func conformanceText(rows map[string]conformanceRow) string {
	var b strings.Builder
	b.WriteString(conformanceHead)
	b.WriteString("\n| | works | emulated | recorded | refused | partly |\n|-|-:|-:|-:|-:|-:|\n")
	total := map[string]int{}
	for _, s := range conformanceSections {
		counts := conformanceCounts(s, rows)
		b.WriteString(conformanceCountRow(s.title, counts))
		for status, n := range counts {
			total[status] += n
		}
	}
	b.WriteString(conformanceCountRow("**all**", total))
	for _, s := range conformanceSections {
		fmt.Fprintf(&b, "\n## %s\n\n| | | | | shown by |\n|-|-|-|-|-|\n", s.title)
		for _, id := range s.ids() {
			if r, ok := rows[id]; ok {
				fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", id, markdown(r.names), r.status, markdown(r.note), conformanceTests(r.tests))
			}
		}
	}
	return b.String()
}

func conformanceCounts(s conformanceSection, rows map[string]conformanceRow) map[string]int {
	counts := map[string]int{}
	for _, id := range s.ids() {
		if r, ok := rows[id]; ok {
			status, _, _ := strings.Cut(r.status, " ")
			if strings.HasSuffix(r.status, " partly") {
				status = "partly"
			}
			counts[status]++
		}
	}
	return counts
}

func conformanceCountRow(title string, counts map[string]int) string {
	return fmt.Sprintf("| %s | %d | %d | %d | %d | %d |\n", title,
		counts["works"], counts["emulated"], counts["recorded"], counts["refused"], counts["partly"])
}

// markdown keeps a text from ending a table's cell or starting a tag.
func markdown(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(text)
}

func conformanceTests(tests string) string {
	var out []string
	for _, test := range strings.Split(tests, ",") {
		dir, name := conformanceTest(test)
		if dir == "stack/sockets" {
			out = append(out, "`"+name+"`")
			continue
		}
		out = append(out, fmt.Sprintf("`%s` (%s)", name, dir))
	}
	return strings.Join(out, ", ")
}
