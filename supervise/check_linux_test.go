//go:build amd64 || arm64

package supervise_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/supervise"
)

func init() {
	// nested runs a program although it is being run itself.
	children["nested"] = func([]string) {
		s, err := stack.New(stack.Config{})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer s.Close()
		h, err := sockets.New(sockets.Config{Stack: s})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer h.Close()
		fmt.Println(supervise.Check())
		fmt.Println(supervise.Command(h, "/bin/true").Run())
	}
}

// TestNested wants a clear word about a program that is supervised already.
func TestNested(t *testing.T) {
	said := says(t, newHost(t), "nested")
	lines := strings.Split(said, "\n")
	for i, from := range []string{"Check", "Run"} {
		if i >= len(lines) || !strings.Contains(lines[i], "Linux allows one") {
			t.Errorf("%s does not say what is wrong:\n%s", from, said)
		}
	}
}
