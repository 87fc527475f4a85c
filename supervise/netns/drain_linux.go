package netns

import (
	"bytes"
	"context"
	"io"
	"os"
	"slices"
	"time"
)

// socketLists are the files in which the kernel lists the TCP sockets of a
// namespace, proc_net(5). A descriptor of one shows the namespace in which it
// was opened, also when there is no process in it any more.
var socketLists = []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"}

// sockets tells of the TCP sockets of a namespace.
type sockets struct{ lists []*os.File }

func newSockets(fds []int) *sockets {
	s := &sockets{}
	for i, fd := range fds {
		s.lists = append(s.lists, os.NewFile(uintptr(fd), socketLists[i]))
	}
	return s
}

func (s *sockets) close() {
	for _, f := range s.lists {
		f.Close()
	}
}

// How long connections that a program has left behind may take until the peer
// has everything, and how often they are looked at.
const (
	drainPatience = 10 * time.Second
	firstLook     = time.Millisecond // doubles
	lastLook      = 50 * time.Millisecond
)

// drain waits until the peers have acknowledged what was sent to them, and its
// end. Programs exit before that.
func (s *sockets) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainPatience)
	defer cancel()
	for pause := firstLook; s.busy(); pause = min(2*pause, lastLook) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// maxList bounds what is read of a list, in bytes: 100,000 sockets.
const maxList = 100_000 * 150

// busy reports whether a socket has something on its way.
func (s *sockets) busy() bool {
	for _, f := range s.lists {
		list, err := io.ReadAll(io.NewSectionReader(f, 0, maxList))
		if err != nil {
			continue
		}
		for line := range bytes.Lines(list) {
			if lineBusy(line) {
				return true
			}
		}
	}
	return false
}

// States of a socket whose end the peer has not acknowledged (Linux
// include/net/tcp_states.h): FIN_WAIT1, LAST_ACK, CLOSING.
var unacknowledged = [][]byte{[]byte("04"), []byte("09"), []byte("0B")}

// lineBusy reads a line of a list: number, local and remote address, state.
func lineBusy(line []byte) bool {
	fields := bytes.Fields(line)
	const state = 3
	return len(fields) > state && slices.ContainsFunc(unacknowledged, func(u []byte) bool { return bytes.Equal(fields[state], u) })
}

func haveIPv6() bool {
	_, err := os.Stat("/proc/net/if_inet6")
	return err == nil
}
