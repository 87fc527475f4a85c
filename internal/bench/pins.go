package bench

import (
	"os/exec"

	"github.com/userstack/userstack/internal/bench/agent"
)

// place is where a program runs: one processor, or anywhere.
type place struct {
	pinned    bool
	processor int
}

// anywhere leaves the choice to the kernel.
var anywhere place

// pins are where the programs of a session run. What is between the ends runs where the near one does.
type pins struct{ near, far place }

// processorEach gives each end one of the first two processors.
func processorEach() pins {
	all := agent.Processors()
	return pins{near: place{true, all[0]}, far: place{true, all[1]}}
}

// start starts a command, whose children stay where it is.
func (p place) start(cmd *exec.Cmd) error {
	if !p.pinned {
		return cmd.Start()
	}
	started := make(chan error)
	go func() { started <- startOn(p.processor, cmd) }()
	return <-started
}
