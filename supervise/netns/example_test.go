package netns_test

import (
	"fmt"
	"log"
	"net/netip"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/supervise/netns"
)

// A program whose network is a stack of this process.
func Example() {
	uplink, far := link.NewPipe(link.PipeConfig{GSOMaxSize: link.MaxGSOSize})
	s, err := stack.New(stack.Config{NICs: []stack.NIC{{Link: far, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.2.2/24")}}}})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	cmd := netns.Command(uplink, "ping", "-c1", "10.0.2.2")
	out, err := cmd.CombinedOutput()
	fmt.Println(string(out), err)
}

func ExampleCheck() {
	if err := netns.Check(); err != nil {
		fmt.Println("not on this machine:", err)
	}
}

// A VPN client gives a program its tunnel and its nameserver.
func ExampleCommand() {
	var tunnel *link.Endpoint // carries IP packets
	cmd := netns.Command(tunnel, "firefox")
	cmd.Addrs = []netip.Prefix{netip.MustParsePrefix("10.64.0.7/32")}
	cmd.Files = map[string][]byte{"/etc/resolv.conf": []byte("nameserver 10.64.0.1\n")}
	if err := cmd.Run(); err != nil {
		log.Fatal(err)
	}
}
