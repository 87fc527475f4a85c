package netns

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/internal/userns"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/tun"
)

// state is what a Cmd has once it is started.
type state struct {
	started bool
	network userns.Network
	patch   *link.Patch
	sockets *sockets
	ended   chan struct{} // closed when the process has been waited for
	close   sync.Once
}

// Start starts the program and returns when it runs. An error says what the
// machine does not allow, and the remedy.
func (c *Cmd) Start() error {
	if c.started {
		return errors.New("netns: already started")
	}
	c.started = true
	err := c.start()
	if err != nil && c.uplink != nil {
		c.uplink.Close()
		c.uplink.Wait()
	}
	return err
}

func (c *Cmd) start() error {
	attr, err := c.attr()
	if c.Err = cmp.Or(c.Err, err); c.Err != nil {
		return c.Cmd.Start() // fails with it, and closes what is to be closed then
	}
	s, err := c.launch(attr)
	if err != nil {
		return err
	}
	defer s.close()
	if err := c.connect(s); err != nil {
		c.abandon()
		return err
	}
	return nil
}

// launch starts the stub that will be the program.
func (c *Cmd) launch(attr *syscall.SysProcAttr) (*stub, error) {
	s, err := newStub()
	if err != nil {
		return nil, err
	}
	given := c.SysProcAttr
	c.SysProcAttr = attr
	defer func() { c.SysProcAttr = given }()
	started, ended := make(chan error), make(chan struct{})
	go func() {
		// The kernel kills the process when the thread ends that started it
		// (PR_SET_PDEATHSIG), and Go ends threads at will.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.start(c.Cmd)
		started <- err
		if err == nil {
			<-ended
		}
	}()
	if err := <-started; err != nil {
		s.close()
		return nil, fmt.Errorf("netns: %w", userns.Diagnose(err))
	}
	c.ended = ended
	return s, nil
}

// attr is the Cmd's SysProcAttr with the namespaces in it.
func (c *Cmd) attr() (*syscall.SysProcAttr, error) {
	if c.uplink == nil {
		return nil, fmt.Errorf("netns: there is no uplink: %w", unix.EINVAL)
	}
	if userns.Asked(c.SysProcAttr) {
		return nil, fmt.Errorf("netns: SysProcAttr asks for namespaces: %w", unix.EINVAL)
	}
	flags := uintptr(unix.CLONE_NEWNET)
	if len(c.Files) > 0 {
		flags |= unix.CLONE_NEWNS
	}
	user := userns.Self
	if c.User == Root {
		user = userns.Root
	}
	way, err := userns.First(userns.Ways(flags, user))
	if err != nil {
		return nil, fmt.Errorf("netns: %w", userns.Diagnose(err))
	}
	attr := way.Attr(c.SysProcAttr, append(keptCapabilities(), setupCapabilities()...)...)
	if attr.Pdeathsig == 0 {
		attr.Pdeathsig = unix.SIGKILL
	}
	return attr, nil
}

// connect joins the program's device with the uplink and lets it run.
func (c *Cmd) connect(s *stub) error {
	network, err := userns.NetworkOf(c.Process.Pid)
	if err != nil {
		return fmt.Errorf("netns: %w", err)
	}
	if ours, err := userns.NetworkOf(os.Getpid()); err != nil || ours == network {
		return fmt.Errorf("netns: the program is not in a network namespace of its own (%v)", err) // whose processes Wait may kill
	}
	cfg := c.device()
	got, err := s.setUp(order{TUN: cfg, Files: c.Files})
	if err != nil {
		return err
	}
	dev, err := tun.FromFD(got.device, tun.Config{Name: cfg.Name})
	if err != nil {
		got.sockets.close()
		return fmt.Errorf("netns: %w", err)
	}
	wire, err := link.New(link.Config{Device: dev, MTU: uint32(cfg.MTU)})
	if err != nil {
		got.sockets.close()
		return fmt.Errorf("netns: %w", err)
	}
	c.network, c.sockets = network, got.sockets
	c.patch = link.NewPatch(wire, c.uplink)
	return s.proceed(c.Path)
}

// abandon ends a process that has not become the program.
func (c *Cmd) abandon() {
	c.Process.Kill()
	c.Cmd.Wait()
	c.release()
	c.Process, c.ProcessState, c.ended = nil, nil, nil
}

// release closes what the Cmd holds.
func (c *Cmd) release() {
	c.close.Do(func() {
		close(c.ended)
		if c.patch == nil {
			return
		}
		c.patch.Close()
		c.patch.Wait()
		c.sockets.close()
	})
}

// Wait waits until the program has ended, then until every other process in its
// namespace has, and then until what they sent by TCP has been acknowledged, or
// nothing more of it has been for ten seconds. It closes the uplink and returns
// what exec.Cmd.Wait returns for the program.
func (c *Cmd) Wait() error {
	if c.ended == nil {
		return errors.New("netns: not started")
	}
	err := c.Cmd.Wait()
	c.network.Await(c.ctx)
	if c.ctx.Err() != nil {
		c.network.Kill()
	} else {
		c.sockets.drain(c.ctx)
		err = c.drain(err)
	}
	c.release()
	return err
}

// drain lets the uplink finish. The program's error goes first.
func (c *Cmd) drain(err error) error {
	if c.Drain == nil {
		return err
	}
	if lost := c.Drain(c.ctx); lost != nil && err == nil {
		return fmt.Errorf("netns: %w", lost)
	}
	return err
}

// Check returns nil when Start works on this machine for this user, and
// otherwise an error that names what is missing and the remedy. It finds out by
// trying, which takes tens of milliseconds.
func Check() error {
	uplink, far := link.NewPipe(link.PipeConfig{})
	defer far.Close()
	defer uplink.Close()
	c := Command(uplink, "/proc/self/exe")
	attr, err := c.attr()
	if err != nil {
		return err
	}
	s, err := c.launch(attr)
	if err != nil {
		return err
	}
	defer s.close()
	defer c.abandon()
	got, err := s.setUp(order{TUN: c.device()})
	if err != nil {
		return err
	}
	got.sockets.close()
	return unix.Close(got.device)
}
