package bench

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// checkout finds the source tree of this module: the working directory or one above it. It is "" elsewhere.
func checkout() string {
	dir, err := os.Getwd()
	for err == nil {
		text, _ := os.ReadFile(filepath.Join(dir, "go.mod"))
		if first, _, _ := bytes.Cut(text, []byte("\n")); string(first) == "module github.com/userstack/userstack" {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
	return ""
}

// checkoutCommit asks git for the commit of the source tree, for a binary that does not know it ("go run").
func checkoutCommit() string {
	dir := checkout()
	if dir == "" {
		return ""
	}
	ask := func(args ...string) string {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		out, _ := cmd.Output()
		return strings.TrimSpace(string(out))
	}
	commit := ask("rev-parse", "HEAD")
	if commit != "" && ask("status", "--porcelain", "--untracked-files=no") != "" {
		commit += "+dirty"
	}
	return commit
}
