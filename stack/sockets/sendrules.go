package sockets

// Options that sending and connecting calls ask for, or that are too common for a
// record of their own: the bits of description.sendRules.
const (
	whole4    = 1 << iota // IP_MTU_DISCOVER: do not fragment
	whole6                // IPV6_MTU_DISCOVER: the same
	dontFrag              // IPV6_DONTFRAG
	dontRoute             // SO_DONTROUTE
	ownRange              // IP_LOCAL_PORT_RANGE
	noDelay               // TCP_NODELAY
)

// rules reports whether the socket has any of the rules.
func (d *description) rules(bits uint32) bool { return d.sendRules.Load()&bits != 0 }

func (d *description) setRule(bit uint32, on bool) {
	if on {
		d.sendRules.Or(bit)
	} else {
		d.sendRules.And(^bit)
	}
}
