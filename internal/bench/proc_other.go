//go:build !linux

package bench

import (
	"math"

	"github.com/userstack/userstack/internal/bench/load"
)

// Other systems have no /proc: what processors and memory did is not known there.

func accountOf(int) load.Account   { return load.Account{} }
func softirqAccount() load.Account { return load.Account{} }
func machineTicks() ticks          { return ticks{} }
func slab() uint64                 { return 0 }
func resident(int) uint64          { return 0 }
func maxFiles() int                { return math.MaxInt32 }
