package oracle

import "strings"

// The situations and calls of AF_UNIX sockets. KIND is stream or seqpacket.
var (
	unixSituations = []situation{
		{"fresh", "socket s KIND"},
		{"bound", "socket s KIND; bind s one"},
		{"listening", "socket s KIND; bind s one; listen s 5"},
		{"listening, a connection waits", "socket s KIND; bind s one; listen s 5; socket p KIND; connect p one"},
		{"listening, shut for reading", "socket s KIND; bind s one; listen s 5; shutdown s 0"},
		{"connected", "socket l KIND; bind l one; listen l 5; socket s KIND; connect s one; accept l p"},
		{"accepted", "socket l KIND; bind l one; listen l 5; socket p KIND; connect p one; accept l s"},
		{"pair", "pair s p KIND"},
		{"pair, data", "pair s p KIND; send p hello; send p world"},
		{"peer shut for writing, data", "pair s p KIND; send p hello; shutdown p 1"},
		{"peer shut for reading", "pair s p KIND; shutdown p 0"},
		{"peer closed", "pair s p KIND; close p"},
		{"peer closed, data", "pair s p KIND; send p hello; close p"},
		{"peer closed with unread data", "pair s p KIND; send s hello; close p"},
		{"shut for reading", "pair s p KIND; shutdown s 0"},
		{"shut for writing", "pair s p KIND; shutdown s 1"},
		{"shut both ways, data", "pair s p KIND; send p hello; shutdown s 2"},
		{"closed", "pair s p KIND; close s"},
	}
	unixDatagramSituations = []situation{
		{"fresh", "socket s dgram"},
		{"bound", "socket s dgram; bind s one"},
		{"connected", "socket p dgram; bind p two; socket s dgram; bind s one; connect s two"},
		{"connected, data", "socket p dgram; bind p two; socket s dgram; bind s one; connect s two; sendto p hello one; sendto p - one"},
		{"peer closed", "socket p dgram; bind p two; socket s dgram; bind s one; connect s two; close p"},
		{"pair", "pair s p dgram"},
		{"pair, data", "pair s p dgram; send p hello"},
		{"pair, peer closed", "pair s p dgram; close p"},
		{"pair, peer closed, data", "pair s p dgram; send p hello; close p"},
		{"pair, peer shut for reading", "pair s p dgram; shutdown p 0"},
		{"pair, shut for reading", "pair s p dgram; shutdown s 0"},
		{"pair, shut for writing", "pair s p dgram; shutdown s 1"},
	}
	unixCalls = []string{
		"bind s three", "listen s 5", "accept s n", "connect s none", "connect s one", "connect s unspec",
		"socket h KIND; bind h three; listen h 5; connect s three", "socket h dgram; bind h three; connect s three",
		"send s x", "send s -", "send s x OOB", "send s x EOR", "send s x MORE", "sendto s x none", "sendto s x two", "sendto s - two",
		"recv s 3", "recv s 100", "recv s 3 PEEK", "recv s 3 TRUNC", "recv s 3 WAITALL", "recv s 3 OOB", "recvfrom s 100",
		"shutdown s 0", "shutdown s 1", "shutdown s 2", "shutdown s 3", "getsockname s", "getpeername s", "error s", "fionread s",
		"atmark s", "close s", "poll s IN", "poll s OUT", "poll s RDHUP", "get s TYPE", "get s DOMAIN", "get s PROTOCOL", "get s ACCEPTCONN",
		"set s NODELAY 1", "get s NODELAY", "set s TTL 7", "get s TTL", "get s REUSEADDR", "set s BROADCAST 1; get s BROADCAST",
		"send p later; recv s 3; recv s 3; recv s 100",
	}
)

// unixCells are the cells of AF_UNIX.
func unixCells() []cell {
	var all []cell
	add := func(kind string, situations []situation) {
		for _, s := range situations {
			s.setup = strings.ReplaceAll(s.setup, "KIND", kind)
			for _, c := range unixCalls {
				if strings.HasPrefix(s.setup, "pair") && strings.Contains(c, "three") {
					continue // the kernel's pair is not in the namespace where that name is
				}
				all = append(all, cell{kind, "unix", s, strings.ReplaceAll(c, "KIND", kind)})
			}
		}
	}
	add("stream", unixSituations)
	add("seqpacket", unixSituations)
	add("dgram", unixDatagramSituations)
	return all
}

func (g *generator) unix() bool { return g.kind != "tcp" && g.kind != "udp" }

// startUnix is what a program of AF_UNIX sockets begins with, and the sockets that it makes.
func (g *generator) startUnix() (text string, names []string) {
	text, names = "socket l KIND; bind l n1; listen l 3; socket a KIND; connect a n1; accept l b", []string{"l", "a", "b"}
	if g.kind == "dgram" {
		text, names = "socket a KIND; bind a n1; socket b KIND; bind b n2; connect a n2", []string{"a", "b"}
	}
	return strings.ReplaceAll(text, "KIND", g.kind), names
}

// unixSteps are the steps of AF_UNIX programs. A name may be of a socket of the namespace, of one that is closed, or of none.
var unixSteps = []weighted{
	{8, func(g *generator) { g.add("send %s %s %s", g.sock(), g.data(), g.pick("", "", "EOR")) }},
	{8, func(g *generator) {
		g.add("recv %s %d %s", g.sock(), 1+g.IntN(40), g.pick("", "", "PEEK", "WAITALL", "TRUNC", "PEEK|TRUNC"))
	}},
	{3, func(g *generator) { g.add("recvfrom %s %d", g.sock(), 1+g.IntN(40)) }},
	{3, func(g *generator) { g.add("sendto %s %s n%d", g.sock(), g.data(), 1+g.IntN(4)) }},
	{3, func(g *generator) { g.add("shutdown %s %d", g.sock(), g.IntN(3)) }},
	{2, func(g *generator) { g.add("error %s", g.sock()) }},
	{1, func(g *generator) { g.add("poll %s %s", g.sock(), g.pick("IN", "OUT", "RDHUP", "PRI")) }},
	{1, (*generator).closeOne},
	{2, (*generator).newSocket},
	{2, func(g *generator) { g.add("bind %s n%d", g.sock(), 1+g.IntN(4)) }},
	{3, func(g *generator) { g.add("connect %s n%d", g.sock(), 1+g.IntN(4)) }},
	{1, func(g *generator) { g.add("connect %s unspec", g.sock()) }},
	{1, func(g *generator) { g.add("listen %s %d", g.sock(), 3+g.IntN(3)) }},
	{3, func(g *generator) {
		listener, name := g.sock(), g.fresh()
		g.add("accept %s %s", listener, name)
		g.open = append(g.open, name)
	}},
}
