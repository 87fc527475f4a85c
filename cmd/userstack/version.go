package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/userstack/userstack/internal/buildinfo"
)

// The modules whose versions say what this program is.
const (
	modulePath = "github.com/userstack/userstack"
	gvisorPath = "gvisor.dev/gvisor"
)

// versions are what "userstack version" prints, and the members of its JSON.
type versions struct {
	Userstack string `json:"userstack"`
	Revision  string `json:"revision,omitempty"` // of the source, with "+dirty" when it was changed
	GVisor    string `json:"gvisor"`
	Go        string `json:"go"`
	Platform  string `json:"platform"`
}

func newVersion() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:     "version",
		GroupID: groupMachine,
		Short:   "say which versions this program is made of",
		Long: `version prints the versions of userstack, of the gVisor stack in it, and of the
Go that it was built with.`,
		Example: "  userstack version\n  userstack version --json",
		Args:    noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := versionsOfBuild()
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), v)
			}
			text := v.Userstack
			if v.Revision != "" {
				text += ", revision " + v.Revision
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "userstack %s\ngvisor %s\n%s on %s\n", text, v.GVisor, v.Go, v.Platform)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func versionsOfBuild() versions {
	return versions{
		Userstack: versionOf(modulePath),
		Revision:  buildinfo.Revision(),
		GVisor:    versionOf(gvisorPath),
		Go:        runtime.Version(),
		Platform:  runtime.GOOS + "/" + runtime.GOARCH,
	}
}

// versionOf returns the version of a module that this program is built of.
func versionOf(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == path && m.Version != "" {
			return m.Version
		}
	}
	return "(devel)" // as the go command calls a module without a version
}
