package bench

import (
	"runtime"
	"runtime/debug"

	"github.com/userstack/userstack/internal/buildinfo"
)

// Machine is what a report was measured on, and with.
type Machine struct {
	System     string            `json:"system"` // GOOS/GOARCH
	Kernel     string            `json:"kernel,omitempty"`
	Processor  string            `json:"processor,omitempty"`
	Processors int               `json:"processors"`
	Go         string            `json:"go"`
	Commit     string            `json:"commit,omitempty"`   // of the source, with "+dirty" when it was changed
	Versions   map[string]string `json:"versions,omitempty"` // of the stack underneath and of the peers
}

// gvisorPath is the module of the stack underneath.
const gvisorPath = "gvisor.dev/gvisor"

func describe(chosen []Wire) Machine {
	m := Machine{
		System: runtime.GOOS + "/" + runtime.GOARCH, Processors: runtime.NumCPU(), Go: runtime.Version(),
		Kernel: kernelRelease(), Processor: processorModel(), Commit: buildinfo.Revision(), Versions: map[string]string{},
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == gvisorPath {
				m.Versions["gvisor"] = d.Version
			}
		}
	}
	if m.Commit == "" {
		m.Commit = checkoutCommit()
	}
	for _, w := range chosen {
		if w.version == nil {
			continue
		}
		if v := w.version(); v != "" {
			m.Versions[w.Name] = v
		}
	}
	return m
}
