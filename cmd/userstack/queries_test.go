package main

import (
	"os/exec"
	"testing"
)

// The C library takes literals as the resolver does, and has never heard of the demo's names.
func TestCompare(t *testing.T) {
	if _, err := exec.LookPath("getent"); err != nil {
		t.Skipf("no C library to compare with: %v", err)
	}
	try(t, "resolve", "--compare", "192.0.2.1", "2001:db8::1", "127.1").expect(t, exitOK, `192\.0\.2\.1\n.*2001:db8::1\n.*127\.0\.0\.1\n$`, "")
	try(t, "resolve", "--compare", "-t", "A", "www.demo.test").
		expect(t, exitFailure, `10\.78\.0\.1\nthe C library has no address for www\.demo\.test\n$`, "www.demo.test: the C library's answer differs")
}
