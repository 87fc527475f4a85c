package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// fetcher has the flags of fetch.
type fetcher struct {
	output  string
	head    bool
	include bool
	follow  bool
	fail    bool
	explain bool
	request
	security
	maxTime time.Duration
	version ipVersion
}

func newFetch(s *settings) *cobra.Command {
	f := &fetcher{}
	cmd := &cobra.Command{
		Use:     "fetch [flags] URL",
		GroupID: groupTools,
		Short:   "get a page by HTTP or HTTPS",
		Long: `fetch asks a web server for a page and writes it to standard output, over
HTTP/1.1, or over HTTP/2 where an HTTPS server offers it. The flags are those of
curl(1) where curl has them. A URL without a scheme is one of http.

An answer with a status of 400 or more is a page like any other; with --fail it
is an error. Without --location a redirection is not followed. Proxies and .netrc
are not looked at. A long transfer to a file shows its progress on a terminal.`,
		Example: `  userstack fetch http://www.demo.test/
  userstack fetch --link netns https://www.demo.test/
  userstack fetch -i -L http://www.demo.test/redirect
  userstack fetch -o page --max-time 30 http://www.demo.test/bytes/1000000
  userstack fetch --explain -o page --impair rate=10M www.demo.test/bytes/1000000
  userstack fetch -d 'name=value' -H 'X-Say: hello' http://www.demo.test/echo`,
		Args: args(1, 1, "one URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := parseURL(args[0])
			if err != nil {
				return err
			}
			return s.use(cmd, func(ctx context.Context, n *network) error {
				return f.fetch(ctx, cmd, s, n, target)
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.output, "output", "o", "", "write the page to a `FILE`")
	flags.BoolVarP(&f.head, "head", "I", false, "ask for the header fields alone")
	flags.BoolVarP(&f.include, "include", "i", false, "write the header fields before the page")
	flags.BoolVarP(&f.follow, "location", "L", false, "follow redirections, at most 10")
	flags.BoolVarP(&f.fail, "fail", "f", false, "a status of 400 or more is an error, and nothing is written")
	f.request.addFlags(flags)
	f.security.addFlags(flags)
	flags.VarP(&seconds{&f.maxTime, time.Millisecond}, "max-time", "m", "give up after this time")
	flags.BoolVar(&f.explain, "explain", false, "say on standard error what held the transfer back")
	versionFlags(cmd, &f.version)
	return cmd
}

// parseURL reads a URL as people type it.
func parseURL(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, usage{err}
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, usagef("%s: no such scheme: there are http and https", u.Scheme)
	case u.Hostname() == "":
		return nil, usagef("%q names no host", text)
	}
	return u, nil
}

// maxRedirects is how many redirections are followed.
const maxRedirects = 10

// fetch gets the page.
func (f *fetcher) fetch(ctx context.Context, cmd *cobra.Command, s *settings, n *network, target *url.URL) error {
	if f.maxTime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, f.maxTime, fmt.Errorf("not done within --max-time %s", f.maxTime))
		defer cancel()
	}
	if s.verbose > 0 {
		ctx = traceRequest(ctx, cmd.ErrOrStderr())
	}
	var watch requestWatch
	if f.explain {
		ctx = watch.trace(ctx)
	}
	req, err := f.request.make(ctx, cmd.InOrStdin(), target, f.head)
	if err != nil {
		return err
	}
	transport, err := f.security.transport(n, f.version)
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, CheckRedirect: f.redirect}
	resp, err := client.Do(req)
	if err != nil {
		return because(ctx, err)
	}
	defer resp.Body.Close()
	if f.fail && resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s: the server answered %s", target, resp.Status)
	}
	err = f.write(cmd, resp)
	watch.print(cmd.ErrOrStderr())
	return because(ctx, err)
}

// because puts the reason why a context ended in the place of the error that it caused.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil && cause != ctx.Err() {
		return cause
	}
	return err
}

func (f *fetcher) redirect(_ *http.Request, via []*http.Request) error {
	if !f.follow {
		return http.ErrUseLastResponse
	}
	if len(via) > maxRedirects {
		return fmt.Errorf("more than %d redirections", maxRedirects)
	}
	return nil
}

// write copies the answer to where it is wanted.
func (f *fetcher) write(cmd *cobra.Command, resp *http.Response) (err error) {
	out := cmd.OutOrStdout()
	if f.output != "" && f.output != "-" {
		file, err := os.Create(f.output)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		out = file
	}
	if f.head || f.include {
		if err := writeHeader(out, resp); err != nil {
			return err
		}
	}
	p := newProgress(out, cmd.ErrOrStderr(), resp.ContentLength)
	defer p.done()
	_, err = io.Copy(io.MultiWriter(out, p), resp.Body)
	return err
}

// writeHeader writes status and header fields, sorted by name.
func writeHeader(out io.Writer, resp *http.Response) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\r\n", resp.Proto, resp.Status)
	var lines []string
	for name, values := range resp.Header {
		for _, v := range values {
			lines = append(lines, name+": "+v+"\r\n")
		}
	}
	slices.Sort(lines)
	b.WriteString(strings.Join(lines, "") + "\r\n")
	_, err := io.WriteString(out, b.String())
	return err
}
