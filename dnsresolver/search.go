package dnsresolver

import (
	"slices"
	"strings"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

// candidates returns the names to ask DNS for, in order, without final dots
// (resolv.conf(5), search and ndots). A name that ends in a dot is asked as it
// is. Names that would be too long are left out.
func (s *settings) candidates(host string) []string {
	if bare, rooted := strings.CutSuffix(host, "."); rooted {
		return []string{bare}
	}
	if s.isMDNS(host) {
		return []string{host} // a name of the link is nothing to tell servers of other domains
	}
	dots := strings.Count(host, ".")
	list := make([]string, 0, 1+len(s.search))
	add := func(name string) {
		if len(name) <= netdb.MaxName && !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	asIs := !(s.options.NoTLDQuery && dots == 0 && len(s.search) > 0)
	if asIs && dots >= s.ndots {
		add(host)
	}
	for _, domain := range s.search {
		switch {
		case domain != "":
			add(host + "." + domain)
		case asIs:
			add(host) // "search ." asks for the name as it is in its place
		}
	}
	if asIs {
		add(host) // no effect when it is there already
	}
	return list
}

// asIsFirst reports whether the first candidate is host itself.
func (s *settings) asIsFirst(host string) bool {
	if strings.HasSuffix(host, ".") {
		return true
	}
	dots := strings.Count(host, ".")
	asIs := !(s.options.NoTLDQuery && dots == 0 && len(s.search) > 0)
	return asIs && (dots >= s.ndots || len(s.search) == 0)
}

// endsSearch reports whether no further candidate is to be tried after one that
// ended with st. Silence ends the search: to go on after a loss of packets might
// find another host of a similar name.
func (o Options) endsSearch(st status) bool {
	return st >= statusUnanswered || o.StrictSearch && st.failed()
}

// searchStatus returns the status of a candidate as the search list sees it.
// Some resolvers answer SERVFAIL or REFUSED for any name of one label; that
// means "not here".
func searchStatus(candidate string, st status) status {
	if st == statusTemporary && !strings.Contains(candidate, ".") {
		return statusNXDomain
	}
	return st
}
