// Package agent is the processes of a benchmark: this very program, started once more with a role in its environment.
//
//	cmd, err := agent.Command(agent.Config{Role: agent.Far}, namespace.Command)
//
// # How it works
//
// An init function of this package recognizes the role and serves it ([load.Serve]) on standard input and output, so that
// main is never reached. The role decides whose sockets the load uses: the kernel's, in whichever network namespace the
// process is, or those of a stack of ours, on a device that is inherited as a descriptor or on a wire in memory. An agent
// ends with its standard input, so that none outlives who started it.
//
// # Limits
//
// A program whose init functions must not run twice must not import this package: those that run before this package's
// run in the agents as well.
package agent

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"

	"github.com/userstack/userstack/internal/bench/load"
)

// Role is what an agent is.
type Role string

// The roles. The stack's and the kernel's near ends have their far ends in other processes, the last two have both.
const (
	Far    Role = "far"    // serves on the kernel's sockets
	Kernel Role = "kernel" // connects with the kernel's sockets
	Stack  Role = "stack"  // connects with a stack of ours on the device Descriptor
	Memory Role = "memory" // two stacks of ours and a wire in memory
	Local  Role = "local"  // the kernel's sockets, on its loopback
	Awake  Role = "awake"  // keeps the processors awake
)

// Config is what an agent is told.
type Config struct {
	Role Role `json:"role"`
	Link Link `json:"link,omitempty"` // of Stack
}

// Link says how a stack is to use its device.
type Link string

// The links.
const (
	Offload Link = "offload" // everything that device and link can do
	Latency Link = "latency" // the same, set for short round trips
	GRO     Link = "gro"     // a device without offload, and what the link makes up for it
	Naive   Link = "naive"   // a packet a system call, through water, as a simple program does it
)

// Descriptor is the number of the device's descriptor: the first of exec.Cmd.ExtraFiles.
const Descriptor = 3

// variable holds the Config of an agent.
const variable = "USERSTACK_BENCH_AGENT"

func init() {
	if text, ok := os.LookupEnv(variable); ok {
		os.Unsetenv(variable)
		os.Exit(agentMain(text))
	}
}

// Command makes the command that starts an agent. command is exec.Command, or that of another place such as
// namespace.Namespace.Command.
func Command(cfg Config, command func(name string, args ...string) *exec.Cmd) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	cmd := command(self)
	cmd.Env = append(os.Environ(), variable+"="+string(text), "GORACE=atexit_sleep_ms=0")
	return cmd, nil
}

func agentMain(text string) int {
	var cfg Config
	err := json.Unmarshal([]byte(text), &cfg)
	if err == nil {
		err = serve(cfg)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "userstack bench: agent %s: %v\n", cfg.Role, err)
		return 1
	}
	return 0
}

// serve is what an agent does until its standard input ends.
func serve(cfg Config) error {
	roles := map[Role]func(Config) (load.Ends, func(), error){
		Far:    kernelFar,
		Kernel: kernelNear,
		Local:  kernelBoth,
		Stack:  stackNear,
		Memory: stackBoth,
	}
	if cfg.Role == Awake {
		return stayAwake(os.Stdin, os.Stdout)
	}
	open, ok := roles[cfg.Role]
	if !ok {
		return fmt.Errorf("there is no such role")
	}
	ends, closeAll, err := open(cfg)
	if err != nil {
		return json.NewEncoder(os.Stdout).Encode(load.Reply{Error: err.Error()})
	}
	defer closeAll()
	ends.Account = load.SelfAccount
	return load.Serve(os.Stdin, os.Stdout, ends)
}
