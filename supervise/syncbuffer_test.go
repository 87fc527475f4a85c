package supervise_test

import (
	"bytes"
	"sync"
)

// syncBuffer is a buffer that may be read while a program writes to it.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Last returns the last n bytes.
func (b *syncBuffer) Last(n int) string {
	s := b.String()
	return s[max(0, len(s)-n):]
}
