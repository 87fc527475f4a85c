//go:build !linux

package bench

// namespaced is empty: network namespaces and TUN devices in them are of Linux.
var namespaced []Wire

// apart is here: there is no other place.
func apart(s *session) (commander, error) { return here(s) }

// removePrograms does nothing: no peer is built.
func removePrograms() error { return nil }
