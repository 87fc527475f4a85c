package hostnet_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link/hostnet"
	"github.com/userstack/userstack/stack/sockets"
)

// host makes a host whose connections leave through the machine's sockets.
func host(cfg hostnet.Config) (h *sockets.Host, up *hostnet.Uplink, end func()) {
	up, err := hostnet.New(cfg)
	if err != nil {
		panic(err)
	}
	s, err := stack.New(stack.Config{NICs: []stack.NIC{{Name: "host0", Link: up.Link(), Addrs: up.Addrs()}}})
	if err != nil {
		panic(err)
	}
	if h, err = sockets.New(sockets.Config{Stack: s}); err != nil {
		panic(err)
	}
	return h, up, func() { h.Close(); s.Close() } // the stack closes the link, and that the uplink
}

// A server on the machine's loopback is at the gateway's address.
func ExampleNew() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello")
	}))
	defer server.Close()

	h, _, end := host(hostnet.Config{HostLoopback: hostnet.AccessAllowed})
	defer end()
	transport := &http.Transport{DialContext: h.DialContext}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get(strings.Replace(server.URL, "127.0.0.1", "10.0.2.2", 1))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(string(body))
	// Output: hello
}

// A server on the stack is reached at a port of the machine.
func ExampleUplink_Publish() {
	h, up, end := host(hostnet.Config{})
	defer end()
	l, err := h.Listen("tcp", "10.0.2.15:80")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	addr, err := up.Publish("tcp", netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort("10.0.2.15:80"))
	if err != nil {
		fmt.Println(err)
		return
	}

	client, err := net.Dial("tcp", addr.String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	c, err := l.Accept()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Fprintln(c, "hello")
	c.Close()
	greeting, _ := io.ReadAll(client)
	fmt.Print(string(greeting))
	// Output: hello
}
