package treetest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// elsewhere lists the README's commands that this test does not run, each with the reason.
var elsewhere = map[string]string{
	"go test ./...": "this test is part of it; .ci/run takes the line from the README and runs it",
	"make check":    "runs .ci/run, which runs this test",
}

// commandTime bounds one command of the README, which may have to be compiled first.
const commandTime = 5 * time.Minute

// commands returns the lines of a Markdown text's sh blocks, apart from comments.
func commands(markdown string) (lines []string) {
	inside := false
	for line := range strings.Lines(markdown) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```sh"
		case inside && line != "" && !strings.HasPrefix(line, "#"):
			lines = append(lines, line)
		}
	}
	return lines
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(top(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestReadmeCommands runs every command that the README shows in an sh block, as a reader would type it at the top of a
// checkout. What is not to be run stands in elsewhere; what is output stands in a block of another kind.
func TestReadmeCommands(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("needs a shell: ", err)
	}
	lines := commands(read(t, "README.md"))
	if len(lines) == 0 {
		t.Fatal("README.md shows no commands in sh blocks")
	}
	for _, line := range lines {
		if elsewhere[line] != "" {
			continue
		}
		t.Run(line, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), commandTime)
			defer cancel()
			cmd := exec.CommandContext(ctx, sh, "-ec", line)
			cmd.Dir = top(t)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if len(out) == 0 {
				t.Error("says nothing")
			}
		})
	}
}

// TestReadmeFirstCommands: setting up is these two commands and nothing before them.
func TestReadmeFirstCommands(t *testing.T) {
	got := commands(read(t, "README.md"))
	want := []string{"go run ./cmd/userstack demo", "go test ./..."}
	if !slices.Equal(got[:min(2, len(got))], want) {
		t.Errorf("README.md begins with the commands %q, want %q", got, want)
	}
}

func TestCommands(t *testing.T) {
	got := strings.Join(commands("x\n```sh\na b\n# not this\n\nc\n```\nd\n```\ne\n```\n```sh\nf\n```\n"), "|")
	if got != "a b|c|f" {
		t.Errorf("got %q", got)
	}
}

// TestLinks follows the relative links of every Markdown file.
func TestLinks(t *testing.T) {
	walk(t, func(name string, read func() string) {
		if filepath.Ext(name) != ".md" {
			return
		}
		for _, rest := range strings.Split(read(), "](")[1:] {
			target, _, _ := strings.Cut(rest, ")")
			target, _, _ = strings.Cut(target, "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(top(t), filepath.Dir(name), target)); err != nil {
				t.Errorf("%s links to %s: %v", name, target, err)
			}
		}
	})
}
