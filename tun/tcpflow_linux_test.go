package tun_test

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/tuntest"
)

// tcpFlow answers a kernel's TCP connection by hand: enough of the protocol to
// have the kernel send bulk data.
type tcpFlow struct {
	t   *testing.T
	r   *reader
	dev tun.Device
	off int // of the TCP header in a packet
}

// newTCPFlow starts a kernel connection from Far to Near, or between the IPv6
// addresses, that sends data, and completes the handshake.
func newTCPFlow(t *testing.T, dev tun.Device, network string) (f *tcpFlow, sender net.Conn) {
	to := tuntest.Near
	f = &tcpFlow{t: t, r: newReader(dev, 0), dev: dev, off: tun.HeaderSize + 20}
	if network == "tcp6" {
		to = netip.MustParseAddrPort("[2001:db8::2]:7")
		f.off = tun.HeaderSize + 40
	}
	dialed := make(chan net.Conn)
	go func() {
		d := net.Dialer{Timeout: patience}
		conn, err := d.Dial(network, to.String())
		if err != nil {
			t.Error(err)
		}
		dialed <- conn
	}()
	f.r.until(t, func(p []byte) bool {
		syn := f.isTCP(p) && p[f.off+13] == 0x02
		if syn {
			f.answer(p)
		}
		return syn
	})
	if sender = <-dialed; sender == nil {
		t.FailNow()
	}
	return f, sender
}

func (f *tcpFlow) isTCP(p []byte) bool {
	if f.off == tun.HeaderSize+40 {
		return p[tun.HeaderSize]>>4 == 6 && p[tun.HeaderSize+6] == unix.IPPROTO_TCP
	}
	return p[tun.HeaderSize]>>4 == 4 && p[tun.HeaderSize+9] == unix.IPPROTO_TCP
}

// answer replies to a SYN with a SYN and ACK that offers an MSS of 1400 and a
// large window. Ports and addresses are the SYN's, exchanged.
func (f *tcpFlow) answer(syn []byte) {
	p := append([]byte(nil), syn[:f.off+24]...)
	clear(p[:tun.HeaderSize])
	ip, tcp := p[tun.HeaderSize:f.off], p[f.off:]
	if len(ip) == 20 {
		copy(ip[12:16], syn[tun.HeaderSize+16:])
		copy(ip[16:20], syn[tun.HeaderSize+12:])
		binary.BigEndian.PutUint16(ip[2:], 44)
		binary.BigEndian.PutUint16(ip[10:], 0)
		binary.BigEndian.PutUint16(ip[10:], tuntest.Checksum(ip))
	} else {
		copy(ip[8:24], syn[tun.HeaderSize+24:])
		copy(ip[24:40], syn[tun.HeaderSize+8:])
		binary.BigEndian.PutUint16(ip[4:], 24)
	}
	seq := binary.BigEndian.Uint32(tcp[4:])
	copy(tcp[0:], syn[f.off+2:f.off+4])
	copy(tcp[2:], syn[f.off:f.off+2])
	binary.BigEndian.PutUint32(tcp[4:], 1)
	binary.BigEndian.PutUint32(tcp[8:], seq+1)
	tcp[12], tcp[13] = 6<<4, 0x12 // 24 bytes of header; SYN, ACK
	binary.BigEndian.PutUint16(tcp[14:], 0xffff)
	copy(tcp[20:], "\x02\x04\x05\x78") // MSS 1400
	binary.BigEndian.PutUint16(tcp[16:], 0)
	binary.BigEndian.PutUint16(tcp[16:], transportChecksum(ip, tcp, unix.IPPROTO_TCP))
	if _, err := f.dev.Write(0, [][][]byte{{p}}); err != nil {
		f.t.Fatal(err)
	}
}
