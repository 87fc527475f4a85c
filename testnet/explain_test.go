package testnet_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/stack/sockets"
	"github.com/userstack/userstack/testnet"
)

// The path of TestExplainNeedless: some packets are so late that they are sent again, and arrive before that does. Then
// the acknowledgement comes later than half a round trip after the retransmission, so that it could be its own: without
// timestamps only the kernel's report of a duplicate (DSACK, RFC 2883) tells.
const (
	lateRTT   = 40 * time.Millisecond
	lateDelay = 38 * time.Millisecond
)

var late = link.Impairment{Delay: lateRTT / 2, Reorder: 0.02, ReorderDepth: 10_000, ReorderDelay: lateDelay}

// TestExplainNeedless: where nothing is lost and packets overtake each other, a kernel says that it had them twice, and the
// verdict says that they were sent again needlessly.
func TestExplainNeedless(t *testing.T) {
	t.Parallel()
	l := testnet.Namespaces(t, testnet.WithImpair(link.ImpairConfig{In: link.Impairment{Delay: lateRTT / 2}, Out: late}),
		testnet.WithSysctl(map[string]string{"net.ipv4.tcp_timestamps": "0", "net.ipv4.tcp_dsack": "1"}))
	w := watchFlood(t, l)
	const enough = 10 // retransmissions
	var e sockets.Explanation
	for begun := time.Now(); time.Since(begun) < lossyHang; {
		w.Restart()
		for e = w.Explain(); e.Sending.Retransmitted < enough && time.Since(begun) < lossyHang; e = w.Explain() {
			<-time.After(lateRTT)
		}
		v, s := e.Sending.Verdict, e.Sending
		named := v.Cause == sockets.CauseRetransmission || v.Cause == sockets.CauseCongestion
		if named && strings.Contains(v.Reason, "needlessly") && strings.Contains(v.Remedy, "MinRTO") && 2*s.Spurious > s.Retransmitted && s.Spurious <= s.Retransmitted {
			return
		}
	}
	t.Errorf("no interval has a verdict that most of what was sent again was so needlessly; the last was\n%v", e)
}

// watchFlood watches a connection to the kernel on which our side sends until the test ends.
func watchFlood(t *testing.T, l *testnet.Lab) *sockets.Watch {
	t.Helper()
	ln, err := l.Kernel.Listen("tcp", net.JoinHostPort(l.Kernel.Addr4.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), lossyHang)
	defer cancel()
	near, err := l.Host.DialContext(ctx, "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{}, 2)
	go func() { defer func() { ended <- struct{}{} }(); io.Copy(near, endless{}) }()
	go func() { defer func() { ended <- struct{}{} }(); io.Copy(io.Discard, far) }()
	t.Cleanup(func() { near.Close(); far.Close(); <-ended; <-ended })
	w, err := near.(*sockets.Conn).Watch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// endless is a reader of zeros.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
