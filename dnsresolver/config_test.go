package dnsresolver

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestConfigErrors(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(big, maxResolvConf+1); err != nil {
		t.Fatal(err)
	}
	nine := make([]Server, maxServers+1)
	for want, c := range map[string]Config{
		"servers, more than":   {Servers: nine},
		"search domains, more": {Search: make([]string, maxSearch+1)},
		"ndots":                {Ndots: 16},
		"timeout":              {Timeout: time.Minute},
		"attempts":             {Attempts: -1},
		"HostsText given":      {HostsFile: "x", HostsText: "x"},
		"ResolvConfText given": {ResolvConf: "x", ResolvConfText: "x"},
		"no address":           {Servers: nine[:1]},
		"unknown protocol":     {Servers: []Server{{Addr: netip.MustParseAddrPort("192.0.2.1:53"), Proto: 9}}},
		"not a domain name":    {Search: []string{"a b"}},
		"invalid address":      {Hosts: map[string][]netip.Addr{"h": {{}}}},
		"no such file":         {HostsFile: filepath.Join(dir, "none")},
		"not a file":           {ResolvConf: dir},
		"larger than":          {ResolvConf: big},
	} {
		c.Transport = newNetwork(t)
		r, err := New(c)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "dnsresolver: ") {
			t.Errorf("%v, want %q", err, want)
		}
		if r != nil {
			t.Error("a resolver beside the error")
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("no error without a transport")
	}
}

func TestParseServer(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1:53", "192.0.2.1:5353": "192.0.2.1:5353", "2001:db8::1": "[2001:db8::1]:53",
		"[2001:db8::1]": "[2001:db8::1]:53", "[2001:db8::1]:5353": "[2001:db8::1]:5353", "fe80::1%tun0": "[fe80::1%tun0]:53",
		"tcp://192.0.2.1": "tcp://192.0.2.1:53", "udp://192.0.2.1:1": "192.0.2.1:1",
	} {
		s, err := ParseServer(text)
		if err != nil || s.String() != want {
			t.Errorf("%s: %v, %v, want %s", text, s, err, want)
			continue
		}
		if again, err := ParseServer(s.String()); err != nil || again != s {
			t.Errorf("%v does not read back: %v, %v", s, again, err)
		}
	}
	for _, text := range []string{"", "host", "192.0.2.1:", "192.0.2.1:70000", "192.0.2.1 ", "quic://192.0.2.1", "::1:53:x", "]["} {
		if s, err := ParseServer(text); err == nil {
			t.Errorf("%q: %v", text, s)
		}
	}
}
