package netdb

import (
	_ "embed" // the built-in databases
	"iter"
	"strconv"
	"strings"
	"sync"
)

// MaxServicesFile is the largest services or protocols file that is worth
// reading, in bytes; the parsers ignore what is beyond it.
const MaxServicesFile = 1 << 20

// Service is an entry of services(5).
type Service struct {
	Name    string
	Aliases []string
	Port    int    // 0 to 65535
	Proto   string // "tcp", "udp"
}

// Services is a database of services (services(5)). It is not changed after it
// was made; a nil *Services is that of DefaultServices.
type Services struct {
	byName map[serviceName]*Service
	byPort map[servicePort]*Service
}

// serviceName and servicePort are keys; an empty proto is the first entry of
// any.
type (
	serviceName struct{ name, proto string }
	servicePort struct {
		port  int
		proto string
	}
)

//go:embed data/services
var servicesText string

var defaultServices = sync.OnceValue(func() *Services { return ParseServices([]byte(servicesText)) })

// DefaultServices returns the built-in database: the choice of Debian's
// netbase from IANA's registry, 318 entries.
func DefaultServices() *Services { return defaultServices() }

// ParseServices reads a services file. Lines that make no sense are skipped, as
// glibc does. Where several entries have a name or a port, the first counts.
func ParseServices(text []byte) *Services {
	s := &Services{byName: make(map[serviceName]*Service), byPort: make(map[servicePort]*Service)}
	for fields := range fieldLines(text) {
		number, proto, ok := strings.Cut(fields[1], "/")
		port, err := strconv.ParseUint(number, 10, 16)
		if !ok || err != nil || proto == "" {
			continue
		}
		s.add(&Service{Name: fields[0], Aliases: fields[2:], Port: int(port), Proto: proto})
	}
	return s
}

func (s *Services) add(e *Service) {
	for _, proto := range [...]string{e.Proto, ""} {
		setFirst(s.byPort, servicePort{e.Port, proto}, e)
		setFirst(s.byName, serviceName{e.Name, proto}, e)
		for _, alias := range e.Aliases {
			setFirst(s.byName, serviceName{alias, proto}, e)
		}
	}
}

// ByName returns the entry of a name or an alias (getservbyname(3)). An empty
// proto is any. Names and protocols are case-sensitive.
func (s *Services) ByName(name, proto string) (Service, bool) {
	if s == nil {
		s = DefaultServices()
	}
	return deref(s.byName[serviceName{name, proto}])
}

// ByPort returns the first entry of a port (getservbyport(3)). An empty proto is
// any.
func (s *Services) ByPort(port int, proto string) (Service, bool) {
	if s == nil {
		s = DefaultServices()
	}
	return deref(s.byPort[servicePort{port, proto}])
}

// setFirst sets an entry unless there is one.
func setFirst[K comparable, V any](m map[K]*V, k K, v *V) {
	if m[k] == nil {
		m[k] = v
	}
}

func deref[T any](p *T) (v T, ok bool) {
	if p == nil {
		return v, false
	}
	return *p, true
}

// fieldLines yields the fields of each line that has two or more, without
// comments.
func fieldLines(text []byte) iter.Seq[[]string] {
	text = text[:min(len(text), MaxServicesFile)]
	return func(yield func([]string) bool) {
		for line := range strings.Lines(string(text)) {
			line, _, _ = strings.Cut(line, "#")
			if fields := strings.Fields(line); len(fields) > 1 && !yield(fields) {
				return
			}
		}
	}
}
