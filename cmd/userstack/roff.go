package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// roffEscapes keep text from being read as requests (groff_man(7), groff_char(7)).
var roffEscapes = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", "\\`", `^`, `\(ha`, `~`, `\(ti`, "\n.", "\n\\&.")

func escaped(text string) string {
	text = roffEscapes.Replace(text)
	if strings.HasPrefix(text, ".") {
		return `\&` + text
	}
	return text
}

// roff returns the manual page of a command (man-pages(7)). It has no date: the pages of a version are the same whenever
// they are written.
func roff(cmd *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"userstack %s\"\n", strings.ToUpper(escaped(pageName(cmd))), escaped(versionOf(modulePath)))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", escaped(pageName(cmd)), escaped(cmd.Short))
	if cmd.Runnable() {
		fmt.Fprintf(&b, ".SH SYNOPSIS\n%s\n", escaped(cmd.UseLine()))
	}
	b.WriteString(".SH DESCRIPTION\n")
	roffParagraphs(&b, cmd.Long)
	roffFlags(&b, "OPTIONS", cmd.NonInheritedFlags())
	if cmd.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", escaped(cmd.Example))
	}
	b.WriteString(".SH SEE ALSO\n")
	var others []string
	for _, other := range documented(cmd.Root()) {
		if other != cmd {
			others = append(others, `\fB`+escaped(pageName(other))+`\fR(1)`)
		}
	}
	fmt.Fprintf(&b, "%s\n", strings.Join(others, ",\n"))
	return b.Bytes()
}

// roffParagraphs writes text; paragraphs that are indented keep their lines.
func roffParagraphs(b *bytes.Buffer, text string) {
	for paragraph := range strings.SplitSeq(strings.Trim(text, "\n"), "\n\n") {
		b.WriteString(".PP\n")
		if strings.HasPrefix(paragraph, " ") {
			fmt.Fprintf(b, ".nf\n%s\n.fi\n", escaped(paragraph))
			continue
		}
		fmt.Fprintf(b, "%s\n", escaped(paragraph))
	}
}

func roffFlags(b *bytes.Buffer, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	flags.VisitAll(func(f *pflag.Flag) {
		b.WriteString(".TP\n")
		if f.Shorthand != "" {
			fmt.Fprintf(b, `\fB\-%s\fR, `, f.Shorthand)
		}
		value, usage := pflag.UnquoteUsage(f)
		fmt.Fprintf(b, `\fB%s\fR`, escaped("--"+f.Name))
		if value != "" && f.NoOptDefVal == "" {
			fmt.Fprintf(b, ` \fI%s\fR`, escaped(value))
		}
		fmt.Fprintf(b, "\n%s", escaped(usage))
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "[]" {
			fmt.Fprintf(b, " (default %s)", escaped(f.DefValue))
		}
		b.WriteString("\n")
	})
}
