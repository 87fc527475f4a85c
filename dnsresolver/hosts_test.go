package dnsresolver

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const hostsText = "\xEF\xBB\xBF127.0.0.1 localhost\r\n" + `
::1 localhost ip6-localhost
127.0.1.1 myhost.example.com myhost
192.0.2.100 multi.test alias1 Alias2.Test # comment
192.0.2.101 multi.test alias3
2001:db8::100 multi.test alias6
192.0.2.102 Upper.Case.Test
::ffff:192.0.2.103 mapped.test
fe80::5%lo zoned.test
127.1 oldform.test
0x7f.0.0.1 hexform.test
192.0.2.104	trail.test.
192.0.2.105 dual.test
192.0.2.100 multi.test
10.0.0.1
10.0.0.2 # only.comment
nonsense name.test
192.0.2.106 $(reboot) shell.test
`

func TestHosts(t *testing.T) {
	for _, test := range []struct {
		host   string
		family Family
		code   EAI // 0: want
		want   string
		name   string
	}{
		{"localhost", AF_UNSPEC, 0, "127.0.0.1 ::1", "localhost"},
		{"localhost.", AF_INET, 0, "127.0.0.1", "localhost"}, // glibc: twice
		{"multi.test", AF_UNSPEC, 0, "192.0.2.100 192.0.2.101 2001:db8::100", "multi.test"},
		{"MULTI.test.", AF_INET, 0, "192.0.2.100 192.0.2.101", "multi.test"},
		{"alias2.test", AF_INET, 0, "192.0.2.100", "multi.test"},
		{"alias6", AF_INET6, 0, "2001:db8::100", "multi.test"},
		{"alias6", AF_INET, EAI_NODATA, "", ""},
		{"upper.case.test", AF_UNSPEC, 0, "192.0.2.102", "Upper.Case.Test"},
		{"mapped.test", AF_UNSPEC, 0, "::ffff:192.0.2.103", "mapped.test"},
		{"mapped.test", AF_INET, 0, "192.0.2.103", "mapped.test"},
		{"zoned.test", AF_UNSPEC, 0, "fe80::5%lo", "zoned.test"}, // glibc: not found
		{"trail.test", AF_UNSPEC, 0, "192.0.2.104", "trail.test"},
		{"myhost", AF_UNSPEC, 0, "127.0.1.1", "myhost.example.com"},
		{"dual.test", AF_UNSPEC, 0, "192.0.2.105", "dual.test"},
		{"dual.test", AF_INET6, EAI_NODATA, "", ""}, // glibc asks DNS: the pin leaks
		{"oldform.test", AF_UNSPEC, EAI_NONAME, "", ""},
		{"hexform.test", AF_UNSPEC, EAI_NONAME, "", ""},
		{"only.comment", AF_UNSPEC, EAI_NONAME, "", ""},
		{"name.test", AF_UNSPEC, EAI_NONAME, "", ""},
		{"shell.test", AF_UNSPEC, 0, "192.0.2.106", "shell.test"},
		{"a4.test", AF_UNSPEC, 0, "192.0.2.1", "a4.test"}, // from DNS
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			r := n.resolver(Config{HostsText: hostsText, Servers: []Server{n.add("192.0.2.1", zone)}})
			ans, _, err := timed(r, test.host, test.family)
			if test.code != 0 {
				wantCode(t, err, test.code)
				return
			}
			if err != nil || !slices.Equal(ans.Addrs, addrs(strings.Fields(test.want)...)) || ans.Name != test.name {
				t.Errorf("%s, family %d: %+v, %v", test.host, test.family, ans, err)
			}
			if (ans.Source == SourceDNS) != (test.host == "a4.test") {
				t.Errorf("%s: from %v", test.host, ans.Source)
			}
		})
	}
}

// Config.Hosts comes before the file, and a name pinned to one family has no
// other unless HostsFallthrough says so.
func TestHostsMap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		cfg := Config{
			Hosts:     map[string][]netip.Addr{"Dual.Test": addrs("0.0.0.0"), "localhost": addrs("127.0.0.2")},
			HostsText: hostsText,
			Servers:   []Server{n.add("192.0.2.1", zone)},
		}
		r := n.resolver(cfg)
		ans, _, err := timed(r, "dual.test.", AF_UNSPEC)
		if err != nil || !slices.Equal(ans.Addrs, addrs("0.0.0.0")) || ans.Name != "Dual.Test" {
			t.Errorf("%+v, %v", ans, err)
		}
		_, _, err = timed(r, "dual.test", AF_INET6)
		wantCode(t, err, EAI_NODATA)
		if got := len(n.asked()); got != 0 {
			t.Errorf("%d queries for a pinned name", got)
		}
		ans, _, err = timed(r, "localhost", AF_INET)
		if err != nil || !slices.Equal(ans.Addrs, addrs("127.0.0.2")) {
			t.Errorf("localhost: %+v, %v", ans, err)
		}
		cfg.Options.HostsFallthrough = true
		r = n.resolver(cfg)
		ans, _, err = timed(r, "dual.test", AF_INET6)
		if err != nil || !slices.Equal(ans.Addrs, addrs("2001:db8::6", "2001:db8::7")) {
			t.Errorf("with fallthrough: %+v, %v", ans, err)
		}
	})
}

// Both files are read again when they change, however the change was made, at
// most once a second; a file that vanished keeps its last contents.
func TestFilesReload(t *testing.T) {
	dir := t.TempDir()
	hosts, conf := filepath.Join(dir, "hosts"), filepath.Join(dir, "resolv.conf")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(hosts, "192.0.2.1 h.test\n")
	write(conf, "nameserver 192.0.2.1\nnameserver 192.0.2.2\n")
	now := time.Now()
	r := newNetwork(t).resolver(Config{HostsFile: hosts, ResolvConf: conf})
	host := func() string {
		table, _, _ := r.hosts.get(now)
		return fmt.Sprint(table.Lookup("h.test").Addrs)
	}
	kept := r.settings(now).servers[1]
	kept.sample(time.Second)

	write(hosts, "192.0.2.2 h.test\n")
	write(conf, "nameserver 192.0.2.2\nnameserver 192.0.2.3\noptions ndots:3\n")
	if got := host(); got != "[192.0.2.1]" {
		t.Errorf("within a second: %s", got)
	}
	now = now.Add(2 * fileCheckInterval)
	if got := host(); got != "[192.0.2.2]" {
		t.Errorf("rewritten: %s", got)
	}
	s := r.settings(now)
	if s.ndots != 3 || len(s.servers) != 2 || s.servers[0] != kept {
		t.Errorf("settings %+v; a server that stays should keep its history", s)
	}

	// Another file under the same name.
	write(hosts+".new", "192.0.2.3 h.test\n")
	if err := os.Rename(hosts+".new", hosts); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * fileCheckInterval)
	if got := host(); got != "[192.0.2.3]" {
		t.Errorf("renamed over: %s", got)
	}

	// Same size and time stamp, just after it was read: the file had not
	// settled, so it is read again.
	info, err := os.Stat(hosts)
	if err != nil {
		t.Fatal(err)
	}
	write(hosts, "192.0.2.4 h.test\n")
	if err := os.Chtimes(hosts, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
	now = info.ModTime().Add(2 * fileCheckInterval)
	r.hosts.next.Store(0)
	r.hosts.current.Load().settled = false
	if got := host(); got != "[192.0.2.4]" {
		t.Errorf("changed within the clock's tick: %s", got)
	}
	if !r.hosts.current.Load().settled {
		t.Error("a file that was not touched for two seconds has not settled")
	}

	if err := os.Remove(hosts); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * fileCheckInterval)
	if got := host(); got != "[192.0.2.4]" {
		t.Errorf("removed: %s", got)
	}
	if _, _, err := r.hosts.get(now.Add(2 * fileCheckInterval)); !os.IsNotExist(err) {
		t.Errorf("removed: error %v", err)
	}
	if got, err := r.LookupNetIP(t.Context(), "ip", "h.test"); err != nil || !slices.Equal(got, addrs("192.0.2.4")) {
		t.Errorf("lookup: %v, %v", got, err)
	}
}

// no-reload in the file keeps it as it was.
func TestNoReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(path, []byte("options ndots:2 no-reload\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newNetwork(t).resolver(Config{ResolvConf: path})
	if err := os.WriteFile(path, []byte("options ndots:3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := r.settings(time.Now().Add(time.Hour)).ndots; got != 2 {
		t.Errorf("ndots %d, want 2", got)
	}
}
