//go:build amd64 || arm64

package supervise_test

import "testing"

// TestNetlinkFlood sends requests without reading the replies, of which only so
// many may wait.
func TestNetlinkFlood(t *testing.T) {
	need(t, "python3")
	const asked = `
import socket, struct
s = socket.socket(16, 3, 0)
request = struct.pack("IHHII", 32, 18, 1, 5, 0) + struct.pack("BBHiII", 0, 0, 0, 1, 0, 0)
for i in range(3000): s.sendto(request, (0, 0))
s.settimeout(1)
replies = 0
try:
    while s.recv(9000): replies += 1
except TimeoutError: pass
print(10 < replies < 1500 or replies)
`
	if got := output(t, newHost(t), "python3", "-c", asked); got != "True\n" {
		t.Errorf("%s replies came", got)
	}
}
