// Command userstack uses a TCP/IP stack that runs inside the process: a demonstration, and small tools that resolve,
// connect, listen, fetch and ping over it. "userstack help" lists them; each has a manual of its own.
//
// This package is wiring and nothing else: link.go makes a link of what --link says, network.go puts a stack, sockets
// and a resolver on it, and each subcommand has a file of its own name.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := withSignals(context.Background())
	code := run(ctx, newRoot(), os.Args[1:])
	stop()
	os.Exit(code)
}

// interrupted is why a context ended: a signal asked this process to.
type interrupted struct{ signal syscall.Signal }

func (i interrupted) Error() string { return i.signal.String() }

// withSignals returns a context that the first SIGINT or SIGTERM cancels, with the signal as the cause. The second finds
// its default action again, should closing hang. Its goroutine ends with the signal or with stop.
func withSignals(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		if !signal.Ignored(s) { // as nohup(1) and a shell's "&" have it
			signal.Notify(signals, s)
		}
	}
	go func() {
		select {
		case s := <-signals:
			signal.Stop(signals)
			cancel(interrupted{s.(syscall.Signal)})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}
