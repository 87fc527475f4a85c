package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// script is a command line, what it reads, and what it must do.
type script struct {
	args   string // split at spaces
	stdin  string
	code   int
	stdout string // regular expressions; empty: nothing is written
	stderr string
}

// run runs the scripts, each with some arguments before its own.
func runScripts(t *testing.T, scripts []script, before ...string) {
	for _, s := range scripts {
		t.Run(s.args, func(t *testing.T) {
			t.Parallel()
			fields := strings.Fields(s.args)
			cmd := userstack(t, append(append([]string{fields[0]}, before...), fields[1:]...)...)
			output(t, cmd, s.stdin).expect(t, s.code, s.stdout, s.stderr)
		})
	}
}

// anywhere are commands that do the same on every network with the demo's servers.
var anywhere = []script{
	{args: "fetch http://www.demo.test/", stdout: `^Hello from .*You are 10\.78\.0\.2:\d+; you asked 10\.78\.0\.1:80 for / over HTTP/1\.1\.\n$`},
	{args: "fetch -6 www.demo.test", stdout: `You are \[fd78::2\]:\d+; you asked \[fd78::1\]:80`},
	{args: "fetch https://www.demo.test/", stdout: `over HTTP/2\.0\.\n$`},
	{args: "fetch --http1.1 https://10.78.0.1/", stdout: `over HTTP/1\.1\.\n$`},
	{args: "fetch -v https://www.demo.test/", stdout: `Hello`, stderr: `link: .*resolve: .*fetch: .*TLS 1\.3.*"h2"`},
	{args: "fetch -I http://www.demo.test/bytes/5", stdout: `^HTTP/1\.1 200 OK\r\nContent-Length: 5\r\n.*\r\n\r\n$`},
	{args: "fetch -i http://www.demo.test/redirect", stdout: `^HTTP/1\.1 302 Found\r\n.*Location: /\r\n`},
	{args: "fetch -L http://www.demo.test/redirect", stdout: `^Hello`},
	{args: "fetch -i -d a=b -H X-Say:hi http://www.demo.test/echo",
		stdout: `X-Method: POST\r\nX-Said: hi\r\nX-Type: application/x-www-form-urlencoded\r\n\r\na=b$`},
	{args: "fetch -i -X PUT -d @- http://www.demo.test/echo", stdin: "from stdin", stdout: `X-Method: PUT\r\n.*\r\n\r\nfrom stdin$`},
	{args: "fetch http://www.demo.test/status/404"},
	{args: "fetch -f http://www.demo.test/status/404", code: exitFailure, stderr: `^userstack: fetch: .*404 Not Found\n$`},
	{args: "fetch http://www.demo.test:81/", code: exitFailure, stderr: `^userstack: fetch: .*81.*Connection refused; nothing listens there\n$`},
	{args: "fetch http://nosuch.demo.test/", code: exitFailure, stderr: `nosuch\.demo\.test: Name or service not known; the demo's network has names`},
	{args: "fetch --cacert testdata/other.pem https://www.demo.test/", code: exitFailure, stderr: `--cacert`},
	{args: "fetch --max-time 0.3 http://www.demo.test/wait", code: exitFailure, stderr: `not done within --max-time 300ms\n$`},
	{args: "fetch --max-time 0.3 http://silent.demo.test/", code: exitFailure, stderr: `not done within --max-time 300ms\n$`},

	{args: "nc -N www.demo.test 7", stdin: "hello\n", stdout: "^hello\n$"},
	{args: "nc -u -w 0.5 www.demo.test 7", stdin: "hello\n", stdout: "^hello\n$"},
	{args: "nc -6 -p 4000 -v -N www.demo.test 7", stdin: "x", stdout: "^x$", stderr: `connected to \[fd78::1\]:7 from \[fd78::2\]:4000\n$`},
	{args: "nc www.demo.test 80", stdin: "GET / HTTP/1.0\r\n\r\n", stdout: "^HTTP/1.0 200 OK\r\n.*Hello"},
	{args: "nc www.demo.test 81", code: exitFailure, stderr: `^userstack: nc: connect 10\.78\.0\.1:81: Connection refused; nothing listens there\n$`},
	{args: "nc -u www.demo.test 81", stdin: "x", code: exitFailure, stderr: `Connection refused`},
	{args: "nc -w 0.3 silent.demo.test 80", code: exitFailure, stderr: `connect 10\.78\.0\.99:80: timed out; no answer came`},
	{args: "nc -z www.demo.test 80"},
	{args: "nc -z www.demo.test 81", code: exitFailure, stderr: `refused`},
	{args: "nc -z -v www.demo.test 78-82", stderr: `port 79: .*refused.*port 80: open\n.*port 81: .*refused`},
	{args: "nc -z www.demo.test 81-83", code: exitFailure, stderr: `none of the ports 81 to 83 is open`},
	{args: "nc -z -u -w 0.3 www.demo.test 7"},
	{args: "nc -z -u -w 0.3 www.demo.test 8", code: exitFailure, stderr: `refused`},

	{args: "resolve www.demo.test", stdout: `^www\.demo\.test +60  A      10\.78\.0\.1\nwww\.demo\.test +60  AAAA   fd78::1\n$`},
	{args: "resolve -t aaaa alias.demo.test", stdout: `^alias\.demo\.test +60  CNAME  www\.demo\.test\nwww\.demo\.test +60  AAAA   fd78::1\n$`},
	{args: "resolve --short -t A,AAAA www.demo.test 192.0.2.1", stdout: "^10.78.0.1\nfd78::1\n192.0.2.1\n$"},
	{args: "resolve --trace ipv4.demo.test", stdout: "10.78.0.1", stderr: `resolve: .*send.*udp 10\.78\.0\.1:53.*reply.*NOERROR`},
	{args: "resolve --dns tcp://[fd78::1] --trace ipv4.demo.test", stdout: "10.78.0.1", stderr: `tcp \[fd78::1\]:53`},
	{args: "resolve -t TXT,aaaa demo.test", stdout: `AAAA   fd78::1\ndemo\.test +60  TXT    "userstack's demo network"\n$`},
	{args: "resolve -t TXT demo.test +short", stdout: `^"userstack's demo network"\n$`},
	{args: "resolve -x 127.0.0.1 ::1 +short", stdout: `^localhost\nlocalhost\n$`},
	{args: "resolve -x www.demo.test", code: exitUsage, stderr: "--reverse wants addresses"},
	{args: "resolve --trace www.demo.test www.demo.test", stdout: "10.78.0.1", stderr: `cache .*A www\.demo\.test.*TTL `},
	{args: "resolve broken.demo.test www.demo.test nosuch.demo.test", code: exitFailure, stdout: "10.78.0.1",
		stderr: `^userstack: resolve: .*broken\.demo\.test.*Temporary failure.*\nuserstack: resolve: .*nosuch\.demo\.test`},

	{args: "ping -c 3 -i 0.02 www.demo.test", stdout: `^PING www\.demo\.test \(10\.78\.0\.1\) 56\(84\) bytes of data\.\n` +
		`64 bytes from 10\.78\.0\.1: icmp_seq=1 ttl=64 time=[\d.]+ ms\n.*icmp_seq=3.*\n--- www\.demo\.test ping statistics ---\n` +
		`3 packets transmitted, 3 received, 0% packet loss, time \d+ms\nrtt min/avg/max/mdev = [\d.]+/[\d.]+/[\d.]+/[\d.]+ ms\n$`},
	{args: "ping -c 2 -i 0.02 -6 -s 20000 www.demo.test", stdout: `^PING www\.demo\.test \(fd78::1\) 20000 data bytes\n20008 bytes from fd78::1: .*2 received`},
	{args: "ping -c 2 -i 0.02 -W 0.1 silent.demo.test", code: exitFailure, stdout: `2 packets transmitted, 0 received, 100% packet loss`},
	{args: "ping -c 1 nosuch.demo.test", code: exitFailure, stderr: `not known`},
	{args: "ping -c 1 --route 10.78.0.0/24 192.0.2.1", code: exitFailure,
		stdout: "PING", stderr: `Network is unreachable; the stack has no route to it: see --addr, --gateway and --route\n$`},
}

func TestToolsInMemory(t *testing.T) {
	t.Parallel()
	runScripts(t, anywhere)
}

func TestToolsOnKernel(t *testing.T) {
	t.Parallel()
	needNamespace(t)
	runScripts(t, anywhere, "--link", "netns")
}

// TestUsage: what makes no sense is told apart from what does not work.
func TestUsage(t *testing.T) {
	t.Parallel()
	const see = `Run "userstack.* --help" for its manual\.\n$`
	runScripts(t, []script{
		{args: "--nonsense", code: exitUsage, stderr: `^userstack: unknown flag: --nonsense\n` + see},
		{args: "nonsense", code: exitUsage, stderr: `^userstack: unknown command "nonsense"`},
		{args: "fetsch", code: exitUsage, stderr: `Did you mean this\?\s+fetch\n`},
		{args: "fetch", code: exitUsage, stderr: `^userstack: fetch: needs one URL\n` + see},
		{args: "fetch a b", code: exitUsage, stderr: `nothing after it: "b"`},
		{args: "fetch --nonsense x", code: exitUsage, stderr: `unknown flag: --nonsense`},
		{args: "fetch gopher://www.demo.test/", code: exitUsage, stderr: `gopher: no such scheme`},
		{args: "fetch -H nonsense http://www.demo.test/", code: exitUsage, stderr: `header field "nonsense"`},
		{args: "fetch -4 -6 x", code: exitUsage, stderr: `ipv4 ipv6`},
		{args: "nc www.demo.test", code: exitUsage, stderr: `needs a host and a port`},
		{args: "nc www.demo.test http", code: exitUsage, stderr: `"http" is not a port`},
		{args: "nc www.demo.test 0", code: exitUsage, stderr: `"0" is not a port`},
		{args: "nc -l -z 80", code: exitUsage, stderr: `listen zero`},
		{args: "nc -w -1 h 1", code: exitUsage, stderr: `not a number of seconds`},
		{args: "resolve -t BX www.demo.test", code: exitUsage, stderr: `"BX": unknown: there are A, AAAA, MX`},
		{args: "resolve -x -t MX 192.0.2.1", code: exitUsage, stderr: `--reverse goes with neither`},
		{args: "resolve --compare -t MX x", code: exitUsage, stderr: `--compare compares addresses`},
		{args: "resolve +shrt x", code: exitUsage, stderr: `"\+shrt" is unknown`},
		{args: "resolve +short", code: exitUsage, stderr: `no name`},
		{args: "ping -c 0 www.demo.test", code: exitUsage, stderr: `not a number from 1`},
		{args: "ping -s 70000 www.demo.test", code: exitUsage, stderr: `not a number from 0 to 65507`},
		{args: "version x", code: exitUsage, stderr: `takes no arguments, but "x" was given`},
		{args: "demo --link tun:no", code: exitUsage, stderr: `--link demo or --link netns`},
		{args: "fetch --link nonsense x", code: exitUsage, stderr: `there is no link "nonsense"; there are demo, host, netns, tun:NAME`},
		{args: "fetch --link tun x", code: exitUsage, stderr: `"tun" should be tun:NAME`},
		{args: "fetch --link fd:three x", code: exitUsage, stderr: `"three" should be a file descriptor's number`},
		{args: "fetch --addr 10.0.0.1 x", code: exitUsage, stderr: `--addr`},
		{args: "fetch --mtu 100 x", code: exitUsage, stderr: `not a number from 1280 to 65535`},
		{args: "fetch --route 10.0.0.0/8,x x", code: exitUsage, stderr: `--route`},
		{args: "fetch --impair loss=2 x", code: exitUsage, stderr: `loss: "2" is not a share such as 5% or 0\.05`},
		{args: "fetch --impair lose=2% x", code: exitUsage, stderr: `"lose" is not a thing that can be done to packets; there are loss`},
		{args: "fetch --impair rate=fast x", code: exitUsage, stderr: `"fast" is not a rate such as 10M`},
		{args: "fetch --impair out.delay=-1s x", code: exitUsage, stderr: `out\.delay: "-1s" is not a time`},
		{args: "fetch --pcap /nonsense/x http://www.demo.test/", code: exitFailure, stderr: `--pcap: open /nonsense/x: no such file`},
		{args: "fetch --hosts /nonsense/x http://www.demo.test/", code: exitFailure, stderr: `/nonsense/x`},
		{args: "fetch --dns 10.78.0.1 --gateway 192.0.2.1 http://www.demo.test/", code: exitFailure, stderr: `192\.0\.2\.1`},
	})
}

// TestOwnAddresses: what the user says wins over what the link suggests.
func TestOwnAddresses(t *testing.T) {
	t.Parallel()
	runScripts(t, []script{
		{args: "fetch --addr 10.78.0.77/24 http://10.78.0.1/", stdout: `You are 10\.78\.0\.77:`},
		{args: "fetch --addr fd78::77/64 http://www.demo.test/", stdout: `You are \[fd78::77\]:`},
		{args: "fetch --addr 10.78.0.2/24 --gateway 10.78.0.1 http://10.78.0.1/", stdout: `Hello`},
		{args: "fetch --addr 10.78.0.2/24 --route 192.0.2.0/24,10.78.0.1 http://10.78.0.1/", stdout: `Hello`},
		{args: "ping -c 1 --mtu 9000 -s 8000 -vv 10.78.0.1", stdout: `8008 bytes from`, stderr: `-> IP 10\.78\.0\.2 > 10\.78\.0\.1: ICMP type 8 code 0, 8008 bytes\n<- `},
		{args: "ping -c 1 --mtu 1280 -s 2000 -vv 10.78.0.1", stdout: `2008 bytes from`, stderr: `fragment`},
	})
}

func TestHostsFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(file, []byte("10.78.0.1 printer\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	try(t, "fetch", "--hosts", file, "http://printer/").expect(t, exitOK, "Hello", "")
}

// TestFetchFile: what arrives is what was sent, also when it is much.
func TestFetchFile(t *testing.T) {
	t.Parallel()
	const bytesAsked = 3_000_000
	file := filepath.Join(t.TempDir(), "page")
	try(t, "fetch", "-o", file, fmt.Sprintf("http://www.demo.test/bytes/%d", bytesAsked)).expect(t, exitOK, "", "")
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := io.ReadAll(pattern(bytesAsked))
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes, not those that were sent", len(got))
	}
}

// TestNetcatStream: both directions whole, ended by half-close, though the peer echoes while we still send.
func TestNetcatStream(t *testing.T) {
	t.Parallel()
	want, _ := io.ReadAll(pattern(5_000_000))
	r := output(t, userstack(t, "nc", "-N", "www.demo.test", echoPort), string(want))
	if r.code != exitOK || r.stdout != string(want) {
		t.Errorf("exit status %d, %d bytes: %s", r.code, len(r.stdout), r.stderr)
	}
}

func TestResolveJSON(t *testing.T) {
	t.Parallel()
	r := try(t, "resolve", "--json", "alias.demo.test", "nosuch.demo.test")
	r.expect(t, exitFailure, ".", "nosuch")
	var got []resolved
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Name != "www.demo.test" || len(got[0].Addrs) != 2 || got[0].TTL != 60 || got[0].Error != "" || got[1].Error == "" {
		t.Errorf("%+v", got)
	}
}

// TestImpairSeed: the same seed, the same fate.
func TestImpairSeed(t *testing.T) {
	t.Parallel()
	ping := []string{"ping", "-c", "20", "-i", "0.01", "-W", "0.1", "--impair", "out.loss=30%,seed=5", "10.78.0.1"}
	got := map[string]bool{}
	for range 2 {
		r := try(t, ping...)
		r.expect(t, exitOK, "20 packets transmitted", "")
		got[strings.SplitAfter(r.stdout, "packet loss")[0][strings.Index(r.stdout, "---"):]] = true
	}
	if len(got) != 1 {
		t.Errorf("differing results: %v", got)
	}
	for text := range got {
		if strings.Contains(text, " 0% packet loss") {
			t.Errorf("nothing was lost: %s", text)
		}
	}
}

// TestCapture: tshark reads what --pcap wrote, and finds no wrong checksum in it.
func TestCapture(t *testing.T) {
	t.Parallel()
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("needs tshark: ", err)
	}
	file := filepath.Join(t.TempDir(), "x.pcapng")
	try(t, "fetch", "--pcap", file, "-o", os.DevNull, "http://www.demo.test/bytes/100000").expect(t, exitOK, "", "")
	read := func(filter string) string {
		cmd := exec.CommandContext(t.Context(), tshark, "-r", file, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
			"-Y", filter, "-T", "fields", "-e", "frame.interface_name", "-e", "frame.len")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	const fewest = 60 // 100,000 bytes in segments of at most 1,448
	if n := strings.Count(read("tcp"), "demo0"); n < fewest {
		t.Errorf("%d TCP packets, want more than %d", n, fewest)
	}
	for _, fault := range []string{"tcp.checksum.status == 0", "udp.checksum.status == 0", "ip.checksum.status == 0", "frame.len > 1500"} {
		if text := read(fault); text != "" {
			t.Errorf("%s: %s", fault, text)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	try(t, "version").expect(t, exitOK, `^userstack .*\ngvisor v0\.0\.0-.*\ngo1\..*\n$`, "")
	var v versions
	if err := json.Unmarshal([]byte(try(t, "version", "--json").stdout), &v); err != nil || v.GVisor == "" || v.Go == "" {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	try(t, "doctor").expect(t, exitOK, `ok +stack in memory +resolves www\.demo\.test\n.*operating system`, "")
	var all []finding
	if err := json.Unmarshal([]byte(try(t, "doctor", "--json").stdout), &all); err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.Thing == "" || f.Found == "" || f.Verdict == lacking && (f.Cost == "" || f.Remedy == "") {
			t.Errorf("%+v: what is missing has its cost and remedy", f)
		}
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		try(t, "completion", shell).expect(t, exitOK, "userstack", "")
	}
	try(t, "__complete", "fetch", "--link", "").expect(t, exitOK, "^demo\nhost\nnetns\ntun:\ntap:\nfd:\n", "NoSpace")
}

// TestProgress shows lines on a terminal for a long transfer only.
func TestProgress(t *testing.T) {
	var log bytes.Buffer
	p := &progress{log: &log, total: 4 << 20, start: time.Now().Add(-2 * time.Second)}
	p.next = p.start.Add(progressAfter)
	p.Write(make([]byte, 1<<20))
	p.Write(make([]byte, 1<<20)) // too soon for another line
	if got := log.String(); strings.Count(got, "\r") != 1 || !strings.Contains(got, "1.0 MiB of 4.0 MiB, 25 %") {
		t.Errorf("%q", got)
	}
	p.done()
	if got := log.String(); !strings.Contains(got, "2.0 MiB of 4.0 MiB, 50 %") || !strings.HasSuffix(got, "\n") {
		t.Errorf("%q", got)
	}
}
