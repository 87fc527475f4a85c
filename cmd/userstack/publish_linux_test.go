package main

import (
	"net"
	"net/netip"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestParsePublication(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want publication
		err  string
	}{
		{text: "8080:80", want: publication{"tcp", netip.AddrPortFrom(netip.Addr{}, 8080), 80}},
		{text: "0:80/tcp", want: publication{"tcp", netip.AddrPort{}, 80}},
		{text: "127.0.0.1:5353:53/udp", want: publication{"udp", netip.MustParseAddrPort("127.0.0.1:5353"), 53}},
		{text: "[::1]:8080:80", want: publication{"tcp", netip.MustParseAddrPort("[::1]:8080"), 80}},
		{text: "80", err: "is not [ADDR:]PORT:PORT"},
		{text: "80:80/sctp", err: "is not [ADDR:]PORT:PORT"},
		{text: "8080:0", err: "not a port of the program's"},
		{text: "8080:65536", err: "not a port of the program's"},
		{text: "::1:8080:80", err: "not a port of this machine"},
		{text: "localhost:8080:80", err: "not a port of this machine"},
		{text: "65536:80", err: "not a port of this machine"},
		{text: "", err: "is not [ADDR:]PORT:PORT"},
	} {
		got, err := parsePublication(c.text)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: %v, want an error with %q", c.text, err, c.err)
			}
			continue
		}
		if got != c.want || err != nil {
			t.Errorf("%q: %+v, %v; want %+v", c.text, got, err, c.want)
		}
	}
}

// servePython is a server that sends back what comes, in capitals, and says where from.
const servePython = `
import socket, sys
kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[sys.argv[1]]
s = socket.socket(socket.AF_INET, kind)
s.bind(("", 80))
if kind == socket.SOCK_STREAM:
    s.listen()
print("ready", file=sys.stderr, flush=True)
if kind == socket.SOCK_STREAM:
    s, peer = s.accept()
    s.sendall(s.recv(100).upper())
else:
    data, peer = s.recvfrom(100)
    s.sendto(data.upper(), peer)
print(peer[0])
`

// TestRunPublish: what connects to a port of the machine connects to the program, in both modes.
func TestRunPublish(t *testing.T) {
	t.Parallel()
	needProgram(t, "python3")
	for _, network := range []string{"tcp", "udp"} {
		for _, mode := range modes {
			t.Run(network+" "+mode, func(t *testing.T) {
				t.Parallel()
				if mode == modes[modeNetns] {
					needNamespace(t)
				}
				r := start(t, userstack(t, "run", "--mode", mode, "--publish", "127.0.0.1:0:80/"+network, "--", "python3", "-c", servePython, network), nil)
				r.await(t, `of this machine is `+network+` port 80 of the program`)
				at := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(r.said.String())
				r.await(t, "ready")
				c, err := net.Dial(network, at)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if err := c.SetDeadline(time.Now().Add(commandPatience)); err != nil {
					t.Fatal(err)
				}
				answer := make([]byte, 5)
				if _, err := c.Write([]byte("hello")); err != nil {
					t.Fatal(err)
				}
				if n, err := c.Read(answer); string(answer[:n]) != "HELLO" {
					t.Errorf("read %q, %v", answer[:n], err)
				}
				r.end(t).expect(t, exitOK, `^10\.0\.2\.2\n$`, "ready") // the gateway stands for the machine's loopback
			})
		}
	}
}

// TestRunPublishFails: a port that cannot be had is said before the program starts.
func TestRunPublishFails(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	try(t, "run", "--publish", taken.Addr().String()+":80", "--", "echo", "ran").
		expect(t, exitFailure, "", `^userstack: run: --publish 127\.0\.0\.1:\d+:80/tcp: .*address already in use`)
	try(t, "run", "--net", "demo", "--publish", "0:80", "true").expect(t, exitUsage, "", "--publish is for --net host")
	try(t, "run", "--publish", "80", "true").expect(t, exitUsage, "", "is not \\[ADDR:\\]PORT:PORT")
}

// TestRunServes: a web server under run, seen from the machine, ends by the signal that run gets.
func TestRunServes(t *testing.T) {
	t.Parallel()
	needProgram(t, "python3", "curl")
	r := start(t, userstack(t, "run", "--publish", "127.0.0.1:0:8000", "--", "python3", "-u", "-m", "http.server", "8000"), nil)
	r.await(t, `port 8000 of the program`)
	url := "http://" + regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(r.said.String()) + "/"
	// The program is not asked whether it listens by now: until it does, a connection is reset.
	out, err := exec.CommandContext(t.Context(), "curl", "-sS", "--retry", "100", "--retry-all-errors", "--retry-delay", "1", "--max-time", "30", url).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Directory listing") {
		t.Errorf("%v\n%s", err, out)
	}
	r.cmd.Process.Signal(syscall.SIGTERM)
	if got := r.end(t); got.code != exitSignal+int(syscall.SIGTERM) {
		t.Errorf("exit status %d\n%s", got.code, got.stderr)
	}
}
