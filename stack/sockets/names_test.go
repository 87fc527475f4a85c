package sockets_test

import (
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

// T16: netstack still has a peer in TIME_WAIT, when both sides have closed.
func TestT16NoPeerInTimeWait(t *testing.T) {
	a, b := pair(t)
	client, server := connected(t, a, b)
	check(t, client.Shutdown(sockets.SHUT_WR))
	must[sockets.Sockaddr](t)(client.GetPeerName())
	if p := must[[]byte](t)(server.Recv(1)); len(p) != 0 {
		t.Fatalf("received %q", p)
	}
	check(t, server.Close())
	if p := must[[]byte](t)(client.Recv(1)); len(p) != 0 {
		t.Fatalf("received %q", p)
	}
	_, err := client.GetPeerName()
	wantErrno(t, err, sockets.ENOTCONN)
}

// T15: an address that netstack returned carries a NIC, which would switch the
// check of bind off.
func TestT15ResultsCarryNoNIC(t *testing.T) {
	a, b := pair(t)
	client, _ := connected(t, a, b)
	peer := must[sockets.Sockaddr](t)(client.GetPeerName())
	if p := peer.(sockets.Inet4); p.Host != addrB {
		t.Errorf("peer %v", p)
	}
	wantErrno(t, tcpSocket(t, a).Bind(peer), sockets.EADDRNOTAVAIL)
}
