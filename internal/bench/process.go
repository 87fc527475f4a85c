package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/userstack/userstack/internal/bench/load"
)

// patience is how long a process has to end when its standard input has, before it is killed.
const patience = 5 * time.Second

// process is a program of a wire, which ends when its standard input does.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *json.Decoder
	pid   int // of the program that serves, which may be a child of the command
	said  tailBuffer
}

// launch starts a program that speaks to load.Serve's protocol and waits for its first word.
func launch(ctx context.Context, at place, name string, cmd *exec.Cmd) (*process, load.Reply, error) {
	p := &process{name: name, cmd: cmd}
	cmd.Stderr = &p.said
	var first load.Reply
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, first, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, first, err
	}
	p.stdin, p.lines = stdin, json.NewDecoder(stdout)
	if err := at.start(cmd); err != nil {
		return nil, first, fmt.Errorf("%s: %w", name, err)
	}
	first, err = p.receive(ctx)
	if err != nil {
		return nil, first, errors.Join(err, p.close())
	}
	p.pid = first.PID
	return p, first, nil
}

// ask sends a request and waits for its answer.
func (p *process) ask(ctx context.Context, ask load.Ask) (load.Reply, error) {
	if err := json.NewEncoder(p.stdin).Encode(ask); err != nil {
		return load.Reply{}, p.wrong(ctx, err)
	}
	return p.receive(ctx)
}

func (p *process) receive(ctx context.Context) (r load.Reply, err error) {
	stop := context.AfterFunc(ctx, func() { p.cmd.Process.Kill() })
	defer stop()
	if err := p.lines.Decode(&r); err != nil {
		return r, p.wrong(ctx, err)
	}
	if r.Error != "" {
		return r, fmt.Errorf("%s: %s", p.name, r.Error)
	}
	return r, nil
}

// wrong says what went wrong with the process itself.
func (p *process) wrong(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if said := p.said.String(); said != "" {
		return fmt.Errorf("%s has ended: %s", p.name, said)
	}
	return fmt.Errorf("%s has ended: %w", p.name, err)
}

// close ends the process and waits for its end.
func (p *process) close() error {
	p.stdin.Close()
	kill := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	defer kill.Stop()
	p.cmd.Wait() // how it ends does not matter any more
	return nil
}

// tailBuffer keeps the end of what is written to it.
type tailBuffer struct {
	mu  sync.Mutex
	end []byte
}

const tailSize = 2000 // bytes, some lines

func (b *tailBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end = append(b.end, p...)
	if extra := len(b.end) - tailSize; extra > 0 {
		b.end = append(b.end[:0], b.end[extra:]...)
	}
	return len(p), nil
}

func (b *tailBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(strings.Fields(string(b.end)), " ")
}
