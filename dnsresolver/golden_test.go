package dnsresolver

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/userstack/userstack/dnsresolver/netdb"
)

// goldenRow is one answer of glibc.
type goldenRow struct {
	networks []string
	fn       string
	args     string
	kind     string // "ok", "gai", "h"
	result   string
}

func goldenRows(t *testing.T) (rows []goldenRow) {
	t.Helper()
	text, err := os.ReadFile("testdata/glibc.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 5 {
			t.Fatalf("line %q", line)
		}
		rows = append(rows, goldenRow{strings.Split(f[0], ","), f[1], f[2], f[3], f[4]})
	}
	return rows
}

// goldenNetworks are the hosts on which glibc was asked.
var goldenNetworks = map[string]struct {
	routes routes
	addrs  []string
}{
	"V4V6": {routes{"127.0.0.0/8": "127.0.0.1", "::1/128": "::1", "0.0.0.0/0": "192.0.2.200", "::/0": "2001:db8::200"}, []string{"192.0.2.200/24", "2001:db8::200/64", "fe80::200/64"}},
	"V4":   {routes{"127.0.0.0/8": "127.0.0.1", "::1/128": "::1", "0.0.0.0/0": "192.0.2.200"}, []string{"192.0.2.200/24", "fe80::200/64"}},
	"V6":   {routes{"127.0.0.0/8": "127.0.0.1", "::1/128": "::1", "::/0": "2001:db8::200"}, []string{"2001:db8::200/64", "fe80::200/64"}},
	"X":    {routes{"127.0.0.0/8": "127.0.0.1", "::1/128": "::1"}, nil},
}

func goldenResolver(t *testing.T, network string) *Resolver {
	n := newNetwork(t)
	spec := goldenNetworks[network]
	nics := []NIC{{Name: "lo", Index: 1, Addrs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("::1/128")}}}
	if spec.addrs != nil {
		nics = append(nics, NIC{Name: "eth0", Index: 2})
	}
	for _, p := range spec.addrs {
		nics[1].Addrs = append(nics[1].Addrs, netip.MustParsePrefix(p))
	}
	hosts, err := os.ReadFile("testdata/glibc-hosts")
	if err != nil {
		t.Fatal(err)
	}
	return n.resolver(Config{
		Servers: []Server{n.add("127.0.0.53", zone)}, Timeout: 1e9, Attempts: 1,
		HostsText: string(hosts), Hostname: func() string { return "myhost.example.com" }, Search: []string{},
		Routes: spec.routes, NICs: func() []NIC { return nics },
	})
}

// call makes the call of a row and returns the result in the row's terms.
func (row *goldenRow) call(t *testing.T, r *Resolver) string {
	t.Helper()
	var args []any
	d := json.NewDecoder(strings.NewReader(row.args))
	d.UseNumber()
	if err := d.Decode(&args); err != nil {
		t.Fatalf("%s: %v", row.args, err)
	}
	var value any
	var err error
	ctx := t.Context()
	switch row.fn {
	case "getaddrinfo":
		value, err = goldenAddrInfo(t, r, args)
	case "gethostbyname":
		var addr netip.Addr
		addr, err = r.GetHostByName(ctx, args[0].(string))
		value = addr.String()
	case "gethostbyname_ex":
		var ent netdb.HostEnt
		ent, err = r.GetHostByNameEx(ctx, args[0].(string))
		value = hostEntValue(ent)
	case "gethostbyaddr":
		var ent netdb.HostEnt
		ent, err = r.GetHostByAddr(ctx, args[0].(string))
		value = hostEntValue(ent)
	case "getfqdn":
		value = r.GetFQDN(ctx, args[0].(string))
	case "getnameinfo":
		sa := args[0].([]any)
		addr := netip.MustParseAddr(sa[0].(string))
		if len(sa) == 4 && fmt.Sprint(sa[3]) != "0" {
			addr = addr.WithZone(fmt.Sprint(sa[3]))
		}
		var host, service string
		host, service, err = r.GetNameInfo(ctx, netip.AddrPortFrom(addr, uint16(number(sa[1]))), netdb.NI(number(args[1])))
		value = []string{host, service}
	default:
		t.Fatalf("function %s", row.fn)
	}
	var e *Error
	switch {
	case errors.As(err, &e) && e.H != 0:
		return "h " + strconv.Itoa(e.HErrno())
	case errors.As(err, &e):
		return "gai " + strconv.Itoa(e.GAICode())
	case err != nil:
		t.Fatalf("%s%s: %v is no *Error", row.fn, row.args, err)
	}
	b, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return "ok " + string(b)
}

func number(v any) int {
	n, err := strconv.Atoi(fmt.Sprint(v))
	if err != nil {
		panic(err)
	}
	return n
}

func hostEntValue(ent netdb.HostEnt) any {
	return []any{ent.Name, append([]string{}, ent.Aliases...), ent.Addrs}
}

// goldenAddrInfo returns the result of getaddrinfo as Python shows it.
func goldenAddrInfo(t *testing.T, r *Resolver, args []any) (any, error) {
	host, _ := args[0].(string) // nil is NULL
	service, _ := args[1].(string)
	list, err := r.GetAddrInfo(t.Context(), host, service, netdb.Hints{
		Family: Family(number(args[2])), SockType: number(args[3]), Protocol: number(args[4]), Flags: netdb.AI(number(args[5])),
	})
	var out [][]any
	for _, ai := range list {
		addr := ai.Addr.Addr()
		sa := []any{addr.WithZone("").String(), ai.Addr.Port()}
		if addr.Is6() {
			scope, err := strconv.Atoi(addr.Zone())
			if err != nil {
				scope = map[string]int{"": 0, "lo": 1, "eth0": 2}[addr.Zone()]
			}
			sa = append(sa, 0, scope)
		}
		out = append(out, []any{ai.Family, ai.SockType, ai.Protocol, ai.CanonName, sa})
	}
	return out, err
}

// goldenDiff is a difference from glibc: expressions for the call, our result
// and glibc's. No expression matches everything.
type goldenDiff struct {
	why      string
	networks string // with spaces between them; empty: all
	call     string // the function and its arguments
	ours     string
	glibc    string
}

// goldenDifferences are where we differ from glibc on purpose. A difference is
// covered by a row when all of the row's expressions match; each row must cover
// something.
var goldenDifferences = [...]goldenDiff{
	{
		why:  "a port has digits only and is at most 65535; glibc takes signs and spaces and the lower 16 bits",
		call: `^getaddrinfo.*,"( 80|\+80|-1|65536|70000)",`, ours: `^gai -[278]$`,
	}, {
		why:  "there is no SCTP",
		call: `^getaddrinfo.*,(5,0|5,132|1,132),[0-9]+\]$`, ours: `^gai -7$`,
	}, {
		why:  "there is no SCTP, so that protocol without a type is a raw socket's, which have no services",
		call: `^getaddrinfo.*,0,132,[0-9]+\]$`, ours: `^(gai -8|ok .*,3,132,.*)$`, glibc: `^ok .*,1,132,`,
	}, {
		why:      "AI_ADDRCONFIG goes by addresses that are neither loopback nor link-local, and not for literals, no host and the hosts file",
		networks: "V4 V6 X", call: `^getaddrinfo.*,(32|40)\]$`,
	}, {
		why:  "a name in the hosts file is answered from it alone",
		call: `"(dual.test|alias1|alias6)"`, ours: `^gai -5$`, glibc: `^(ok|gai -2)`,
	}, {
		why:  "::1 in the hosts file is no IPv4 address",
		call: `"ip6-localhost"`, ours: `^(gai -5|ok \[\[10,1,6,"",\["::1",80,0,0\]\]\])$`, glibc: `127\.0\.0\.1`,
	}, {
		why:  "no address is returned twice",
		call: `"localhost"`, ours: `127\.0\.0\.1`, glibc: `127\.0\.0\.1.*127\.0\.0\.1`,
	}, {
		why:  "an answer of another owner is no answer",
		call: `"(wrongowner|unchained)\.test"`, ours: `^gai -5$`,
	}, {
		why:  "the order of records in a message does not matter",
		call: `"rev\.test"`, ours: `^ok .*[.:]68"`, glibc: `^gai -[25]$`,
	}, {
		why:  "aliases that lead in a circle are a failure of the servers",
		call: `"loop\.test"`, ours: `^gai -4$`, glibc: `^gai -[25]$`,
	}, {
		why:  "all PTR records are returned",
		call: `^gethostbyaddr`, ours: `^ok \["one.test",\["uno.test"\]`, glibc: `^ok \["one.test",\[\]`,
	}, {
		why:  "every form of inet_aton is an address",
		call: `^gethostbyname_ex\["0x7f.1"\]`, ours: `^ok `, glibc: `^h 1$`,
	},
}

// goldenDifference returns the index of the row that covers a difference, or -1.
func goldenDifference(network, call, ours, glibc string) int {
	return slices.IndexFunc(goldenDifferences[:], func(d goldenDiff) bool {
		matches := func(expr, s string) bool { return regexp.MustCompile(expr).MatchString(s) }
		return (d.networks == "" || slices.Contains(strings.Fields(d.networks), network)) && matches(d.call, call) && matches(d.ours, ours) && matches(d.glibc, glibc)
	})
}

// TestGlibc compares every answer with glibc's.
func TestGlibc(t *testing.T) {
	rows := goldenRows(t)
	var seen [len(goldenDifferences)]int
	for network := range goldenNetworks {
		t.Run(network, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { compareGolden(t, network, rows, seen[:]) })
		})
	}
	for i, n := range seen {
		t.Logf("%4d answers differ: %s", n, goldenDifferences[i].why)
		if n == 0 {
			t.Errorf("nothing differs because %s", goldenDifferences[i].why)
		}
	}
}

func compareGolden(t *testing.T, network string, rows []goldenRow, seen []int) {
	r := goldenResolver(t, network)
	compared := 0
	for _, row := range rows {
		if !slices.Contains(row.networks, network) {
			continue
		}
		compared++
		call, glibc := row.fn+row.args, row.kind+" "+row.result
		ours := row.call(t, r)
		if ours == glibc {
			continue
		}
		if i := goldenDifference(network, call, ours, glibc); i >= 0 {
			seen[i]++
			continue
		}
		t.Errorf("%s: %s, glibc %s", call, ours, glibc)
	}
	if compared < 1900 {
		t.Errorf("%d rows", compared)
	}
}
