//go:build !linux

package bench

// namespaced is empty: network namespaces and TUN devices in them are of Linux.
var namespaced []Wire
