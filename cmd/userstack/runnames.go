package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/userstack/userstack/dnsresolver"
	"github.com/userstack/userstack/dnsresolver/dnsforward"
	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/sockets"
)

// resolvConfPath is the file that programs take their nameservers from (resolv.conf(5)).
const resolvConfPath = "/etc/resolv.conf"

// mostNameservers is how many of the file programs ask: MAXNS of resolv.conf(5).
const mostNameservers = 3

// A nameService answers programs at the addresses where they look for a nameserver.
type nameService struct {
	server *dnsforward.Server
	files  map[string][]byte // that a program has to see in place of the machine's
}

// serveNames lets programs on the network find names. They ask the nameservers of the machine's resolv.conf, which the
// network need not have: where they are the stack's own, or would say something else than what the user chose, a server
// inside the stack has their addresses and answers from the network's resolver.
func (s *settings) serveNames(n *network) (*nameService, error) {
	server, err := dnsforward.New(dnsforward.Config{Resolver: n.resolver})
	if err != nil {
		return nil, err
	}
	names := &nameService{server: server, files: map[string][]byte{}}
	text, err := os.ReadFile(resolvConfPath)
	if err != nil {
		text = nil // then programs ask localhost
	}
	var at []netip.Addr
	hidden := false // a nameserver of the file that we cannot be
	for _, a := range nameservers(string(text)) {
		switch s.fateOf(n, a) {
		case nameserverOurs:
			at = append(at, a)
		case nameserverHidden:
			hidden = true
		}
	}
	if hidden {
		names.files[resolvConfPath] = withNameserver(string(text), defaultNameservers[0])
		at = append(at, defaultNameservers...)
	}
	for _, a := range at {
		if err := names.listen(n, a); err != nil {
			return nil, errors.Join(fmt.Errorf("answering for nameserver %s: %w", a, err), names.Close())
		}
	}
	if s.ownNames(n) {
		switchText, _ := os.ReadFile(nsswitchPath) // without it libc asks no service of ours
		for _, path := range nameSockets(hostSources(string(switchText))) {
			if info, err := os.Stat(path); err == nil && info.Mode().Type() == os.ModeSocket {
				names.files[path] = nil
			}
		}
	}
	return names, nil
}

// nsswitchPath says whom libc asks for names, in order (nsswitch.conf(5)).
const nsswitchPath = "/etc/nsswitch.conf"

// hostSources returns the words of the line for hosts.
func hostSources(text string) []string {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "hosts:"); ok {
			return strings.Fields(rest)
		}
	}
	return nil
}

// nameSockets returns where services of the machine answer for names over AF_UNIX, which libc asks before any nameserver.
// What they say is of the machine's network.
func nameSockets(sources []string) []string {
	paths := []string{"/var/run/nscd/socket"} // nscd(8), wherever it runs
	if slices.Contains(sources, "resolve") {
		paths = append(paths, "/run/systemd/resolve/io.systemd.Resolve") // nss-resolve(8)
	}
	return paths
}

// ownNames reports whether the network has other names than the machine.
func (s *settings) ownNames(n *network) bool {
	return n.uplink == nil || s.dns != nil || s.hosts != ""
}

// What becomes of a nameserver of the machine's file.
type nameserverFate int

const (
	nameserverAsIs   nameserverFate = iota // programs reach it as they reach any host
	nameserverOurs                         // we answer at its address
	nameserverHidden                       // programs must not see it
)

// fateOf decides about a nameserver. A loopback address is the stack's and not the machine's. Any other is the machine's to
// answer, unless the network has names of its own. One that our resolver asks itself has to stay what it is: that is good
// enough for programs too if it is asked as they would.
func (s *settings) fateOf(n *network, a netip.Addr) nameserverFate {
	asked, plainly := false, s.hosts == ""
	for _, server := range n.dns {
		if server.Addr.Addr() == a {
			asked = true
			plainly = plainly && server.Proto == dnsresolver.ProtoUDP && server.Addr.Port() == dnsPort
		}
	}
	switch {
	case a.Zone() != "" || a.IsLinkLocalUnicast(), asked && !plainly:
		return nameserverHidden // the zone is of an interface of the machine's
	case asked:
		return nameserverAsIs
	case a.IsLoopback() || s.ownNames(n):
		return nameserverOurs
	}
	return nameserverAsIs
}

// defaultNameservers are who is asked where the file names nobody. glibc and musl know the first only.
var defaultNameservers = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}

// nameservers reads a resolv.conf file as programs do.
func nameservers(text string) (list []netip.Addr) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" || len(list) == mostNameservers {
			continue
		}
		if a, err := netip.ParseAddr(fields[1]); err == nil && !slices.Contains(list, a.Unmap()) {
			list = append(list, a.Unmap())
		}
	}
	if list == nil {
		return defaultNameservers
	}
	return list
}

// withNameserver returns a resolv.conf file with one nameserver in place of all.
func withNameserver(text string, a netip.Addr) []byte {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) == 0 || fields[0] != "nameserver" {
			b.WriteString(strings.TrimSuffix(line, "\n") + "\n")
		}
	}
	fmt.Fprintf(&b, "nameserver %s\n", a)
	return []byte(b.String())
}

// listen answers at an address, which becomes the stack's.
func (s *nameService) listen(n *network, a netip.Addr) error {
	if !a.IsLoopback() && !slices.ContainsFunc(n.addrs, func(p netip.Prefix) bool { return p.Addr() == a }) {
		if err := n.stack.AddAddress(stack.LoopbackName, netip.PrefixFrom(a, a.BitLen())); err != nil {
			return err
		}
	}
	at := netip.AddrPortFrom(a, dnsPort).String()
	pc, err := n.host.ListenPacket("udp", at)
	if errors.Is(err, sockets.EADDRINUSE) {
		return nil // the file has it twice, in two ways of writing
	}
	if err != nil {
		return err
	}
	ln, err := n.host.Listen("tcp", at)
	if err != nil {
		pc.Close()
		return err
	}
	go s.server.ServePacket(pc) // ends with Close, which waits for both
	go s.server.Serve(ln)
	return nil
}

// Close ends the answering.
func (s *nameService) Close() error { return s.server.Close() }
