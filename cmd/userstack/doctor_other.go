//go:build !linux

package main

import "runtime"

// machineFindings says what only Linux has.
func machineFindings() []finding {
	return []finding{{
		Thing:   "operating system",
		Verdict: lacking,
		Found:   runtime.GOOS,
		Cost:    "--link netns and fd:, offload; --link tun: and tap: exist on macOS without them",
		Remedy:  "use Linux, or --link demo",
	}}
}
