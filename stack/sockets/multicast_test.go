package sockets_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/sockets"
)

// The interfaces of a host of the tables below: d0 is 2 with 10.77.0.1/24 and
// fd77::1/64 and has the default routes, d1 is 3 with 10.78.0.1/24 and
// fd78::1/64.
const d0, d1 = 2, 3

func twoLinkHost(t testing.TB) *sockets.Host {
	t.Helper()
	nic := func(name string, n int) stack.NIC {
		return stack.NIC{Name: name, Link: channel.New(16, 1500, ""), Addrs: []netip.Prefix{
			netip.MustParsePrefix(fmt.Sprintf("10.%d.0.1/24", n)), netip.MustParsePrefix(fmt.Sprintf("fd%d::1/64", n)),
		}}
	}
	s, err := stack.New(stack.Config{NICs: []stack.NIC{nic("d0", 77), nic("d1", 78)}})
	check(t, err)
	h, err := sockets.New(sockets.Config{Stack: s})
	check(t, err)
	t.Cleanup(func() {
		h.Close()
		s.Close()
	})
	return h
}

// An optionCall is a setsockopt on one of a table's sockets, and what Linux 6.18
// says to it. A multicast_linux_test asks the kernel of the machine as well.
type optionCall struct {
	on          string // "udp", "tcp6", … with anything after a blank to tell sockets apart
	level, name int
	value       []byte
	want        sockets.Errno
}

func (c optionCall) String() string {
	return fmt.Sprintf("%s: option %d of level %d set to %x", c.on, c.name, c.level, c.value)
}

// kind returns the arguments of socket(2) that the first word of a call's socket
// stands for.
func (c optionCall) kind() (f sockets.Family, typ sockets.Type, p sockets.Protocol) {
	word, _, _ := strings.Cut(c.on, " ")
	f = sockets.AF_INET
	if strings.HasSuffix(word, "6") {
		f, word = sockets.AF_INET6, strings.TrimSuffix(word, "6")
	}
	switch word {
	case "tcp":
		return f, sockets.SOCK_STREAM, 0
	case "udp":
		return f, sockets.SOCK_DGRAM, 0
	case "ping":
		return f, sockets.SOCK_DGRAM, map[sockets.Family]sockets.Protocol{sockets.AF_INET: 1, sockets.AF_INET6: 58}[f]
	case "raw":
		return f, sockets.SOCK_RAW, 254
	case "icmp":
		return f, sockets.SOCK_RAW, map[sockets.Family]sockets.Protocol{sockets.AF_INET: 1, sockets.AF_INET6: 58}[f]
	case "packet":
		return sockets.AF_PACKET, sockets.SOCK_DGRAM, 0
	}
	panic(c.on)
}

func int32Bytes(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }

// addrs4 concatenates IPv4 addresses, addrs6 IPv6 ones.
func addrs4(texts ...string) (b []byte) {
	for _, s := range texts {
		b = append(b, netip.MustParseAddr(s).AsSlice()...)
	}
	return b
}

func mreqn(group, local string, index int) []byte {
	return append(addrs4(group, local), int32Bytes(index)...)
}

func mreq6(group string, index int) []byte {
	return append(netip.MustParseAddr(group).AsSlice(), int32Bytes(index)...)
}

// storage is a struct sockaddr_storage.
func storage(text string) []byte {
	b := make([]byte, 128)
	a := netip.MustParseAddr(text)
	if a.Is4() {
		binary.LittleEndian.PutUint16(b, uint16(sockets.AF_INET))
		copy(b[4:], a.AsSlice())
	} else {
		binary.LittleEndian.PutUint16(b, uint16(sockets.AF_INET6))
		copy(b[8:], a.AsSlice())
	}
	return b
}

// groupReq is a struct group_req, or group_source_req with a source.
func groupReq(index int, addrs ...string) []byte {
	b := append(int32Bytes(index), 0, 0, 0, 0)
	for _, a := range addrs {
		b = append(b, storage(a)...)
	}
	return b
}

func msfilter(group, local string, mode int, sources ...string) []byte {
	return slices.Concat(addrs4(group, local), int32Bytes(mode), int32Bytes(len(sources)), addrs4(sources...))
}

func groupFilter(index int, group string, mode int, sources ...string) []byte {
	b := slices.Concat(groupReq(index, group), int32Bytes(mode), int32Bytes(len(sources)))
	for _, s := range sources {
		b = append(b, storage(s)...)
	}
	return b
}

// runCalls makes the calls of a table on one host's sockets.
func runCalls(t *testing.T, calls []optionCall, set func(c optionCall) sockets.Errno) {
	t.Helper()
	for i, c := range calls {
		if got := set(c); got != c.want {
			t.Errorf("call %d: %v: %v, want %v", i, c, got, c.want)
		}
	}
}

// setter makes the sockets of a table on a host as they are called for.
func setter(t *testing.T, h *sockets.Host) func(optionCall) sockets.Errno {
	made := map[string]*sockets.Socket{}
	return func(c optionCall) sockets.Errno {
		s := made[c.on]
		if s == nil {
			s = must[*sockets.Socket](t)(h.Socket(c.kind()))
			t.Cleanup(func() { s.Close() })
			made[c.on] = s
		}
		err := s.SetSockOpt(c.level, c.name, c.value)
		if err == nil {
			return 0
		}
		return err.(*sockets.Error).Num
	}
}

func TestMembershipErrors(t *testing.T) {
	for name, calls := range membershipTables {
		t.Run(name, func(t *testing.T) { runCalls(t, calls, setter(t, twoLinkHost(t))) })
	}
}

// A group that is joined while the socket is closed is left, or not joined.
func TestJoinWhileClosing(t *testing.T) {
	h := twoLinkHost(t)
	group := netip.MustParseAddr("239.9.9.9")
	for range 200 {
		s := must[*sockets.Socket](t)(h.UDP())
		joined := make(chan error)
		go func() {
			joined <- s.SetSockOpt(sockets.SOL_IP, sockets.IP_ADD_MEMBERSHIP, addrs4(group.String(), "0.0.0.0"))
		}()
		s.Close()
		if err := <-joined; err != nil {
			wantErrno(t, err, sockets.EBADF)
		}
		if in, terr := h.Stack().GVisor().IsInGroup(d0, tcpip.AddrFrom4(group.As4())); in || terr != nil {
			t.Fatalf("the group is joined when the socket is closed: %v, %v", in, terr)
		}
	}
}
