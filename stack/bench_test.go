package stack_test

import (
	"testing"

	"github.com/userstack/userstack/stack"
)

// BenchmarkNew makes and closes a stack with one interface.
func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		s, err := stack.New(stack.Config{NICs: []stack.NIC{{Link: newLink(), Addrs: prefixes("10.0.0.2/24", "fd00::2/64")}}})
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}
