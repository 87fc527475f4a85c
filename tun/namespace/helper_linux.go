package namespace

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/internal/userns"
	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/internal/ifconfig"
)

// helperName is the argv[0] that makes a process a helper.
const helperName = "userstack-namespace"

// controlFD is the helper's descriptor of its control socket: the first of
// exec.Cmd.ExtraFiles.
const controlFD = 3

func init() {
	if len(os.Args) == 1 && os.Args[0] == helperName {
		os.Exit(helperMain())
	}
}

// helperCommand makes the command that starts a helper with the namespaces in
// attr. The helper is in its own process group, out of reach of the terminal's
// control-C, which this process may want to handle first.
func helperCommand(control *os.File, attr *syscall.SysProcAttr) *exec.Cmd {
	attr.Setpgid = true
	return &exec.Cmd{
		Path: "/proc/self/exe",
		Args: []string{helperName},
		// It answers one request at a time, and should not wait a second before
		// it exits, as programs built with -race do by default.
		Env:         append(os.Environ(), "GOMAXPROCS=1", "GORACE=atexit_sleep_ms=0"),
		Stderr:      os.Stderr, // a helper that panics should be seen to
		ExtraFiles:  []*os.File{control},
		SysProcAttr: attr,
	}
}

// op names a request.
type op string

const (
	opSetup        op = "set up"
	opTUN          op = "open TUN"
	opListen       op = "listen"
	opListenPacket op = "listen for packets"
	opSocket       op = "make a socket"
	opLink         op = "look up interface"
	opSpawn        op = "start a second helper"
	opVeth         op = "make a veth pair"
	opAddress      op = "set addresses"
)

// handlers serve the requests. The descriptors that a handler returns are
// closed once they are sent.
var handlers = map[op]func(req request, received []int) (reply, []int, error){
	opSetup:        setup,
	opTUN:          openTUN,
	opListen:       listen,
	opListenPacket: listenPacket,
	opSocket:       makeSocket,
	opLink:         lookupLink,
	opSpawn:        spawn,
	opVeth:         makeVeth,
	opAddress:      setAddresses,
}

// helperMain serves requests until the control socket ends, then kills what is
// left in the namespace. It returns the exit status.
func helperMain() int {
	signal.Ignore(unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGPIPE)
	file := os.NewFile(controlFD, "control")
	conn, err := net.FileConn(file)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: this is a helper process, not to be started by hand: %v\n", helperName, err)
		return 2
	}
	file.Close()
	control, ok := conn.(*net.UnixConn)
	for ok && serve(control) {
	}
	if network, err := userns.NetworkOf(os.Getpid()); err == nil {
		network.Kill()
	}
	return 0
}

// serve answers one request and reports whether another may follow.
func serve(control *net.UnixConn) bool {
	var req request
	received, err := receive(control, &req)
	if err != nil {
		return false
	}
	defer closeAll(received)
	handle, ok := handlers[req.Op]
	if !ok {
		return false
	}
	rep, fds, err := handle(req, received)
	defer closeAll(fds)
	if err != nil {
		rep = reply{Err: newRemoteError(err)}
	}
	return send(control, rep, fds) == nil
}

func setup(req request, _ []int) (reply, []int, error) {
	if err := ifconfig.Configure("lo", ifconfig.Config{}); err != nil {
		return reply{}, nil, fmt.Errorf("namespace: lo: %w", err)
	}
	for name, value := range req.Sysctl {
		path := "/proc/sys/" + strings.ReplaceAll(name, ".", "/")
		if err := os.WriteFile(path, []byte(value), 0); err != nil {
			return reply{}, nil, fmt.Errorf("namespace: sysctl %s=%s: %w", name, value, err)
		}
	}
	return reply{}, nil, nil
}

func openTUN(req request, _ []int) (reply, []int, error) {
	if req.TUN.Queues > maxFDs {
		return reply{}, nil, fmt.Errorf("namespace: %d queues are more than %d: %w", req.TUN.Queues, maxFDs, unix.EINVAL)
	}
	dev, err := tun.Open(req.TUN)
	if err != nil {
		return reply{}, nil, err
	}
	defer dev.Close() // the duplicates keep the interface
	var fds []int
	for queue := range dev.Queues() {
		conn, err := dev.(interface {
			SyscallConn(int) (syscall.RawConn, error)
		}).SyscallConn(queue)
		if err == nil {
			fds, err = appendDup(fds, conn)
		}
		if err != nil {
			return reply{}, fds, err
		}
	}
	return reply{Name: dev.Name()}, fds, nil
}

// appendDup appends a duplicate of a connection's descriptor.
func appendDup(fds []int, conn syscall.RawConn) ([]int, error) {
	var dup int
	var dupErr error
	err := conn.Control(func(fd uintptr) {
		dup, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(err, os.NewSyscallError("fcntl", dupErr)); err != nil {
		return fds, err
	}
	return append(fds, dup), nil
}

func listen(req request, _ []int) (reply, []int, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // plain TCP, as most programs have it
	l, err := lc.Listen(context.Background(), req.Network, req.Address)
	if err != nil {
		return reply{}, nil, err
	}
	defer l.Close()
	return passConn(l)
}

func listenPacket(req request, _ []int) (reply, []int, error) {
	c, err := net.ListenPacket(req.Network, req.Address)
	if err != nil {
		return reply{}, nil, err
	}
	defer c.Close()
	return passConn(c)
}

// passConn passes a listener or connection of package net.
func passConn(from any) (reply, []int, error) {
	sc, ok := from.(syscall.Conn)
	if !ok {
		return reply{}, nil, fmt.Errorf("namespace: %T: %w", from, errors.ErrUnsupported)
	}
	conn, err := sc.SyscallConn()
	if err != nil {
		return reply{}, nil, err
	}
	fds, err := appendDup(nil, conn)
	return reply{}, fds, err
}

func makeSocket(req request, _ []int) (reply, []int, error) {
	fd, err := unix.Socket(req.Domain, req.Type|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, req.Proto)
	if err != nil {
		return reply{}, nil, os.NewSyscallError("socket", err)
	}
	return reply{}, []int{fd}, nil
}

func lookupLink(req request, _ []int) (reply, []int, error) {
	ifi, err := net.InterfaceByName(req.Link)
	if err != nil {
		return reply{}, nil, fmt.Errorf("namespace: interface %s: %w", req.Link, err)
	}
	return reply{Index: ifi.Index, MTU: ifi.MTU}, nil, nil
}
