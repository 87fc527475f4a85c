package bench

import (
	"context"
	"errors"
	"net/netip"
	"os/exec"

	"github.com/userstack/userstack/internal/bench/agent"
	"github.com/userstack/userstack/internal/bench/load"
)

// session is a wire that stands. The zero value is one that nothing was made for yet.
type session struct {
	near, far *process   // may be one
	to        netip.Addr // far's address, as near sees it
	between   []helper   // what translates on the way
	tcp, udp  uint16     // far's ports
	pins      pins

	closers []func() error // in the order of making
}

// helper is a process that carries the traffic and does not speak our protocol.
type helper struct {
	name string
	pid  int
}

// onClose has close call f, before what was given earlier.
func (s *session) onClose(f func() error) { s.closers = append(s.closers, f) }

func (s *session) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// commander is exec.Command, or that of a place.
type commander func(name string, args ...string) *exec.Cmd

func execCommand(name string, args ...string) *exec.Cmd { return exec.Command(name, args...) }

// start runs an agent, which ends with the session.
func (s *session) start(ctx context.Context, name string, cfg agent.Config, command commander) (*process, error) {
	cmd, err := agent.Command(cfg, command)
	if err != nil {
		return nil, err
	}
	switch cfg.Role {
	case agent.Far:
		return s.launchAt(ctx, s.pins.far, name, cmd)
	case agent.Awake:
		return s.launchAt(ctx, anywhere, name, cmd)
	}
	return s.launch(ctx, name, cmd)
}

// launch runs a program of the near end that serves as an agent does.
func (s *session) launch(ctx context.Context, name string, cmd *exec.Cmd) (*process, error) {
	return s.launchAt(ctx, s.pins.near, name, cmd)
}

func (s *session) launchAt(ctx context.Context, at place, name string, cmd *exec.Cmd) (*process, error) {
	p, first, err := launch(ctx, at, name, cmd)
	if err != nil {
		return nil, err
	}
	s.onClose(p.close)
	if first.TCP != 0 {
		s.tcp, s.udp = first.TCP, first.UDP
	}
	return p, nil
}

// job addresses a job to the far end.
func (s *session) job(j load.Job) load.Job {
	j.TCP, j.UDP = netip.AddrPortFrom(s.to, s.tcp), netip.AddrPortFrom(s.to, s.udp)
	return j
}
