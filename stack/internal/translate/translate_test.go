package translate

import (
	"go/ast"
	"go/importer"
	"go/token"
	"go/types"
	"net/netip"
	"strings"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
)

func TestAddrRoundTrip(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"192.0.2.1", "192.0.2.1"},
		{"2001:db8::1", "2001:db8::1"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"::", "::"},
		{"0.0.0.0", "0.0.0.0"},
	} {
		if got := NetipAddr(Addr(netip.MustParseAddr(tc.in))); got != netip.MustParseAddr(tc.want) {
			t.Errorf("Addr(%s) = %v, want %s", tc.in, got, tc.want)
		}
	}
	if got := Addr(netip.Addr{}); got.Len() != 0 {
		t.Errorf("Addr of the zero value = %v, want the empty address", got)
	}
	if got := NetipAddr(tcpip.Address{}); got.IsValid() {
		t.Errorf("NetipAddr of the empty address = %v, want the zero value", got)
	}
}

func TestFullAddress(t *testing.T) {
	for _, any := range []string{"0.0.0.0:80", "[::]:80", "[::ffff:0.0.0.0]:80"} {
		full := FullAddress(netip.MustParseAddrPort(any), 3)
		if full.Addr.Len() != 0 || full.Port != 80 || full.NIC != 3 {
			t.Errorf("FullAddress(%s) = %+v, want the empty address, port 80, NIC 3", any, full)
		}
	}
	full := FullAddress(netip.MustParseAddrPort("[::ffff:192.0.2.1]:80"), 0)
	if full.Addr.Len() != 4 {
		t.Errorf("an IPv4-mapped address has %d bytes, want 4", full.Addr.Len())
	}
}

func TestSubnetRoundTrip(t *testing.T) {
	for _, s := range []string{"10.1.0.0/16", "0.0.0.0/0", "::/0", "fd00::/8", "192.0.2.1/32"} {
		if got := Prefix(Subnet(netip.MustParsePrefix(s))); got.String() != s {
			t.Errorf("Prefix(Subnet(%s)) = %v", s, got)
		}
	}
	if got := Prefix(Subnet(netip.MustParsePrefix("10.1.2.3/16"))); got.String() != "10.1.0.0/16" {
		t.Errorf("Subnet does not mask: %v", got)
	}
}

type newerError struct{ tcpip.Error }

// TestErrnoKnowsEveryError compares the table with the error types that the
// pinned gVisor exports, so that an update cannot add one unnoticed.
func TestErrnoKnowsEveryError(t *testing.T) {
	pkg, err := importer.ForCompiler(token.NewFileSet(), "source", nil).Import("gvisor.dev/gvisor/pkg/tcpip")
	if err != nil {
		t.Fatal(err)
	}
	iface := pkg.Scope().Lookup("Error").Type().Underlying().(*types.Interface)
	handled := errorTypesNamedInSwitches(t)
	seen := 0
	for _, name := range pkg.Scope().Names() {
		tn, ok := pkg.Scope().Lookup(name).(*types.TypeName)
		if !ok || !strings.HasPrefix(name, "Err") || !types.Implements(types.NewPointer(tn.Type()), iface) {
			continue
		}
		seen++
		if !handled[name] {
			t.Errorf("tcpip.%s has no errno of its own", name)
		}
	}
	if seen < 40 {
		t.Errorf("found only %d error types in gVisor, want at least 40: the search is broken", seen)
	}
	if got := Errno(newerError{}); got != eio {
		t.Errorf("an unknown error gives %d, want EIO", got)
	}
	if got := Errno(nil); got != 0 {
		t.Errorf("Errno(nil) = %d", got)
	}
}

func errorTypesNamedInSwitches(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, fn := range []string{"reachErrno", "stateErrno"} {
		ast.Inspect(funcDecl(t, "errno.go", fn), func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(sel.Sel.Name, "Err") {
				names[sel.Sel.Name] = true
			}
			return true
		})
	}
	return names
}
