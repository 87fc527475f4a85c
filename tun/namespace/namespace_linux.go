package namespace

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/internal/userns"
	"github.com/userstack/userstack/tun"
)

// closePatience is how long Close waits for the helper to kill the programs
// and exit before it kills the helper: those programs are killed by SIGKILL,
// which takes milliseconds unless one hangs in the kernel.
const closePatience = 10 * time.Second

// Config describes a namespace. The zero value is one with nothing but lo in it.
type Config struct {
	// Sysctl has kernel parameters to set in the namespace, such as
	// "net.ipv4.ip_forward": "1". Only those under net are the namespace's own.
	Sysctl map[string]string
}

// Namespace is a network namespace held by a helper process. Its methods may
// be called from any goroutine; requests to the helper take turns.
type Namespace struct {
	cmd  *exec.Cmd // the helper; nil when another helper started it (NewPair)
	pid  int       // the helper's
	user bool      // the namespace has its own user namespace

	mu     sync.Mutex // held while a request is under way
	conn   *net.UnixConn
	closed bool
}

// New makes a namespace with lo up. It needs no privileges where the kernel
// lets users make user namespaces; if it does not, the error says which setting
// is in the way ([Available] lists them).
func New(config Config) (*Namespace, error) {
	conn, theirs, err := controlPair()
	if err != nil {
		return nil, err
	}
	cmd, user, err := startHelper(theirs)
	theirs.Close()
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("namespace: %w", userns.Diagnose(err))
	}
	n := &Namespace{cmd: cmd, pid: cmd.Process.Pid, user: user, conn: conn}
	if err := n.setup(config); err != nil {
		n.Close()
		return nil, userns.Diagnose(err)
	}
	return n, nil
}

// controlPair makes the two ends of a helper's control socket. A message is a
// packet: requests and replies cannot run into each other.
func controlPair() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	mine := os.NewFile(uintptr(fds[0]), "namespace control")
	defer mine.Close()
	theirs = os.NewFile(uintptr(fds[1]), "namespace helper's control")
	conn, err := net.FileConn(mine)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return conn.(*net.UnixConn), theirs, nil
}

// startHelper starts the helper in the best kind of namespace that it may have.
func startHelper(control *os.File) (cmd *exec.Cmd, user bool, err error) {
	var first error // the others are only fallbacks
	for _, way := range userns.Ways(unix.CLONE_NEWNET, userns.Root) {
		err := way.Allowed()
		if err == nil {
			cmd = helperCommand(control, way.Attr(nil))
			err = cmd.Start()
		}
		if err == nil {
			return cmd, way.HasUser(), nil
		}
		first = cmp.Or(first, err)
	}
	return nil, false, first
}

// setup waits until the helper serves and tells it what to set.
func (n *Namespace) setup(config Config) error {
	_, _, err := n.call(request{Op: opSetup, Sysctl: config.Sysctl})
	return err
}

// call sends a request and waits for its reply. The caller owns the
// descriptors that come with it.
func (n *Namespace) call(req request, files ...*os.File) (reply, []int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return reply{}, nil, fmt.Errorf("namespace: %s: %w", req.Op, os.ErrClosed)
	}
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	if err := send(n.conn, req, fds); err != nil {
		return reply{}, nil, fmt.Errorf("namespace: %s: %w", req.Op, err)
	}
	var rep reply
	received, err := receive(n.conn, &rep)
	if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) {
		err = errors.New("the helper process has ended")
	}
	if err == nil && rep.Err != nil {
		return reply{}, nil, rep.Err
	}
	if err != nil {
		return reply{}, nil, fmt.Errorf("namespace: %s: %w", req.Op, err)
	}
	return rep, received, nil
}

// OpenTUN creates a device in the namespace, where the kernel's side of it gets
// the config's MTU, addresses and routes, and returns the other side. The
// device outlives neither its Close nor the namespace.
func (n *Namespace) OpenTUN(config tun.Config) (tun.Device, error) {
	rep, fds, err := n.call(request{Op: opTUN, TUN: config})
	if err != nil {
		return nil, err
	}
	dev, err := tun.FromFDs(fds, tun.Config{Name: rep.Name, Mode: config.Mode, Offload: config.Offload, Backend: config.Backend})
	if err != nil {
		return nil, err
	}
	d := &device{Device: dev, ns: n}
	if p, ok := dev.(poller); ok {
		return &pollingDevice{d, p}, nil
	}
	return d, nil
}

// poller is what package tun's own devices have besides.
type poller interface {
	Poll(queue int, packets [][][]byte, sizes []int) (int, error)
}

type pollingDevice struct {
	*device
	poller
}

// device is a tun.Device whose interface is in another namespace than this process.
type device struct {
	tun.Device
	ns *Namespace
}

func (d *device) MTU() (int, error) {
	rep, _, err := d.ns.call(request{Op: opLink, Link: d.Name()})
	return rep.MTU, err
}

func (d *device) SyscallConn(queue int) (syscall.RawConn, error) {
	return d.Device.(interface {
		SyscallConn(int) (syscall.RawConn, error)
	}).SyscallConn(queue)
}

// Close kills every program in the namespace and ends the helper. The namespace
// itself is gone when the last device and socket made in it has been closed. A
// second Close waits for the first and returns nil.
func (n *Namespace) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil
	}
	n.closed = true
	err := n.awaitEnd()
	n.conn.Close()
	if n.cmd == nil {
		return err
	}
	if err != nil {
		n.cmd.Process.Kill()
	}
	return errors.Join(err, n.cmd.Wait())
}

// awaitEnd tells the helper to end and waits until it has closed its side.
func (n *Namespace) awaitEnd() error {
	if err := n.conn.CloseWrite(); err != nil {
		return err
	}
	if err := n.conn.SetReadDeadline(time.Now().Add(closePatience)); err != nil {
		return err
	}
	_, err := n.conn.Read(make([]byte, 1))
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) {
		return nil
	}
	return fmt.Errorf("namespace: helper process %d does not end: %w", n.pid, err)
}
