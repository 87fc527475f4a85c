// Coredns is CoreDNS with the plugins that the tests of dnsresolver use. It is a module of its own, so that what it needs
// stays out of the main go.mod. The tests of package testnet build it, configure it and ask it; nothing else does.
//
//	go tool coredns -conf Corefile
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/erratic"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/file"
	_ "github.com/coredns/coredns/plugin/template"
	_ "github.com/coredns/coredns/plugin/tls"
)

func main() {
	// The order in which a query passes the plugins.
	dnsserver.Directives = []string{"bind", "tls", "errors", "cache", "template", "file", "erratic"}
	coremain.Run()
}
