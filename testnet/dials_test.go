package testnet_test

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/userstack/userstack/testnet"
)

// A thousand clients dial at once and wait for the server to speak. With a backlog that they overflow, netstack answers
// with SYN cookies and then drops the last acknowledgement of those that find the queue full: such a client is connected
// to nobody, and waits for ever.
func TestManyDialsServerSpeaksFirst(t *testing.T) {
	const dials = 1000
	a, b := testnet.Pair(t)
	ln, err := b.Host.Listen("tcp", net.JoinHostPort(b.Addr4.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	defer ln.Close()
	serving.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Write([]byte("hello"))
			c.Close()
		}
	})
	errs := make(chan error, dials)
	for range dials {
		go func() {
			errs <- func() error {
				c, err := a.Host.DialContext(t.Context(), "tcp", ln.Addr().String())
				if err != nil {
					return err
				}
				defer c.Close()
				c.SetDeadline(time.Now().Add(time.Minute))
				if got, err := io.ReadAll(c); err != nil || string(got) != "hello" {
					return fmt.Errorf("received %q, %w", got, err)
				}
				return nil
			}()
		}()
	}
	failed := 0
	for range dials {
		if err := <-errs; err != nil {
			failed++
			t.Log(err)
		}
	}
	if failed > 0 {
		t.Errorf("%d of %d clients were not served", failed, dials)
	}
}
