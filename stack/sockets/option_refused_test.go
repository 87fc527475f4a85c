package sockets_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

// TestRefusedOptions wants every option that has a reason to be refused, or whose
// value can be, to be refused in words by some socket, and to change nothing.
func TestRefusedOptions(t *testing.T) {
	h, b := pair(t)
	var all []*sockets.Socket
	for _, k := range goldenKinds {
		if s, err := h.Socket(k.family, k.typ, k.proto); err == nil {
			defer s.Close()
			all = append(all, s)
		}
	}
	peer := mustSocket(t, b, sockets.AF_INET6, sockets.SOCK_DGRAM, 0)
	check(t, peer.Bind(sockets.Inet6{Port: 9}))
	connected := mustSocket(t, h, sockets.AF_INET6, sockets.SOCK_DGRAM, 0) // for IPV6_ADDRFORM
	check(t, connected.Connect(sockets.Inet6{Host: "::ffff:" + addrB, Port: 9}))
	all = append(all, connected)
	refused := 0
	for _, row := range sockets.OptionRows() {
		if row.Reason == "" {
			continue
		}
		refused++
		if !refusedByAny(t, all, row) {
			t.Errorf("no socket refuses %s in words", row.Label)
		}
	}
	if refused < 90 {
		t.Errorf("only %d options are refused", refused)
	}
}

// inUserstack is what sets our refusals apart from Linux's.
const inUserstack = " is refused by userstack: "

func inWords(err error) bool { return err != nil && strings.Contains(err.Error(), inUserstack) }

func refusedByAny(t *testing.T, all []*sockets.Socket, row sockets.OptionRow) bool {
	t.Helper()
	for _, s := range all {
		before, _ := s.GetSockOpt(row.Level, row.Name, 1024)
		for _, v := range [][]byte{
			{0, 0, 0, 0}, {1, 0, 0, 0}, {2, 0, 0, 0}, {0, 0x20, 0, 0}, {0xff, 0xff, 0, 0}, make([]byte, 40),
		} {
			err := s.SetSockOpt(row.Level, row.Name, v)
			if !inWords(err) {
				continue
			}
			if !errors.Is(err, sockets.ErrUnsupported) || !strings.HasSuffix(err.Error(), ": "+row.Label+inUserstack+row.Reason) {
				t.Errorf("%s: %v", row.Label, err)
			}
			if after, _ := s.GetSockOpt(row.Level, row.Name, 1024); string(after) != string(before) {
				t.Errorf("%s is % x after the refusal, % x before", row.Label, after, before)
			}
			return true
		}
	}
	return false
}

// A name that cannot be read, or that is not an option of the socket, says so.
func TestRefusalsInWords(t *testing.T) {
	a, _ := pair(t)
	tcp, udp := tcpSocket(t, a), udpSocket(t, a)
	for _, tc := range []struct {
		err  error
		want string
	}{
		{tcp.SetSockOptInt(sockets.SOL_SOCKET, sockets.SO_TYPE, 1), "SO_TYPE can only be read"},
		{second(tcp.GetSockOptInt(sockets.SOL_SOCKET, sockets.SO_RCVBUFFORCE)), "SO_RCVBUFFORCE can only be set"},
		{udp.SetSockOptInt(sockets.SOL_TCP, sockets.TCP_NODELAY, 1), "TCP_NODELAY does not apply to this socket"},
		{tcp.SetSockOptInt(sockets.SOL_SOCKET, 999, 1), "option 999 of level 1 is refused by userstack"},
	} {
		if tc.err == nil || !strings.HasSuffix(tc.err.Error(), tc.want) {
			t.Errorf("%v, want %q", tc.err, tc.want)
		}
	}
}

// U7: there are no UDP-Lite sockets to have its options.
func TestUDPLite(t *testing.T) {
	a, _ := pair(t)
	_, err := a.Socket(sockets.AF_INET, sockets.SOCK_DGRAM, 136)
	wantErrno(t, err, sockets.EPROTONOSUPPORT)
	u := udpSocket(t, a)
	wantErrno(t, u.SetSockOptInt(sockets.SOL_UDPLITE, sockets.UDPLITE_SEND_CSCOV, 8), sockets.ENOPROTOOPT)
	wantErrno(t, second(u.GetSockOptInt(sockets.SOL_UDPLITE, sockets.UDPLITE_RECV_CSCOV)), sockets.EOPNOTSUPP)
}

// T37: netstack looks at SO_REUSEADDR and SO_REUSEPORT when the socket binds,
// and does not look again.
func TestT37ReuseIsSampledAtBind(t *testing.T) {
	a, _ := pair(t)
	for _, name := range []int{sockets.SO_REUSEADDR, sockets.SO_REUSEPORT} {
		early, late := udpSocket(t, a), udpSocket(t, a)
		setInt(t, early, sockets.SOL_SOCKET, name, 1)
		check(t, early.Bind(sockets.Inet4{Host: addrA}))
		check(t, late.Bind(sockets.Inet4{Host: addrA}))
		setInt(t, late, sockets.SOL_SOCKET, name, 1)
		for s, want := range map[*sockets.Socket]sockets.Errno{early: 0, late: sockets.EADDRINUSE} {
			other := udpSocket(t, a)
			setInt(t, other, sockets.SOL_SOCKET, name, 1)
			err := other.Bind(must[sockets.Sockaddr](t)(s.GetSockName()))
			if want == 0 {
				check(t, err)
			} else {
				wantErrno(t, err, want)
			}
		}
	}
}
