package hostnet

import (
	"net"
	"testing"
	"time"
)

// TestPublishUDPAnswersFrom: an answer comes from the address that was asked, on
// a machine with several.
func TestPublishUDPAnswersFrom(t *testing.T) {
	h, u := newHost(t, Config{})
	inner := innerPacket(t, h, "10.0.2.15:53")
	at := publish(t, u, "udp", "0.0.0.0:0", "10.0.2.15:53").(*net.UDPAddr)
	for _, asked := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.2"} {
		client, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.ParseIP(asked), Port: at.Port})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		client.SetDeadline(time.Now().Add(patience))
		write(t, client, "question")
		b := make([]byte, 100)
		_, from, err := inner.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := inner.WriteTo([]byte("answer"), from); err != nil {
			t.Fatal(err)
		}
		if n, err := client.Read(b); err != nil || string(b[:n]) != "answer" { // hears the address that it has asked only
			t.Errorf("asking %s brings %q, %v", asked, b[:n], err)
		}
	}
}
