package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/userstack/userstack/stack/link/hostnet"
)

// A publication is a port of the machine that leads to one of the stack's.
type publication struct {
	network string         // "tcp" or "udp"
	listen  netip.AddrPort // on the machine; a zero address is all of them
	port    uint16         // of the stack
}

func (p publication) String() string {
	listen := strconv.Itoa(int(p.listen.Port()))
	if p.listen.Addr().IsValid() {
		listen = p.listen.String()
	}
	return fmt.Sprintf("%s:%d/%s", listen, p.port, p.network)
}

// parsePublication reads [ADDR:]PORT:PORT[/tcp|/udp].
func parsePublication(text string) (p publication, err error) {
	rest, network, ok := strings.Cut(text, "/")
	if p.network = "tcp"; ok {
		p.network = network
	}
	at := strings.LastIndexByte(rest, ':')
	if at < 0 || p.network != "tcp" && p.network != "udp" {
		return p, fmt.Errorf("%q is not [ADDR:]PORT:PORT, or that with /udp after it", text)
	}
	listen, port := rest[:at], rest[at+1:]
	inside, err := strconv.ParseUint(port, 10, 16)
	if err != nil || inside == 0 {
		return p, fmt.Errorf("%q is not a port of the program's: a number from 1 to 65535", port)
	}
	p.port = uint16(inside)
	if outside, err := strconv.ParseUint(listen, 10, 16); err == nil {
		p.listen = netip.AddrPortFrom(netip.Addr{}, uint16(outside))
		return p, nil
	}
	if p.listen, err = netip.ParseAddrPort(listen); err != nil {
		return p, fmt.Errorf("%q is not a port of this machine: a number from 0 to 65535, or an address and that, as 127.0.0.1:8080 or [::1]:8080", listen)
	}
	return p, nil
}

// publish opens the machine's ports. Where the machine chose one it is said on log.
func publish(up *hostnet.Uplink, list []publication, verbose int, log io.Writer) error {
	for _, p := range list {
		addr, err := up.Publish(p.network, p.listen, netip.AddrPortFrom(netip.Addr{}, p.port))
		if err != nil {
			return fmt.Errorf("--publish %v: %w", p, err)
		}
		if verbose > 0 || p.listen.Port() == 0 {
			fmt.Fprintf(log, "userstack: run: %s of this machine is %s port %d of the program\n", addr, p.network, p.port)
		}
	}
	return nil
}

// uplinkPatience bounds the wait for a program's last bytes to leave the machine's sockets, as supervise bounds that for
// those of the stack.
const uplinkPatience = 10 * time.Second

// drain waits for what a program has sent and the uplink, if there is one, still has. What it has afterwards is lost.
func (w *wire) drain() {
	if w.uplink != nil {
		ctx, cancel := context.WithTimeout(context.Background(), uplinkPatience)
		defer cancel()
		w.uplink.Drain(ctx)
	}
}
