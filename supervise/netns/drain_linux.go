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

// drainPatience is how long a connection that a program has left behind may
// make no progress before it is given up.
const drainPatience = 10 * time.Second

// How often such connections are looked at.
const (
	firstLook = time.Millisecond // doubles
	lastLook  = 50 * time.Millisecond
)

// drain waits until the peers have acknowledged what was sent to them, and its
// end. Programs exit before that.
func (s *sockets) drain(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	giveUp := time.AfterFunc(drainPatience, cancel)
	defer giveUp.Stop()
	last := ""
	for pause := firstLook; ; pause = min(2*pause, lastLook) {
		left := s.left()
		if left == "" {
			return
		}
		if left != last {
			giveUp.Reset(drainPatience)
			last = left
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// maxList bounds what is read of a list, in bytes: 100,000 sockets.
const maxList = 100_000 * 150

// left tells of the sockets that have something on its way: their addresses and
// how much it is. It is empty if there are none.
func (s *sockets) left() string {
	var left []byte
	for _, f := range s.lists {
		list, err := io.ReadAll(io.NewSectionReader(f, 0, maxList))
		if err != nil {
			continue
		}
		for line := range bytes.Lines(list) {
			left = append(left, onItsWay(line)...)
		}
	}
	return string(left)
}

// States of a socket whose end the peer has not acknowledged (Linux
// include/net/tcp_states.h): FIN_WAIT1, LAST_ACK, CLOSING.
var unacknowledged = []string{"04", "09", "0B"}

// onItsWay returns, of a line of a list, both addresses, the state and the sizes
// of the queues, or nothing if all has been acknowledged.
func onItsWay(line []byte) []byte {
	fields := bytes.Fields(line)
	const number, state, queues = 0, 3, 4
	if len(fields) <= queues || !slices.Contains(unacknowledged, string(fields[state])) {
		return nil
	}
	return bytes.Join(fields[number+1:queues+1], []byte(" "))
}

func haveIPv6() bool {
	_, err := os.Stat("/proc/net/if_inet6")
	return err == nil
}
