package dnsresolver

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
)

// split returns a network with a public server and one for corp.test, and a
// resolver that knows which is for what.
func split(t testing.TB, corp handler) (n *network, r *Resolver, public, private netip.AddrPort) {
	n = newNetwork(t)
	pub := n.add("192.0.2.1", func(q query, s sender) {
		switch q.name {
		case "lure.test": // an alias into the private domain, with an address of the server's own
			s.reply(q, message{answer: []rr{cname(q.name, "db.corp.test"), a("db.corp.test", "203.0.113.66")}})
		default:
			zone(q, s)
		}
	})
	priv := n.add("192.0.2.2", corp)
	r = n.resolver(Config{
		Servers: []Server{pub},
		Groups:  []Group{{Domains: []string{"corp.test", "10.in-addr.arpa"}, Servers: []Server{priv}}},
		Search:  []string{"corp.test", "s1.test"},
	})
	return n, r, pub.Addr, priv.Addr
}

func corp(q query, s sender) {
	switch q.name {
	case "db.corp.test":
		s.reply(q, message{answer: []rr{a(q.name, "10.0.0.5")}})
	case "out.corp.test":
		s.reply(q, message{answer: []rr{cname(q.name, "a4.test"), a("a4.test", "203.0.113.66")}})
	default:
		s.reply(q, message{rcode: rcodeNXDomain, authority: []rr{soa("corp.test")}})
	}
}

// Each name is asked of the servers of its domain, and what a server says of the
// other's names is not believed.
func TestSplitDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, r, _, private := split(t, corp)
		for name, want := range map[string]string{
			"db.corp.test":  "10.0.0.5",
			"DB.Corp.Test.": "10.0.0.5",
			"a4.test":       "192.0.2.1",
			"notcorp.test":  "",
			"db":            "10.0.0.5", // by the search list
			"lure.test":     "10.0.0.5", // the alias is followed at the right server
			"out.corp.test": "192.0.2.1",
		} {
			n.forget()
			ans, _, err := timed(r, name, AF_INET)
			if want == "" && err == nil || want != "" && (err != nil || ans.Addrs[0].String() != want) {
				t.Errorf("%s: %v, %v; want %s", name, ans.Addrs, err, want)
			}
			for _, q := range n.asked() {
				if corp := q.name == "corp.test" || strings.HasSuffix(q.name, ".corp.test"); corp != (q.server == private) {
					t.Errorf("%s: %s was asked of %v", name, q.name, q.server)
				}
			}
		}
	})
}

// S5: when the private servers are down, nobody else learns of their names.
func TestSplitDNSFailsClosed(t *testing.T) {
	for what, corp := range map[string]handler{"silent": silent, "refusing": rcode(rcodeRefused)} {
		synctest.Test(t, func(t *testing.T) {
			n, r, public, _ := split(t, corp)
			for _, name := range []string{"db.corp.test", "db.corp.test.", "lure.test", "db"} {
				n.forget()
				_, _, err := timed(r, name, AF_UNSPEC)
				wantCode(t, err, EAI_AGAIN)
				for _, q := range n.asked() {
					if strings.HasSuffix(q.name, "corp.test") && q.server == public {
						t.Errorf("%s: %s was asked of the public server", what, q.name)
					}
				}
			}
			n.forget()
			if _, err := r.LookupAddr(t.Context(), netip.MustParseAddr("10.1.2.3")); err == nil {
				t.Error("a reverse name was found")
			}
			for _, q := range n.asked() {
				if q.server == public {
					t.Errorf("%s: %s was asked of the public server", what, q.name)
				}
			}
		})
	}
}

func TestGroupValidation(t *testing.T) {
	n := newNetwork(t)
	for want, g := range map[string][]Group{
		"no domains":        {{}},
		"not a domain name": {{Domains: []string{"*.corp.test"}}},
		"has a group":       {{Domains: []string{"a.test"}}, {Domains: []string{"A.test."}}},
		"no address":        {{Domains: []string{"."}, Servers: []Server{{}}}},
		"more than 256":     make([]Group, maxGroups+1),
	} {
		_, err := New(Config{Transport: n, Groups: g})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
	}
}
