package sockets_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/userstack/userstack/stack/sockets"
)

// assemble returns a program as struct sock_filter has it.
func assemble(t *testing.T, code ...bpf.Instruction) (b []byte) {
	t.Helper()
	for _, raw := range must[[]bpf.RawInstruction](t)(bpf.Assemble(code)) {
		b = binary.LittleEndian.AppendUint16(b, raw.Op)
		b = append(b, raw.Jt, raw.Jf)
		b = binary.LittleEndian.AppendUint32(b, raw.K)
	}
	return b
}

// onlyPort is what "tcpdump -y RAW -dd udp dst port 5001" gives for IPv4, cut to
// 30 bytes, for datagrams that begin at skip.
func onlyPort(t *testing.T, skip, keep uint32) []byte {
	return assemble(t,
		bpf.LoadAbsolute{Off: skip + 2, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: groupPort, SkipTrue: 0, SkipFalse: 1},
		bpf.RetConstant{Val: keep},
		bpf.RetConstant{Val: 0},
	)
}

func TestAttachFilter(t *testing.T) {
	h := twoLinkHost(t)
	in := member(t, h, sockets.AF_INET)
	other := udpSocket(t, h)
	check(t, other.Bind(sockets.Inet4{Port: groupPort + 1}))
	raw, eye := rawSocket(t, h, sockets.AF_INET, sockets.IPPROTO_UDP), packetSocket(t, h, sockets.SOCK_DGRAM, sockets.ETH_P_IP)
	check(t, raw.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_ATTACH_FILTER, onlyPort(t, 20, 100)))
	check(t, eye.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_ATTACH_FILTER, onlyPort(t, 20, 30)))
	// A UDP socket's program sees the UDP header.
	check(t, in.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_ATTACH_FILTER, assemble(t,
		bpf.LoadAbsolute{Off: 8, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 'y', SkipTrue: 0, SkipFalse: 1},
		bpf.RetConstant{Val: 8 + 3},
		bpf.RetConstant{Val: 0})))
	out := udpSocket(t, h)
	for _, text := range []string{"no", "yes and more"} {
		must[int](t)(out.SendTo([]byte(text), sockets.Inet4{Host: "127.0.0.1", Port: groupPort + 1}))
		must[int](t)(out.SendTo([]byte(text), sockets.Inet4{Host: "127.0.0.1", Port: groupPort}))
	}
	wantText(t, in, "yes")
	nothing(t, in)
	for _, s := range []*sockets.Socket{raw, eye} {
		for _, want := range []string{"no", "yes and more"} {
			p, _ := receive(t, s)
			if s == eye {
				want = want[:2]
			}
			if !bytes.HasSuffix(p, []byte(want)) || binary.BigEndian.Uint16(p[22:]) != groupPort {
				t.Errorf("received %q, want %q", p, want)
			}
		}
		nothing(t, s)
	}
}

// The errors are Linux's (sk_attach_filter, sk_detach_filter).
func TestFilterErrors(t *testing.T) {
	h := twoLinkHost(t)
	s := udpSocket(t, h)
	set := func(name int, v []byte, want sockets.Errno) {
		t.Helper()
		answer(t, s.SetSockOpt(sockets.SOL_SOCKET, name, v), want)
	}
	get := func(want []byte) {
		t.Helper()
		if v := must[[]byte](t)(s.GetSockOpt(sockets.SOL_SOCKET, sockets.SO_GET_FILTER, 1<<15)); !bytes.Equal(v, want) {
			t.Errorf("the filter is %x, want %x", v, want)
		}
	}
	ret := assemble(t, bpf.RetConstant{Val: 9})
	get(nil)
	set(sockets.SO_DETACH_FILTER, int32Bytes(0), sockets.ENOENT)
	for _, bad := range [][]byte{
		{}, make([]byte, 7), append(ret, 0),
		bytes.Repeat([]byte{0xff}, 8),                                   // no instruction
		assemble(t, bpf.LoadConstant{Dst: bpf.RegA, Val: 1}),            // does not return
		append(bytes.Repeat([]byte{0xff}, 8), ret...),                   // nor here
		assemble(t, bpf.NegateA{}, bpf.RetA{}),                          // not implemented
		assemble(t, bpf.Jump{Skip: 5}, bpf.RetA{}),                      // jumps out
		assemble(t, bpf.LoadExtension{Num: bpf.ExtVLANTag}, bpf.RetA{}), // Linux's own
		bytes.Repeat(ret, 4097),
	} {
		set(sockets.SO_ATTACH_FILTER, bad, sockets.EINVAL)
	}
	set(sockets.SO_ATTACH_FILTER, bytes.Repeat(ret, 4096), 0)
	set(sockets.SO_ATTACH_FILTER, ret, 0)
	get(ret)
	set(sockets.SO_LOCK_FILTER, int32Bytes(1), 0)
	set(sockets.SO_ATTACH_FILTER, ret, sockets.EPERM)
	set(sockets.SO_DETACH_FILTER, int32Bytes(0), sockets.EPERM)
	get(ret)
	s = udpSocket(t, h)
	set(sockets.SO_ATTACH_FILTER, ret, 0)
	set(sockets.SO_DETACH_FILTER, int32Bytes(0), 0)
	set(sockets.SO_DETACH_FILTER, int32Bytes(0), sockets.ENOENT)
	s = tcpSocket(t, h)
	err := s.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_ATTACH_FILTER, ret)
	if wantErrno(t, err, sockets.ENOPROTOOPT); !isUnsupported(err) {
		t.Errorf("%v does not wrap ErrUnsupported", err)
	}
}

// No program, however it is built, may do more than refuse or pass a datagram.
func FuzzAttachFilter(f *testing.F) {
	h := twoLinkHost(f)
	f.Add([]byte{0x06, 0, 0, 0, 1, 0, 0, 0})
	f.Add([]byte{0x28, 0, 0, 0, 12, 0, 0, 0, 0x34, 0, 0, 0, 0, 0, 0, 0, 0x16, 0, 0, 0, 0, 0, 0, 0}) // divides by 0
	f.Add([]byte{0xb1, 0, 0, 0, 0, 0, 0, 0, 0x50, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x16, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, program []byte) {
		s := udpSocket(t, h)
		check(t, s.Bind(sockets.Inet4{Host: "127.0.0.1"}))
		if s.SetSockOpt(sockets.SOL_SOCKET, sockets.SO_ATTACH_FILTER, program) == nil {
			must[int](t)(s.SendTo([]byte("datagram"), must[sockets.Sockaddr](t)(s.GetSockName())))
		}
		if p, err := s.Recv(100, sockets.MSG_DONTWAIT); err == nil && !bytes.HasPrefix([]byte("datagram"), p) {
			t.Errorf("received %q", p)
		}
		check(t, s.Close())
	})
}
