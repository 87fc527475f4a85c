package bench

import (
	"os/exec"
	"runtime"

	"github.com/userstack/userstack/internal/bench/agent"
)

// startOn starts a command on one processor, which it inherits from the thread that starts it (sched_setaffinity(2)). It
// wants a goroutine to itself: its thread is never unlocked, and so ends with it.
func startOn(processor int, cmd *exec.Cmd) error {
	runtime.LockOSThread()
	if err := agent.Bind(processor); err != nil {
		return err
	}
	return cmd.Start()
}
