package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func newMan() *cobra.Command {
	markdown := false
	cmd := &cobra.Command{
		Use:     "man [flags] DIRECTORY",
		GroupID: groupMachine,
		Short:   "write the manual pages",
		Long: `man writes a manual page for each command into a directory, for man(1) to read,
or with --markdown everything into one file.`,
		Example: `  userstack man . && man -l ./userstack-fetch.1
  userstack man --markdown cli.md`,
		Args: args(1, 1, "a directory, or with --markdown a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if markdown {
				return os.WriteFile(args[0], markdownManual(cmd.Root()), 0o666)
			}
			return writeManual(cmd.Root(), args[0])
		},
	}
	cmd.Flags().BoolVar(&markdown, "markdown", false, "write one Markdown file")
	return cmd
}

// writeManual writes userstack.1, userstack-demo.1 and so on.
func writeManual(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for _, cmd := range documented(root) {
		if err := os.WriteFile(filepath.Join(dir, pageName(cmd)+".1"), roff(cmd), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// documented returns the root, its commands and its topics.
func documented(root *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{root}
	for _, c := range root.Commands() {
		if !c.Hidden && c.Name() != "help" {
			all = append(all, c)
		}
	}
	return all
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// markdownManual returns the manuals of all commands as one page.
func markdownManual(root *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The command line\n\nWritten by `go generate ./cmd/userstack` from the commands' own manuals; do not edit.\n")
	for _, cmd := range documented(root) {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n```text\n%s\n```\n", cmd.CommandPath(), sentence(cmd.Short), manualText(cmd))
	}
	return b.Bytes()
}

// manualWidth is the width of the flags' descriptions in the Markdown file, in characters.
const manualWidth = 110

// manualText is usage, description, flags and examples.
func manualText(cmd *cobra.Command) string {
	var b strings.Builder
	if cmd.Runnable() {
		fmt.Fprintf(&b, "Usage: %s\n\n", cmd.UseLine())
	}
	b.WriteString(strings.TrimSpace(cmd.Long) + "\n")
	if flags := cmd.NonInheritedFlags().FlagUsagesWrapped(manualWidth); flags != "" {
		fmt.Fprintf(&b, "\nFlags:\n%s", flags)
	}
	if cmd.Example != "" {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	return strings.TrimRight(b.String(), "\n")
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }
