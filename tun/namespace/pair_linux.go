package namespace

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/tun/internal/ifconfig"
)

// vethName is what the interfaces of a pair are called at both ends.
const vethName = "veth0"

// PairConfig describes two namespaces joined by a virtual Ethernet cable. The
// zero value gives them no addresses.
type PairConfig struct {
	A, B []netip.Prefix // addresses of the two ends
	MTU  int            // bytes; zero means 1500

	// Sysctl has kernel parameters to set in both, as in Config.
	Sysctl map[string]string
}

// NewPair makes two namespaces joined by a veth(4) pair: kernel to kernel, to
// compare with. Both interfaces are called "veth0". Each namespace has its own
// Close; when one is closed, the cable is gone.
func NewPair(config PairConfig) (a, b *Namespace, err error) {
	a, err = New(Config{Sysctl: config.Sysctl})
	if err != nil {
		return nil, nil, err
	}
	b, err = a.sibling(Config{Sysctl: config.Sysctl})
	if err == nil {
		err = join(a, b, config)
	}
	if err != nil {
		errs := []error{err, a.Close()}
		if b != nil {
			errs = append(errs, b.Close())
		}
		return nil, nil, errors.Join(errs...)
	}
	return a, b, nil
}

// sibling makes a second network namespace in the same user namespace, whose
// root may then put an interface into it. Hence it is the helper that starts
// the second helper.
func (n *Namespace) sibling(config Config) (*Namespace, error) {
	conn, theirs, err := controlPair()
	if err != nil {
		return nil, err
	}
	rep, _, err := n.call(request{Op: opSpawn}, theirs)
	theirs.Close() // or its end would never be seen
	if err != nil {
		conn.Close()
		return nil, err
	}
	s := &Namespace{pid: rep.PID, user: n.user, conn: conn}
	if err := s.setup(config); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func join(a, b *Namespace, config PairConfig) error {
	if _, _, err := a.call(request{Op: opVeth, Link: vethName, PID: b.pid, MTU: config.MTU}); err != nil {
		return err
	}
	for _, end := range []struct {
		ns    *Namespace
		addrs []netip.Prefix
	}{{b, nil}, {a, config.A}, {b, config.B}} { // there is no carrier before both are up
		if _, _, err := end.ns.call(request{Op: opAddress, Link: vethName, MTU: config.MTU, Addrs: end.addrs}); err != nil {
			return err
		}
	}
	return nil
}

func spawn(_ request, received []int) (reply, []int, error) {
	if len(received) != 1 {
		return reply{}, nil, fmt.Errorf("namespace: %d descriptors for a second helper: %w", len(received), unix.EINVAL)
	}
	fd, err := unix.FcntlInt(uintptr(received[0]), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return reply{}, nil, os.NewSyscallError("fcntl", err)
	}
	control := os.NewFile(uintptr(fd), "control")
	defer control.Close()
	cmd := helperCommand(control, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET})
	if err := cmd.Start(); err != nil {
		return reply{}, nil, err
	}
	go cmd.Wait() // reaps it; this goroutine ends with one of the two processes
	return reply{PID: cmd.Process.Pid}, nil, nil
}

func makeVeth(req request, _ []int) (reply, []int, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = req.Link, req.MTU
	err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: req.Link, PeerNamespace: netlink.NsPid(req.PID)})
	if err != nil {
		return reply{}, nil, fmt.Errorf("namespace: make veth pair: %w", os.NewSyscallError("netlink", err))
	}
	return reply{}, nil, nil
}

// setAddresses gives an interface its MTU and addresses and brings it up.
func setAddresses(req request, _ []int) (reply, []int, error) {
	err := ifconfig.Configure(req.Link, ifconfig.Config{MTU: req.MTU, Addrs: req.Addrs})
	if err != nil {
		err = fmt.Errorf("namespace: %s: %w", req.Link, err)
	}
	return reply{}, nil, err
}
