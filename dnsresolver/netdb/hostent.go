package netdb

// HostEnt is what gethostbyname(3) and gethostbyaddr(3) return.
type HostEnt struct {
	Name    string   // the official name
	Aliases []string // other names
	Addrs   []string // at least one numeric address
}
