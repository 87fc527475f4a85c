package dnsresolver

import "testing"

// Literals by family, as getaddrinfo(3) has them.
func TestLiteralFamilies(t *testing.T) {
	r := newNetwork(t).resolver(Config{NICs: func() []NIC { return []NIC{{Name: "tun0"}} }})
	for _, test := range []struct {
		host   string
		family Family
		want   string
		code   EAI
	}{
		{"127.1", AF_UNSPEC, "127.0.0.1", 0},
		{"127.1", AF_INET, "127.0.0.1", 0},
		{"127.1", AF_INET6, "", EAI_ADDRFAMILY},
		{"::1", AF_INET6, "::1", 0},
		{"::1", AF_INET, "", EAI_ADDRFAMILY},
		{"::ffff:1.2.3.4", AF_UNSPEC, "::ffff:1.2.3.4", 0},
		{"::ffff:1.2.3.4", AF_INET6, "::ffff:1.2.3.4", 0},
		{"::ffff:1.2.3.4", AF_INET, "1.2.3.4", 0},
		{"fe80::1%tun0", AF_UNSPEC, "fe80::1%tun0", 0},
		{"fe80::1%tun0", AF_INET, "", EAI_ADDRFAMILY},
		{"fe80::1%nope", AF_UNSPEC, "", EAI_NONAME},
		{"fe80::1%nope", AF_INET6, "", EAI_NONAME},
		{"fe80::1%nope", AF_INET, "", EAI_ADDRFAMILY},
	} {
		ans, err := r.Lookup(t.Context(), test.host, LookupOptions{Family: test.family})
		if test.code != 0 {
			wantCode(t, err, test.code)
			continue
		}
		if err != nil || len(ans.Addrs) != 1 || ans.Addrs[0].String() != test.want || ans.Name != test.host || ans.Source != SourceLiteral {
			t.Errorf("%s, family %d: %+v, %v", test.host, test.family, ans, err)
		}
	}
}
