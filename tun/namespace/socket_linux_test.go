package namespace_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/namespace"
)

func TestStreams(t *testing.T) {
	ns := newNamespace(t, namespace.Config{})
	for network, address := range map[string]string{
		"tcp4": "127.0.0.1:80", // a port below 1024
		"tcp6": "[::1]:80",
		"tcp":  "127.0.0.1:81",
	} {
		if got, err := exchange(t, ns, ns, network, address); got != "hello" || err != nil {
			t.Errorf("%s %s: %q, %v", network, address, got, err)
		}
	}
	// The sockets are the namespace's, not this process's.
	l, err := ns.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if conn, err := net.Dial("tcp4", l.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("from outside: %v, %v", conn, err)
	}
}

func TestDatagrams(t *testing.T) {
	ns := newNamespace(t, namespace.Config{})
	for network, address := range map[string]string{"udp4": "127.0.0.1:53", "udp6": "[::1]:53"} {
		server, err := ns.ListenPacket(network, address)
		if err != nil {
			t.Fatal(err)
		}
		client, err := ns.Dial(t.Context(), network, address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Write([]byte("question")); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, from, err := server.ReadFrom(buf)
		if string(buf[:n]) != "question" || err != nil || from.String() != client.LocalAddr().String() {
			t.Errorf("%s: %q from %v, %v", network, buf[:n], from, err)
		}
		server.Close()
		client.Close()
	}
	icmp, err := ns.ListenPacket("ip4:icmp", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	icmp.Close()
}

func TestSocketErrors(t *testing.T) {
	ns := newNamespace(t, namespace.Config{})
	l, err := ns.Listen("tcp4", "127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var unknown net.UnknownNetworkError
	var address *net.AddrError
	_, errInUse := ns.Listen("tcp4", "127.0.0.1:80")
	_, errNoAddr := ns.Listen("tcp4", "192.0.2.1:80")
	_, errName := ns.Listen("tcp4", "localhost:80")
	_, errNet := ns.Listen("unix", "x")
	_, errPacketName := ns.ListenPacket("udp4", "localhost:80")
	_, errPacketNet := ns.ListenPacket("tcp4", "127.0.0.1:80")
	_, errRefused := ns.Dial(t.Context(), "tcp4", "127.0.0.1:81")
	_, errUnreachable := ns.Dial(t.Context(), "tcp4", "192.0.2.1:80")
	_, errDialName := ns.Dial(t.Context(), "tcp4", "localhost:80")
	_, errFamily := ns.Dial(t.Context(), "tcp6", "127.0.0.1:80")
	_, errDialNet := ns.Dial(t.Context(), "unix", "127.0.0.1:80")
	_, errZone := ns.Dial(t.Context(), "tcp6", "[fe80::1%nosuch]:80")
	_, errSocket := ns.Socket(99, unix.SOCK_STREAM, 0)
	for name, ok := range map[string]bool{
		fmt.Sprint("address in use: ", errInUse):         errors.Is(errInUse, syscall.EADDRINUSE),
		fmt.Sprint("address not there: ", errNoAddr):     errors.Is(errNoAddr, syscall.EADDRNOTAVAIL),
		fmt.Sprint("listen on a name: ", errName):        errors.As(errName, &address),
		fmt.Sprint("listen on unix: ", errNet):           errors.As(errNet, &unknown),
		fmt.Sprint("packets on a name: ", errPacketName): errors.As(errPacketName, &address),
		fmt.Sprint("packets on tcp: ", errPacketNet):     errors.As(errPacketNet, &unknown),
		fmt.Sprint("refused: ", errRefused):              errors.Is(errRefused, syscall.ECONNREFUSED),
		fmt.Sprint("unreachable: ", errUnreachable):      errors.Is(errUnreachable, syscall.ENETUNREACH),
		fmt.Sprint("dial a name: ", errDialName):         errors.As(errDialName, &address),
		fmt.Sprint("other family: ", errFamily):          errors.As(errFamily, &address),
		fmt.Sprint("dial unix: ", errDialNet):            errors.As(errDialNet, &unknown),
		fmt.Sprint("no such zone: ", errZone):            errZone != nil,
		fmt.Sprint("no such family: ", errSocket):        errors.Is(errSocket, syscall.EAFNOSUPPORT),
	} {
		if !ok {
			t.Error(name)
		}
	}
}

// TestDialWaits dials somebody who does not answer.
func TestDialWaits(t *testing.T) {
	ns := newNamespace(t, namespace.Config{})
	dev, err := ns.OpenTUN(tun.Config{Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if conn, err := ns.Dial(ctx, "tcp4", "192.0.2.2:80"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, %v", conn, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if conn, err := ns.Dial(gone, "tcp4", "192.0.2.2:80"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", conn, err)
	}
}

// TestZone dials a link-local address by the name of the namespace's interface.
func TestZone(t *testing.T) {
	ns := newNamespace(t, namespace.Config{})
	dev, err := ns.OpenTUN(tun.Config{Name: "zone", Addrs: []netip.Prefix{netip.MustParsePrefix("fe80::1/64")}})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	if got, err := exchange(t, ns, ns, "tcp6", "[fe80::1%zone]:80"); got != "hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestSocket uses a raw descriptor.
func TestSocket(t *testing.T) {
	ns := newNamespace(t, namespace.Config{})
	file, err := ns.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	conn, err := file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(conn.Control(func(fd uintptr) {
		// Address 127.0.0.1 and a port; then the socket is connected to itself.
		err = unix.Bind(int(fd), &unix.SockaddrInet4{Port: 7, Addr: [4]byte{127, 0, 0, 1}})
		if err == nil {
			err = unix.Connect(int(fd), &unix.SockaddrInet4{Port: 7, Addr: [4]byte{127, 0, 0, 1}})
		}
	}), err)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("echo"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	if n, err := file.Read(buf); string(buf[:n]) != "echo" || err != nil {
		t.Errorf("%q, %v", buf[:n], err)
	}
	if err := file.SetReadDeadline(time.Now()); err != nil {
		t.Error("the descriptor is not in the poller:", err)
	}
	if _, err := file.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}
