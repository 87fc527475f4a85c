//go:build amd64 || arm64

package supervise

import (
	"cmp"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
)

// Start starts the program and returns once it runs. Errors, beside those of
// exec.Cmd.Start: what the kernel or a container does not allow, with the
// remedy.
func (c *Cmd) Start() error {
	if c.run != nil {
		return errors.New("supervise: already started")
	}
	if c.host == nil {
		return errors.New("supervise: a Cmd is made by Command")
	}
	s, err := newSupervisor(c.host, c.Trace)
	if err != nil {
		return err
	}
	if err := c.launch(s); err != nil {
		s.close()
		return err
	}
	c.run = s
	return nil
}

// launch starts the stub, serves it, and returns once it is the program.
func (c *Cmd) launch(s *supervisor) error {
	conf, err := c.confine()
	if err != nil {
		return c.refuse(err)
	}
	st, err := newStub()
	if err != nil {
		return c.refuse(err)
	}
	defer st.close()
	if err := s.onParentThread(func() error { return st.start(c.Cmd, conf) }); err != nil {
		return err
	}
	if c.lack = conf.lack; len(conf.files) > 0 {
		c.lack = st.placed(conf.files)
	}
	if c.lack != nil && c.Isolation == IsolateRequire {
		return c.failed(c.lack)
	}
	listener, err := st.listener(c.Process.Pid)
	if err != nil {
		if lack := Check(); lack != nil {
			err = lack // which knows a remedy
		}
		return c.failed(err)
	}
	s.serve(listener)
	if c.Adopt {
		if err := s.adopt(c.Process.Pid); err != nil {
			return c.failed(err)
		}
	}
	if err := st.proceed(); err != nil {
		c.failed(err)
		return &exec.Error{Name: c.Path, Err: err}
	}
	return nil
}

// onParentThread runs f on a thread that lives until the supervisor has closed:
// a child dies with its parent thread (PR_SET_PDEATHSIG).
func (s *supervisor) onParentThread(f func() error) error {
	done := make(chan error)
	s.work.Go(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		done <- f()
		<-s.ctx.Done()
	})
	return <-done
}

// refuse returns an error before anything is started. exec.Cmd closes its pipes.
func (c *Cmd) refuse(err error) error {
	c.Err = cmp.Or(c.Err, err)
	return c.Cmd.Start()
}

// failed ends a stub that cannot go on.
func (c *Cmd) failed(err error) error {
	c.Process.Kill()
	c.Cmd.Wait()
	return err
}

// Wait waits until the program and whatever it left running have ended, and
// until what they sent has left. The error is that of exec.Cmd.Wait.
func (c *Cmd) Wait() error {
	if c.run == nil {
		return errors.New("supervise: not started")
	}
	err := c.Cmd.Wait()
	c.run.files.sweep()
	if lost := c.run.wait(); lost != nil && err == nil {
		err = fmt.Errorf("supervise: %w", lost)
	}
	return err
}
