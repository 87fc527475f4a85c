package dnsresolver

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

func TestParseResolvConf(t *testing.T) {
	for _, test := range []struct {
		text string
		want string // of describe
	}{
		{"", ""},
		{"nameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver fe80::1%tun0\n", "192.0.2.1:53 [2001:db8::1]:53 [fe80::1%tun0]:53"},
		{"nameserver 192.0.2.1 192.0.2.2 # the rest is ignored", "192.0.2.1:53"},
		{"nameserver 192.0.2.1\nnameserver 192.0.2.1\n", "192.0.2.1:53"},
		{"nameserver\t192.0.2.1\r\nnameserver   192.0.2.2\r\n", "192.0.2.1:53 192.0.2.2:53"},
		{"\xEF\xBB\xBFnameserver 192.0.2.1\n", "192.0.2.1:53"},
		{"  nameserver 192.0.2.1\n", "192.0.2.1:53"},
		{"# nameserver 192.0.2.1\n; nameserver 192.0.2.2\n", ""},
		{"nameserver 127.1\nnameserver host\nnameserver\n", "!nameserver 127.1: not an address !nameserver host: not an address !nameserver: without a value"},
		{"search a.test b.test.\n", "search=a.test,b.test"},
		{"search a.test\nsearch b.test c.test\n", "search=b.test,c.test"},
		{"search a.test\ndomain b.test c.test\n", "search=b.test"},
		{"domain a.test\nsearch b.test\n", "search=b.test"},
		{"search\n", "search="},
		{"search . a\n", "search=,a"},
		{"search a..b ok -x\n", "search=ok !search a..b: not a domain name !search -x: not a domain name"},
		{"options ndots:0", "ndots=0"},
		{"options ndots:99 timeout:99 attempts:99", "ndots=15 timeout=30s attempts=5"},
		{"options timeout:0 attempts:0", "timeout=1s attempts=1"},
		{"options ndots:-1 ndots:x timeout: attempts:1.5", "!options ndots:-1: not a number !options ndots:x: not a number !options timeout:: not a number !options attempts:1.5: not a number"},
		{"options rotate use-vc\noptions trust-ad", "{Rotate UseVC TrustAD}"},
		{"options single-request no-aaaa no_tld_query strict-error edns0", "{SingleRequest NoAAAA NoTLDQuery StrictError}"},
		{"options single-request-reopen no-tld-query", "{SingleRequest NoTLDQuery}"},
		{"options rotate -rotate -edns0", "{NoEDNS0}"},
		{"options no-reload", "no-reload"},
		{"options no-reload -no-reload", ""},
		{"options inet6 debug bogus bogus x:1", "!options inet6: ignored (removed from glibc in 2.25) !options debug: ignored (use Config.Trace) !options bogus: unknown !options x:1: unknown"},
		{"lookup file bind\nfamily inet4\n", "!lookup: unknown keyword !family: unknown keyword"},
		{"sortlist 130.155.160.0/255.255.240.0 130.155.0.0 10.0.0.1 192.0.2.9 2001:db8::1/32 1.2.3.4/9",
			"sort=130.155.160.0/20,130.155.0.0/16,10.0.0.0/8,192.0.2.0/24,2001:db8::/32,1.0.0.0/9"},
		{"sortlist 1.2.3.4/33 1.2.3.4/255.0.255.0 x 1.2.3.4/ 1::/1.2.3.4",
			"!sortlist 1.2.3.4/33: not a network !sortlist 1.2.3.4/255.0.255.0: not a network !sortlist x: not a network !sortlist 1.2.3.4/: not a network !sortlist 1::/1.2.3.4: not a network"},
	} {
		if got := describe(parseResolvConf([]byte(test.text))); got != test.want {
			t.Errorf("%q:\n got %s\nwant %s", test.text, got, test.want)
		}
	}
}

// describe returns everything in c that is not a default.
func describe(c *resolvConf) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	for _, s := range c.servers {
		add("%v", s)
	}
	if c.search != nil {
		add("search=%s", strings.Join(c.search, ","))
	}
	if c.sortlist != nil {
		var list []string
		for _, p := range c.sortlist {
			list = append(list, p.String())
		}
		add("sort=%s", strings.Join(list, ","))
	}
	if c.ndots >= 0 {
		add("ndots=%d", c.ndots)
	}
	if c.timeout != 0 {
		add("timeout=%v", c.timeout)
	}
	if c.attempts != 0 {
		add("attempts=%d", c.attempts)
	}
	if c.options != (Options{}) {
		var on []string
		for _, word := range strings.Fields(strings.Trim(fmt.Sprintf("%+v", c.options), "{}")) {
			if name, ok := strings.CutSuffix(word, ":true"); ok {
				on = append(on, name)
			}
		}
		add("{%s}", strings.Join(on, " "))
	}
	if c.noReload {
		add("no-reload")
	}
	for _, w := range c.warnings {
		add("!%s", w)
	}
	return strings.Join(parts, " ")
}

func TestResolvConfLimits(t *testing.T) {
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "nameserver 192.0.2.%d\nsortlist 10.%d.0.0/16\n", i, i)
	}
	b.WriteString("search")
	for i := range 100 {
		fmt.Fprintf(&b, " s%d.test", i)
	}
	c := parseResolvConf([]byte(b.String()))
	if len(c.servers) != maxServers || len(c.search) != maxSearch || len(c.sortlist) != maxSortlist || len(c.warnings) != maxWarnings {
		t.Errorf("%d servers, %d search, %d sortlist, %d warnings", len(c.servers), len(c.search), len(c.sortlist), len(c.warnings))
	}
}

// Config wins over the environment, that over the file, that over the defaults.
func TestPrecedence(t *testing.T) {
	const text = "nameserver 192.0.2.1\nsearch file.test\noptions ndots:2 timeout:3 attempts:4 rotate"
	host := func() string { return "me.host.test" }
	for _, test := range []struct {
		cfg  Config
		env  map[string]string
		want string
	}{
		{Config{}, nil, "[] [] 1 5s 2 {}"},
		{Config{Hostname: host}, nil, "[] [host.test] 1 5s 2 {}"},
		{Config{Hostname: func() string { return "me" }}, nil, "[] [] 1 5s 2 {}"},
		{Config{ResolvConfText: text, Hostname: host}, nil, "[192.0.2.1:53] [file.test] 2 3s 4 {Rotate}"},
		{Config{ResolvConfText: text}, map[string]string{"RES_OPTIONS": "ndots:9", "LOCALDOMAIN": "env.test"}, "[192.0.2.1:53] [file.test] 2 3s 4 {Rotate}"},
		{
			Config{ResolvConfText: text, Options: Options{UseEnv: true}},
			map[string]string{"RES_OPTIONS": "ndots:9 timeout:7 use-vc", "LOCALDOMAIN": "env.test env2.test"},
			"[192.0.2.1:53] [env.test env2.test] 9 7s 4 {Rotate UseVC UseEnv}",
		},
		{
			Config{
				ResolvConfText: text, Ndots: 3, Timeout: time.Second, Attempts: 1, Search: []string{},
				Servers: []Server{{Addr: netip.MustParseAddrPort("192.0.2.9:5353")}, {Addr: netip.MustParseAddrPort("192.0.2.8:0"), Proto: ProtoTCP}},
				Options: Options{NoAAAA: true},
			},
			nil, "[192.0.2.9:5353 tcp://192.0.2.8:53] [] 3 1s 1 {Rotate NoAAAA}",
		},
	} {
		for k, v := range test.env {
			t.Setenv(k, v)
		}
		r := newNetwork(t).resolver(test.cfg)
		s := r.current.Load()
		options := describe(&resolvConf{ndots: -1, options: s.options})
		if options == "" {
			options = "{}"
		}
		if got := fmt.Sprintf("%v %v %d %v %d %s", r.Servers(), s.search, s.ndots, s.timeout, s.attempts, options); got != test.want {
			t.Errorf("got %s\nwant %s", got, test.want)
		}
	}
}

// rotate begins with another server each time, and all are asked first equally
// often.
func TestRotate(t *testing.T) {
	r := newNetwork(t).resolver(Config{ResolvConfText: "nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\noptions rotate"})
	first := map[string]int{}
	for range 9 {
		order := r.serverOrder(r.current.Load(), &r.current.Load().group, time.Now())
		if len(order) != 3 {
			t.Fatal(order)
		}
		first[order[0].String()]++
	}
	for s, n := range first {
		if n != 3 {
			t.Errorf("%s first %d times of 9", s, n)
		}
	}
}

func FuzzResolvConf(f *testing.F) {
	f.Add([]byte("nameserver 192.0.2.1\nsearch a b\noptions ndots:2 -edns0 rotate\nsortlist 10.0.0.0/8 1.2.3.4/255.0.0.0\n"))
	f.Add([]byte("search \xff . ..\noptions ndots:99999999999999999999\nnameserver fe80::1%%\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c := parseResolvConf(text)
		if len(c.servers) > maxServers || len(c.search) > maxSearch || len(c.warnings) > maxWarnings ||
			c.ndots < -1 || c.ndots > maxNdots || c.timeout < 0 || c.timeout > maxTimeout || c.attempts < 0 || c.attempts > maxAttempts {
			t.Fatalf("out of bounds: %+v", c)
		}
		for _, domain := range c.search {
			if domain != "" && !netdb.IsHostname(domain) {
				t.Fatalf("search domain %q", domain)
			}
		}
		for _, p := range c.sortlist {
			if !p.IsValid() || p != p.Masked() {
				t.Fatalf("sortlist entry %v", p)
			}
		}
		s := (&Config{}).settings(c, environment(Options{}), nil, nil)
		for _, name := range s.candidates("host") {
			if !netdb.IsHostname(name) || slices.Index(s.candidates("host"), name) < 0 {
				t.Fatalf("candidate %q", name)
			}
		}
	})
}
