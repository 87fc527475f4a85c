package rtnetlink_test

import (
	"encoding/binary"
	"net"
	"slices"
	"syscall"
	"testing"

	"github.com/userstack/userstack/supervise/internal/rtnetlink"
)

// Go's net package reads interfaces with these functions.
func TestGoReadsIt(t *testing.T) {
	s := newStack(t)
	names, addrs := []string{}, []string{}
	for _, kind := range []uint16{18, 22} {
		for _, d := range rtnetlink.Answer(s, rtnetlink.Client{}, message(kind, dump, []byte{0})) {
			ms, err := syscall.ParseNetlinkMessage(d)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range ms {
				if m.Header.Type == syscall.NLMSG_DONE {
					continue
				}
				as, err := syscall.ParseNetlinkRouteAttr(&m)
				if err != nil {
					t.Fatal(err)
				}
				for _, a := range as {
					switch {
					case m.Header.Type == syscall.RTM_NEWLINK && a.Attr.Type == syscall.IFLA_IFNAME:
						names = append(names, string(a.Value[:len(a.Value)-1]))
					case m.Header.Type == syscall.RTM_NEWADDR && a.Attr.Type == syscall.IFA_ADDRESS:
						addrs = append(addrs, net.IP(a.Value).String())
					}
				}
			}
		}
	}
	if want := []string{"lo", "tun0", "eth0"}; !slices.Equal(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
	want := []string{"127.0.0.1", "10.0.0.2", "10.0.0.3", "192.168.7.2", "::1", "fd00::2", "fe80::ff:fe00:9"}
	if !slices.Equal(addrs, want) {
		t.Errorf("addresses %q, want %q", addrs, want)
	}
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Log("the other tests of this package take the machine to have the lowest byte first")
	}
}
