//go:build !linux

package link

import "syscall"

// goneErrors are what reading a device returns when it will never work again.
var goneErrors = []error{syscall.EBADF, syscall.ENODEV, syscall.ENXIO}
