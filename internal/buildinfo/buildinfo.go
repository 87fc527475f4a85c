// Package buildinfo says what the running program was built from: the commit
// that the go command notes in a binary that it builds from a clone. Reports and
// `userstack version` name it.
package buildinfo

import "runtime/debug"

// Revision returns the commit, with "+dirty" where files had changed, or "" when
// the go command did not note it.
func Revision() (revision string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value + revision
		case s.Key == "vcs.modified" && s.Value == "true":
			revision += "+dirty"
		}
	}
	return revision
}
