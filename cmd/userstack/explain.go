package main

import (
	"crypto/x509"
	"errors"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/userstack/userstack/dnsresolver"
	"github.com/userstack/userstack/stack/sockets"
)

// errnoNumber is in the text of package sockets' errors, for programs that print them as Python does.
var errnoNumber = regexp.MustCompile(`\[Errno -?\d+\] `)

// plain is the text of an error without what only a programmer wants.
func plain(err error) string { return errnoNumber.ReplaceAllString(err.Error(), "") }

// hints say what helps against an error; the first that fits is printed.
var hints = []struct {
	fits func(err error, link string) bool
	hint string
}{
	{is(dnsresolver.ErrNoServers), "name a server with --dns, or list the host in a file for --hosts"},
	{func(err error, link string) bool { return notFound(err) && (link == "demo" || link == "netns") },
		"the demo's network has names below " + demoName + " only, such as www." + demoName + "; --link chooses another network"},
	{notFoundAt, "--dns chooses another DNS server"},
	{is(sockets.ECONNREFUSED), "nothing listens there"},
	{is(sockets.ENETUNREACH), "the stack has no route to it: see --addr, --gateway and --route"},
	{is(sockets.EHOSTUNREACH), "no host answers at that address, or no route leads there: see --gateway and --route"},
	{is(sockets.EADDRNOTAVAIL), "the stack's own addresses are set with --addr"},
	{is(sockets.EADDRINUSE), "choose another port"},
	{is(sockets.ErrTimeout), "no answer came: -vv shows the packets"},
	{func(err error, _ string) bool { _, ok := errors.AsType[x509.UnknownAuthorityError](err); return ok },
		"trust its certificate with --cacert FILE, or any with --insecure"},
}

func is(target error) func(error, string) bool {
	return func(err error, _ string) bool { return errors.Is(err, target) }
}

func notFound(err error) bool {
	e, ok := errors.AsType[*dnsresolver.Error](err)
	return ok && e.IsNotFound()
}

func notFoundAt(err error, _ string) bool { return notFound(err) }

// hintFor returns what helps against an error of a command, or "".
func hintFor(cmd *cobra.Command, err error) string {
	link := ""
	if f := cmd.Flag("link"); f != nil {
		link = f.Value.String()
	}
	for _, h := range hints {
		if h.fits(err, link) {
			return h.hint
		}
	}
	return ""
}
