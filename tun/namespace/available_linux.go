package namespace

import "github.com/userstack/userstack/tun"

// Available returns nil when New and OpenTUN work on this machine for this
// user, and otherwise an error that names what is missing and the remedy. It
// finds out by trying, which takes tens of milliseconds.
func Available() error {
	n, err := New(Config{})
	if err != nil {
		return err
	}
	defer n.Close()
	dev, err := n.OpenTUN(tun.Config{})
	if err != nil {
		return err
	}
	return dev.Close()
}
