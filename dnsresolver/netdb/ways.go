package netdb

import "strconv"

// way is a socket type and a protocol with the port of a service there.
type way struct {
	socktype, protocol int
	port               uint16
}

// ways are those that fit a service and the hints, at most the three of
// wayTable.
type ways struct {
	list [len(wayTable)]way
	n    int
}

func (w *ways) add(socktype, protocol, port int) {
	w.list[w.n] = way{socktype, protocol, uint16(port)}
	w.n++
}

// wayTable are the socket types in the order of glibc, with the protocol and
// its name in services(5). Raw sockets have any protocol and no services.
var wayTable = [...]struct {
	socktype, protocol int
	name               string
}{
	{SOCK_STREAM, IPPROTO_TCP, "tcp"},
	{SOCK_DGRAM, IPPROTO_UDP, "udp"},
	{SOCK_RAW, 0, ""},
}

// ways returns how a service can be reached (getaddrinfo(3)). With neither a
// type nor a protocol in the hints that is every way there is, raw sockets
// only for a service that is a number or none.
func (db *DB) ways(service string, hints Hints) (w ways, code EAI) {
	port, numeric, inRange := parsePort(service)
	if !numeric && hints.Flags&AI_NUMERICSERV != 0 {
		return w, EAI_NONAME
	}
	unhinted := hints.SockType == 0 && hints.Protocol == 0
	matched := false
	for _, t := range wayTable {
		raw := t.socktype == SOCK_RAW
		if hints.SockType != 0 && hints.SockType != t.socktype || hints.Protocol != 0 && hints.Protocol != t.protocol && !raw {
			continue
		}
		if matched && !unhinted {
			break // the first that fits the hints is the one
		}
		matched = true
		switch {
		case !inRange, raw && service != "" && (!unhinted || !numeric):
			continue // raw sockets have no services
		case raw:
			w.add(SOCK_RAW, hints.Protocol, port)
		case numeric:
			w.add(t.socktype, t.protocol, port)
		default:
			if s, ok := db.Services.ByName(service, t.name); ok {
				w.add(t.socktype, t.protocol, s.Port)
			}
		}
	}
	switch {
	case w.n > 0:
		return w, 0
	case !matched && hints.SockType != 0:
		return w, EAI_SOCKTYPE
	}
	return w, EAI_SERVICE
}

// parsePort reads a service that is a number: digits and nothing else. No
// service is port 0. inRange is false for a number over 65535.
func parsePort(service string) (port int, numeric, inRange bool) {
	if service == "" {
		return 0, true, true
	}
	if !isDigits(service) {
		return 0, false, true
	}
	n, err := strconv.ParseUint(service, 10, 16)
	return int(n), true, err == nil
}
