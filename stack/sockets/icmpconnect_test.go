package sockets_test

import (
	"errors"
	"testing"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/userstack/userstack/stack/sockets"
)

// TestICMPv6EndsConnect: each reason for which a destination cannot be reached
// ends an attempt to connect, with the errno of Linux's tab_unreach.
func TestICMPv6EndsConnect(t *testing.T) {
	a, b := pair(t)
	for code, want := range []sockets.Errno{
		sockets.ENETUNREACH, sockets.EACCES, sockets.EHOSTUNREACH, sockets.EHOSTUNREACH,
		sockets.ECONNREFUSED, sockets.EACCES, sockets.EACCES,
	} {
		const nobody6 = "fd99::9"
		s := tcpSocket6(t, a)
		s.SetBlocking(false)
		to := sockets.Inet6{Host: nobody6, Port: 80}
		if err := s.Connect(to); !errors.Is(err, sockets.EINPROGRESS) {
			t.Fatal(err)
		}
		unreachable6(t, b, header.ICMPv6Code(code), must[sockets.Sockaddr](t)(s.GetSockName()), to)
		wantPoll(t, s, ended|fault)
		if errno := soError(t, s); errno != want {
			t.Errorf("code %d: SO_ERROR is %v, want %v", code, errno, want)
		}
		if errno := soError(t, s); errno != 0 {
			t.Errorf("code %d: SO_ERROR tells %v again", code, errno)
		}
	}
}

func tcpSocket6(t *testing.T, h *sockets.Host) *sockets.Socket {
	t.Helper()
	s := must[*sockets.Socket](t)(h.Socket(sockets.AF_INET6, sockets.SOCK_STREAM, 0))
	t.Cleanup(func() { s.Close() })
	return s
}

// unreachable6 lets h send an ICMPv6 error about a TCP segment from one address
// to another.
func unreachable6(t *testing.T, h *sockets.Host, code header.ICMPv6Code, from, to sockets.Sockaddr) {
	t.Helper()
	src, dst := addr6(from.(sockets.Inet6).Host), addr6(to.(sockets.Inet6).Host)
	const quoted = header.IPv6MinimumSize + header.TCPMinimumSize
	p := make([]byte, header.IPv6MinimumSize+header.ICMPv6DstUnreachableMinimumSize+quoted)
	icmp := header.ICMPv6(p[header.IPv6MinimumSize:])
	icmp.SetType(header.ICMPv6DstUnreachable)
	icmp.SetCode(code)
	quote := icmp[header.ICMPv6DstUnreachableMinimumSize:]
	header.IPv6(quote).Encode(&header.IPv6Fields{PayloadLength: header.TCPMinimumSize,
		TransportProtocol: header.TCPProtocolNumber, HopLimit: 64, SrcAddr: src, DstAddr: dst})
	header.TCP(quote[header.IPv6MinimumSize:]).Encode(&header.TCPFields{SrcPort: uint16(from.(sockets.Inet6).Port),
		DstPort: uint16(to.(sockets.Inet6).Port), DataOffset: header.TCPMinimumSize})
	router := addr6(addrB6)
	icmp.SetChecksum(header.ICMPv6Checksum(header.ICMPv6ChecksumParams{Header: icmp, Src: router, Dst: src}))
	header.IPv6(p).Encode(&header.IPv6Fields{PayloadLength: uint16(len(icmp)),
		TransportProtocol: header.ICMPv6ProtocolNumber, HopLimit: 64, SrcAddr: router, DstAddr: src})
	for nic, info := range h.Stack().GVisor().NICInfo() {
		if info.Flags.Loopback {
			continue
		}
		if terr := h.Stack().GVisor().WriteRawPacket(nic, header.IPv6ProtocolNumber, buffer.MakeWithData(p)); terr != nil {
			t.Fatal(terr)
		}
	}
}
