package sockets

import (
	"reflect"
	"testing"
)

// TestIdleSocketIsSmall bounds what a connection costs beside its endpoint: `make
// bench-idle` measures that. The bounds are Go's size classes;
// on 32-bit machines both are smaller.
func TestIdleSocketIsSmall(t *testing.T) {
	if n := reflect.TypeFor[Socket]().Size(); n > 48 {
		t.Errorf("a Socket has %d bytes, and the next size class is 64", n)
	}
	if n := reflect.TypeFor[description]().Size(); n > 240 {
		t.Errorf("a description has %d bytes, and the next size class is 256", n)
	}
}
