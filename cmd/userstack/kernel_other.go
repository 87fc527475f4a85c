//go:build !linux

package main

import "net"

// kernelView is for Linux alone: elsewhere the demo's servers never run on the kernel.
func kernelView(net.Conn) string { return "" }
