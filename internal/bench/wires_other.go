//go:build !linux

package bench

import "github.com/userstack/userstack/tun/namespace"

// equip says that there are no namespaces.
func equip(w *Wire) { w.missing = namespace.Available }

// apart is here: there is no other place.
func apart(s *session) (commander, error) { return here(s) }

// removePrograms does nothing: no peer is built.
func removePrograms() error { return nil }
