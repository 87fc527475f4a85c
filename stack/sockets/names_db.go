package sockets

// GetProtoByName returns the number of an IP protocol (getprotobyname(3)). Names
// and aliases are case-sensitive: "tcp" and "TCP" are known, "Tcp" is not. An
// unknown one is ENOENT with the text "protocol not found".
func (h *Host) GetProtoByName(name string) (Protocol, error) {
	p, ok := h.protocols.ByName(name)
	if !ok {
		return 0, notFound("getprotobyname", name, "protocol not found")
	}
	return Protocol(p.Number), nil
}

// GetProtoByNumber returns the name and the aliases of an IP protocol
// (getprotobynumber(3)). An unknown one is ENOENT.
func (h *Host) GetProtoByNumber(n Protocol) (name string, aliases []string, err error) {
	p, ok := h.protocols.ByNumber(int(n))
	if !ok {
		return "", nil, notFound("getprotobynumber", "", "protocol not found")
	}
	return p.Name, append([]string(nil), p.Aliases...), nil
}

// GetServByName returns the port of a service (getservbyname(3)). The protocol
// is "tcp" or "udp"; "" is the first that has the service. Names and aliases are
// case-sensitive. An unknown one is ENOENT with the text "service/proto not
// found".
func (h *Host) GetServByName(name, proto string) (int, error) {
	s, ok := h.services.ByName(name, proto)
	if !ok {
		return 0, notFound("getservbyname", name, "service/proto not found")
	}
	return s.Port, nil
}

// GetServByPort returns the name of the service of a port (getservbyport(3)).
// The protocol is "tcp" or "udp"; "" is the first that has the port. A port
// outside 0 to 65535 is EINVAL, an unknown one ENOENT with the text "port/proto
// not found".
func (h *Host) GetServByPort(port int, proto string) (string, error) {
	if port < 0 || port > 0xffff {
		return "", &Error{Op: "getservbyport", Num: EINVAL, Msg: "the port is not in 0 to 65535"}
	}
	s, ok := h.services.ByPort(port, proto)
	if !ok {
		return "", notFound("getservbyport", "", "port/proto not found")
	}
	return s.Name, nil
}

// notFound is the error of a database, in the words of Python.
func notFound(op, name, text string) error {
	if name != "" {
		text += ": " + name
	}
	return &Error{Op: op, Num: ENOENT, Msg: text}
}
