//go:build !linux && !darwin

package tun

const defaultBackend = Native

// Open is not available on this system.
func Open(config Config) (Device, error) {
	if _, err := config.normalize(); err != nil {
		return nil, err
	}
	return nil, errUnsupported("this system has no TUN backend")
}

// FromFD is not available on this system and leaves fd alone.
func FromFD(fd int, config Config) (Device, error) { return FromFDs([]int{fd}, config) }

// FromFDs is not available on this system and leaves fds alone.
func FromFDs([]int, Config) (Device, error) {
	return nil, errUnsupported("this system has no TUN backend")
}
