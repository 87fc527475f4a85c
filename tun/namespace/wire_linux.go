package namespace

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/tun"
)

// The control socket carries one JSON object per packet, requests one way and
// as many replies the other. Descriptors travel beside a packet (SCM_RIGHTS,
// unix(7)).

// Sizes of a packet.
const (
	maxMessage = 64 << 10 // bytes of JSON; Linux net.core.wmem_default is 208 KiB
	maxFDs     = 253      // Linux include/net/scm.h SCM_MAX_FD
)

// request asks the helper for something. Which fields matter depends on Op.
type request struct {
	Op op

	Sysctl map[string]string `json:",omitempty"` // setup

	TUN tun.Config `json:",omitzero"` // tun

	Network string `json:",omitempty"` // listen, listenpacket
	Address string `json:",omitempty"`

	Domain int `json:",omitempty"` // socket
	Type   int `json:",omitempty"`
	Proto  int `json:",omitempty"`

	Link  string         `json:",omitempty"` // link, veth, address: an interface's name
	PID   int            `json:",omitempty"` // veth: a process in the peer's namespace
	MTU   int            `json:",omitempty"` // veth, address
	Addrs []netip.Prefix `json:",omitempty"` // address
}

// reply is the helper's answer.
type reply struct {
	Err   *remoteError `json:",omitempty"`
	Name  string       `json:",omitempty"` // tun: the interface's name
	Index int          `json:",omitempty"` // link
	MTU   int          `json:",omitempty"` // link
	PID   int          `json:",omitempty"` // spawn
}

// remoteError is an error that happened in the helper. It keeps what
// errors.Is and errors.As are asked for in practice: the errno, and the
// *os.PathError or *os.SyscallError around it.
type remoteError struct {
	Text    string
	Op      string        `json:",omitempty"` // of an *os.PathError
	Path    string        `json:",omitempty"`
	Syscall string        `json:",omitempty"` // of an *os.SyscallError
	Errno   syscall.Errno `json:",omitempty"`
}

func newRemoteError(err error) *remoteError {
	r := &remoteError{Text: err.Error()}
	r.Errno, _ = errors.AsType[syscall.Errno](err)
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		r.Op, r.Path = pe.Op, pe.Path
	}
	if se, ok := errors.AsType[*os.SyscallError](err); ok {
		r.Syscall = se.Syscall
	}
	return r
}

func (r *remoteError) Error() string { return r.Text }

func (r *remoteError) Unwrap() error {
	switch {
	case r.Errno == 0:
		return nil
	case r.Path != "":
		return &os.PathError{Op: r.Op, Path: r.Path, Err: r.Errno}
	case r.Syscall != "":
		return &os.SyscallError{Syscall: r.Syscall, Err: r.Errno}
	}
	return r.Errno
}

// send writes one message. The descriptors stay the caller's.
func send(conn *net.UnixConn, message any, fds []int) error {
	data, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if len(data) > maxMessage || len(fds) > maxFDs {
		return fmt.Errorf("message of %d bytes and %d descriptors: %w", len(data), len(fds), unix.EMSGSIZE)
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	_, _, err = conn.WriteMsgUnix(data, rights, nil)
	return err
}

// receive reads one message into a pointer. The descriptors, which are
// close-on-exec, belong to the caller.
func receive(conn *net.UnixConn, message any) ([]int, error) {
	data, oob := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(maxFDs*4))
	n, oobn, flags, _, err := conn.ReadMsgUnix(data, oob)
	if err != nil {
		return nil, err
	}
	fds, err := rights(oob[:oobn])
	if err == nil && flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		err = unix.EMSGSIZE
	}
	if err == nil {
		err = json.Unmarshal(data[:n], message)
	}
	if err != nil {
		closeAll(fds)
		return nil, err
	}
	return fds, nil
}

// rights returns the descriptors in a control message.
func rights(oob []byte) ([]int, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, os.NewSyscallError("recvmsg", err)
	}
	var all []int
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			closeAll(all)
			return nil, os.NewSyscallError("recvmsg", err)
		}
		all = append(all, fds...)
	}
	return all, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
