package bench

import (
	"fmt"
	"io"
	"strings"
)

// WriteMarkdown writes the table for a document.
func (r *Report) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	for _, s := range r.sections() {
		fmt.Fprintf(&b, "**%s**\n\n| wire |", s.load.About)
		rule := "|-|"
		for _, m := range s.load.Metrics {
			fmt.Fprintf(&b, " %s |", m.title())
			rule += "-:|"
			if m.compared() {
				b.WriteString(" ratio |")
				rule += "-:|"
			}
		}
		fmt.Fprintf(&b, " limited by |\n%s-|\n", rule)
		for _, one := range s.rows {
			fmt.Fprintf(&b, "| %s |", one.wire.Name)
			for i, f := range one.figures {
				fmt.Fprintf(&b, " %s |", f.with())
				if s.load.Metrics[i].compared() {
					fmt.Fprintf(&b, " %s |", f.against())
				}
			}
			fmt.Fprintf(&b, " %s |\n", strings.ReplaceAll(one.limited(), "|", "\\|"))
		}
		b.WriteByte('\n')
	}
	for _, line := range r.absences() {
		fmt.Fprintf(&b, "%s\n\n", line)
	}
	fmt.Fprintf(&b, "%s\n", r.legend())
	_, err := io.WriteString(w, b.String())
	return err
}
