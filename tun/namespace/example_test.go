package namespace_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/netip"

	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/namespace"
)

// A kernel's TCP server and client in a namespace that nobody else sees.
func Example() {
	ns, err := namespace.New(namespace.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer ns.Close()
	server, err := ns.Listen("tcp", "127.0.0.1:80")
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	go func() {
		conn, err := server.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		io.WriteString(conn, "hello from "+conn.LocalAddr().String())
	}()
	conn, err := ns.Dial(context.Background(), "tcp", "127.0.0.1:80")
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	answer, err := io.ReadAll(conn)
	fmt.Println(string(answer), err)
}

func ExampleAvailable() {
	if err := namespace.Available(); err != nil {
		fmt.Println("no namespaces here:", err)
	}
}

func ExampleNamespace_OpenTUN() {
	ns, err := namespace.New(namespace.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer ns.Close()
	dev, err := ns.OpenTUN(tun.Config{Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}})
	if err != nil {
		log.Fatal(err)
	}
	defer dev.Close()
	fmt.Println(dev.Name())
}

func ExampleNamespace_Command() {
	ns, err := namespace.New(namespace.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer ns.Close()
	out, err := ns.Command("ip", "-brief", "link").Output()
	fmt.Println(string(out), err)
}

// Two kernels to compare a stack with.
func ExampleNewPair() {
	a, b, err := namespace.NewPair(namespace.PairConfig{
		A: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")},
		B: []netip.Prefix{netip.MustParsePrefix("192.0.2.2/24")},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer a.Close()
	defer b.Close()
	server, err := b.Listen("tcp", "192.0.2.2:80")
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	conn, err := a.Dial(context.Background(), "tcp", "192.0.2.2:80")
	fmt.Println(conn.RemoteAddr(), err)
}
