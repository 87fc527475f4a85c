package stack

import (
	"time"

	"gvisor.dev/gvisor/pkg/log"
)

// Netstack logs to standard error what single packets do, such as a source
// address that cannot be. A library must not write there, and a peer must not be
// able to make it. Counters tell the same (Stats). A program that wants the
// lines calls SetTarget and SetLevel of gVisor's log package in main.
func init() {
	log.SetLevel(log.Warning) // of the first target, which netstack's logger of martians keeps
	log.SetTarget(silence{})
}

type silence struct{}

// Emit implements log.Emitter.
func (silence) Emit(int, log.Level, time.Time, string, ...any) {}
