//go:build !linux

package main

import "os"

// inherited is for run, which needs Linux.
func inherited() []*os.File { return nil }

// privileges is for run, which needs Linux.
func privileges(string) string { return "" }
