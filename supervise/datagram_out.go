//go:build linux && (amd64 || arm64)

package supervise

import (
	"bytes"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/stack/sockets"
)

// sendAtOnce bounds how many datagrams of one socket are sent before others have
// their turn. It is more than the program's socket holds.
const sendAtOnce = 256

// sendQueuedLocked sends what the program has written to its socket.
func (d *datagrams) sendQueuedLocked() {
	if d.far < 0 || !d.joined {
		return
	}
	if d.unsent != nil {
		p := d.unsent
		d.unsent = nil
		if !d.sendLocked(p) {
			return
		}
		d.watchLocked()
		d.s.exchange.poller.Modify(d.sock, sockets.POLLIN|sockets.EPOLLET)
	}
	b := scratches.Get().(*scratch)
	defer scratches.Put(b)
	for range sendAtOnce {
		n, err := unix.Read(d.far, b.data[:])
		switch {
		case err == unix.EAGAIN:
			return
		case err != nil: // EINTR, or an error of far's that is now cleared
		case !d.sendLocked(b.data[:n]):
			return
		}
	}
}

// flush sends what the program has written so far, as far as the stack has room.
func (d *datagrams) flush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sendQueuedLocked()
}

// sendLocked sends a datagram to the peer. It reports whether the stack had room.
func (d *datagrams) sendLocked(p []byte) bool {
	for range 2 {
		_, err := d.sock.Send(p, sockets.MSG_DONTWAIT)
		switch errnoOf(err) {
		case 0:
			d.s.counts.sent.Add(uint64(len(p)))
			return true
		case syscall.EAGAIN:
			d.unsent = bytes.Clone(p)
			d.watchLocked()
			d.s.exchange.poller.Modify(d.sock, sockets.POLLIN|sockets.POLLOUT|sockets.EPOLLET)
			return false
		case syscall.EMSGSIZE:
			d.failLocked(err)
			return true
		}
		d.failLocked(err) // of an earlier one, most likely, that was told in place of sending this one
	}
	return true
}
