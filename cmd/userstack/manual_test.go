package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestManualIsCurrent: docs/cli.md is what go generate writes.
func TestManualIsCurrent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cli.md")
	try(t, "man", "--markdown", file).expect(t, exitOK, "", "")
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("../../docs/cli.md")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/cli.md is not what the commands say (%v): run go generate ./cmd/userstack", err)
	}
}

// TestManualPages: every command has a page that groff reads without a complaint.
func TestManualPages(t *testing.T) {
	dir := t.TempDir()
	try(t, "man", dir).expect(t, exitOK, "", "")
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range documented(newRoot()) {
		if !slices.Contains(pages, filepath.Join(dir, pageName(cmd)+".1")) {
			t.Errorf("%s has no page among %v", cmd.CommandPath(), pages)
		}
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("needs groff: ", err)
	}
	for _, page := range pages {
		out, err := exec.CommandContext(t.Context(), groff, "-man", "-Tutf8", "-ww", "-z", page).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", filepath.Base(page), err, out)
		}
	}
}

// TestHelp: every command has a description, examples and help, in lines that fit a terminal.
func TestHelp(t *testing.T) {
	const widest = 84
	for _, cmd := range documented(newRoot()) {
		if cmd.Name() == "completion" {
			continue // cobra's
		}
		if cmd.Short == "" || cmd.Long == "" || cmd.Example == "" {
			t.Errorf("%s lacks a description or an example", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Long + "\n" + cmd.Example) {
			if len(line) > widest {
				t.Errorf("%s: a line of %d characters: %s", cmd.CommandPath(), len(line), line)
			}
		}
		args := strings.Fields(cmd.CommandPath())[1:]
		try(t, append(args, "--help")...).expect(t, exitOK, `Examples:|Usage:|network`, "")
	}
}
