// Tapvsock is gvisor-tap-vsock for "userstack bench": it stands between a TAP device, which is inherited as descriptor 3,
// and the sockets of the kernel in whose network namespace it runs. gvproxy(1) does the same with a virtual machine in the
// place of the device. It ends with its standard input.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/containers/gvisor-tap-vsock/pkg/types"
	"github.com/containers/gvisor-tap-vsock/pkg/virtualnetwork"

	"github.com/userstack/userstack/internal/bench/peers/load"
)

const (
	descriptor = 3    // of the device
	mtu        = 1500 // bytes: gvproxy's default
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "tapvsock:", err)
		os.Exit(1)
	}
}

// serve translates until its standard input ends.
func serve() error {
	network, err := virtualnetwork.New(&types.Configuration{
		MTU:               mtu,
		Subnet:            "192.168.127.0/24",
		GatewayIP:         "192.168.127.1",
		GatewayMacAddress: "5a:94:ef:e4:0c:dd",
		NAT:               map[string]string{"192.168.127.254": "127.0.0.1"},
		GatewayVirtualIPs: []string{"192.168.127.254"},
	})
	if err != nil {
		return err
	}
	// A frame a Read, and a frame a Write: what the protocol of BESS wants of a socket, a device does as well.
	go network.AcceptBess(context.Background(), device{os.NewFile(descriptor, "tap")})
	if err := json.NewEncoder(os.Stdout).Encode(load.Reply{PID: os.Getpid()}); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// device is a net.Conn of a file, which has all of it but the addresses.
type device struct{ *os.File }

func (device) LocalAddr() net.Addr              { return &net.UnixAddr{} }
func (device) RemoteAddr() net.Addr             { return &net.UnixAddr{} }
func (device) SetDeadline(time.Time) error      { return nil }
func (device) SetReadDeadline(time.Time) error  { return nil }
func (device) SetWriteDeadline(time.Time) error { return nil }
