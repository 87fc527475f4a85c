package netdb

import (
	_ "embed" // the built-in database
	"strconv"
	"sync"
)

// Protocol is an entry of protocols(5).
type Protocol struct {
	Name    string
	Aliases []string
	Number  int // 0 to 255, or Linux's above them, such as 262 for MPTCP
}

// Protocols is a database of IP protocols (protocols(5)). It is not changed
// after it was made; a nil *Protocols is that of DefaultProtocols.
type Protocols struct {
	byName   map[string]*Protocol
	byNumber map[int]*Protocol
}

//go:embed data/protocols
var protocolsText string

var defaultProtocols = sync.OnceValue(func() *Protocols { return ParseProtocols([]byte(protocolsText)) })

// DefaultProtocols returns the built-in database: the choice of Debian's
// netbase from IANA's registry, 57 entries.
func DefaultProtocols() *Protocols { return defaultProtocols() }

// ParseProtocols reads a protocols file. Lines that make no sense are skipped.
// Where several entries have a name or a number, the first counts.
func ParseProtocols(text []byte) *Protocols {
	p := &Protocols{byName: make(map[string]*Protocol), byNumber: make(map[int]*Protocol)}
	for fields := range fieldLines(text) {
		number, err := strconv.ParseUint(fields[1], 10, 16)
		if err != nil {
			continue
		}
		e := &Protocol{Name: fields[0], Aliases: fields[2:], Number: int(number)}
		setFirst(p.byNumber, e.Number, e)
		setFirst(p.byName, e.Name, e)
		for _, alias := range e.Aliases {
			setFirst(p.byName, alias, e)
		}
	}
	return p
}

// ByName returns the entry of a name or an alias (getprotobyname(3)). It is
// case-sensitive: "tcp" is a name, "TCP" an alias, "Tcp" nothing.
func (p *Protocols) ByName(name string) (Protocol, bool) {
	if p == nil {
		p = DefaultProtocols()
	}
	return deref(p.byName[name])
}

// ByNumber returns the first entry of a number (getprotobynumber(3)).
func (p *Protocols) ByNumber(number int) (Protocol, bool) {
	if p == nil {
		p = DefaultProtocols()
	}
	return deref(p.byNumber[number])
}
