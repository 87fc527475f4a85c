package link

import "syscall"

// goneErrors are what reading a device returns when it will never work again:
// the descriptor is closed, or its interface was deleted (Linux tun.c: EBADFD).
var goneErrors = []error{syscall.EBADF, syscall.EBADFD, syscall.ENODEV, syscall.ENXIO}
