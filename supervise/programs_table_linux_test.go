//go:build amd64 || arm64

package supervise_test

import "strings"

// absoluteTestdata is the directory of the scripts: programs run in a directory of their own.
var absoluteTestdata = mustAbsolute("testdata/programs")

// echoScript and its modes: see testdata/programs/echo.py.
var echoScript = absoluteTestdata + "/echo.py"

// curl is how curl is called: no proxy of the environment, errors on stderr, and an exit status for HTTP's.
func curl(args ...string) []string {
	return append([]string{"curl", "--silent", "--show-error", "--fail", "--globoff", "--noproxy", "*"}, args...)
}

// pythonFetch is urllib with no proxy of the environment.
const pythonFetch = `
import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
sys.stdout.buffer.write(opener.open(sys.argv[1]).read())
`

const nginxConfig = `
user root; daemon off; master_process on; worker_processes 3; pid {dir}/pid; error_log stderr notice;
events { worker_connections 512; }
http {
	access_log off; sendfile on; tcp_nopush on; default_type text/plain;
	client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
	server {
		listen 8080; listen [::]:8080; listen 8443 ssl http2; listen [::]:8443 ssl http2;
		ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
		root {dir};
		location /proxy/ { proxy_pass http://127.0.0.1:8080/; }
	}
}`

// selfSigned makes cert.pem and key.pem.
var selfSigned = []string{
	"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
	"-subj", "/CN=program.test", "-keyout", "{dir}/key.pem", "-out", "{dir}/cert.pem",
}

const sshdConfig = `
Port 2222
HostKey {dir}/host
AuthorizedKeysFile {dir}/user.pub
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
`

const nodeServer = `
const http = require('http'), fs = require('fs');
http.createServer((q, r) => fs.createReadStream('{dir}/file').pipe(r)).listen(8080);
`

const nodeClient = `
const http = require('http');
const get = n => new Promise((ok, bad) => http.get('http://{addr}:8080/', r => {
	let size = 0; r.on('data', d => size += d.length); r.on('end', () => ok(size));
}).on('error', bad));
Promise.all([1, 2, 3, 4].map(get)).then(sizes => console.log(sizes.join(' ')));
`

const javaServer = `
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.file.*;

class Serve {
	public static void main(String[] args) throws Exception {
		HttpServer s = HttpServer.create(new InetSocketAddress(8080), 64);
		byte[] file = Files.readAllBytes(Path.of(args[0]));
		s.createContext("/", x -> { x.sendResponseHeaders(200, file.length); x.getResponseBody().write(file); x.close(); });
		s.start();
	}
}
`

// programTable is what people run. Each row has servers and clients, of which those are left out that are not installed.
var programTable = []programRow{
	{
		name:   "python http.server",
		needs:  []string{"python3"},
		server: []string{"python3", "-m", "http.server", "--directory", "{dir}", "--bind", "::", "8080"},
		port:   8080,
		clients: []client{
			{name: "go", get: "http://{addr}:8080/file"},
			{name: "go IPv6", get: "http://[{addr6}]:8080/file"},
			{name: "curl", needs: []string{"curl"}, args: curl("http://{addr}:8080/file"), file: true},
			{name: "curl IPv6", needs: []string{"curl"}, args: curl("http://[{addr6}]:8080/file"), file: true},
			{name: "curl refused", needs: []string{"curl", "sh"}, args: []string{"sh", "-c", `curl -sS --noproxy '*' http://{addr}:81/; echo $?`}, want: "^7\n$"},
			{name: "urllib", args: []string{"python3", "-c", pythonFetch, "http://{addr}:8080/file"}, file: true},
			{name: "wget", needs: []string{"wget"}, args: []string{"wget", "--no-proxy", "-qO-", "http://{addr}:8080/file"}, file: true},
			{name: "busybox wget", needs: []string{"busybox:busybox-static"}, args: []string{"busybox", "wget", "-qO-", "http://{addr}:8080/file"}, file: true},
		},
	},
	{
		name:   "nginx",
		needs:  []string{"nginx:nginx-light", "openssl"},
		files:  map[string]string{"nginx.conf": nginxConfig, "urls": strings.Repeat("url = http://{addr}:8080/file\noutput = /dev/null\n", 20)},
		setup:  [][]string{selfSigned},
		server: []string{"nginx", "-p", "{dir}", "-e", "stderr", "-c", "{dir}/nginx.conf"},
		port:   8443,
		clients: []client{
			{name: "go", get: "http://{addr}:8080/file"},
			{name: "through its own proxy", get: "http://{addr}:8080/proxy/file"},
			{name: "curl HTTPS", needs: []string{"curl"}, args: curl("--insecure", "--http1.1", "https://{addr}:8443/file"), file: true},
			{name: "curl HTTP2", needs: []string{"curl"}, args: curl("--insecure", "--http2", "-o", "/dev/null", "-w", "%{http_version} %{size_download}", "https://[{addr6}]:8443/file"), want: "^2 1048576$"},
			{name: "curl parallel", needs: []string{"curl"}, args: curl("--parallel", "--parallel-immediate", "-w", "%{size_download}\n", "-K", "{dir}/urls"), want: "^(1048576\n){20}$"},
			{name: "ab", needs: []string{"ab:apache2-utils"}, args: []string{"ab", "-q", "-n", "300", "-c", "30", "-k", "http://{addr}:8080/nginx.conf"}, want: `Complete requests: +300\nFailed requests: +0\n`},
			{name: "wrk", needs: []string{"wrk"}, args: []string{"wrk", "-t1", "-c20", "-d1", "http://{addr}:8080/nginx.conf"}, want: `(?s)requests in.*Requests/sec`},
		},
	},
	echoRow("select"), echoRow("poll"), echoRow("epoll"), echoRow("asyncio"), echoRow("socketserver"),
	{
		name:   "nc",
		needs:  []string{"nc:netcat-openbsd", "sh"},
		server: []string{"sh", "-c", "nc -l 7000 >/dev/null; nc -N -l 7000 <{dir}/file"}, // the first serves who asks whether it is there
		port:   7000,
		clients: []client{
			{name: "nc", args: []string{"sh", "-c", "until nc -d {addr} 7000 >got && test -s got; do :; done; cat got"}, file: true},
			{name: "nc refused", args: []string{"sh", "-c", "nc -v {addr} 81 2>&1; echo $?"}, want: "refused\n1\n$"},
		},
	},
	{
		name:  "dig",
		needs: []string{"dig:bind9-dnsutils"},
		clients: []client{
			{name: "UDP", args: []string{"dig", "+short", "@{addr}", "program.test", "A", "program.test", "AAAA"}, want: "^{addr}\n{addr6}\n$"},
			{name: "TCP", args: []string{"dig", "+short", "+tcp", "@{addr}", "program.test", "AAAA"}, want: "^{addr6}\n$"},
			{name: "no such name", args: []string{"dig", "@{addr}", "nothing.test"}, want: "NXDOMAIN"},
		},
	},
	{
		name:  "ping",
		needs: []string{"ping:iputils-ping"},
		clients: []client{
			{name: "IPv4", args: []string{"ping", "-c", "3", "-i", "0.2", "{addr}"}, want: `(?s)64 bytes from .* 3 received, 0% packet loss`},
			{name: "IPv6", args: []string{"ping", "-c", "3", "-i", "0.2", "{addr6}"}, want: `(?s)64 bytes from .* 3 received, 0% packet loss`},
			{name: "nobody", args: []string{"sh", "-c", "ping -c 1 -W 1 10.77.0.99; echo $?"}, want: `0 received(.|\n)*\n1\n$`},
		},
	},
	{
		name:  "ssh",
		needs: []string{"ssh:openssh-client", "/usr/sbin/sshd:openssh-server", "ssh-keygen:openssh-client"},
		files: map[string]string{"sshd_config": sshdConfig},
		setup: [][]string{
			{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "{dir}/host"},
			{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "{dir}/user"},
			{"sh", "-c", "test $(id -u) != 0 || mkdir -p /run/sshd"},
		},
		server: []string{"/usr/sbin/sshd", "-D", "-e", "-f", "{dir}/sshd_config"},
		port:   2222,
		lacks:  "not allowed because account is locked",
		clients: []client{
			{
				name: "ssh",
				args: []string{
					"ssh", "-F", "none", "-p", "2222", "-i", "{dir}/user", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
					"-o", "IdentityAgent=none", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "{addr}", "cat {dir}/file",
				},
				file: true,
			},
		},
	},
	{
		name:   "redis",
		needs:  []string{"redis-server", "redis-benchmark:redis-tools", "redis-cli:redis-tools"},
		server: []string{"redis-server", "--port", "6379", "--bind", "0.0.0.0", "::", "--protected-mode", "no", "--save", "", "--dir", "{dir}"},
		port:   6379,
		clients: []client{
			{name: "redis-cli", args: []string{"sh", "-c", "redis-cli -h {addr} -x set file <{dir}/file && redis-cli -h {addr6} strlen file"}, want: "^OK\n1048576\n$"},
			{name: "redis-benchmark", args: []string{"redis-benchmark", "-h", "{addr}", "-q", "-n", "2000", "-c", "20", "-P", "4", "-t", "set,get,lpush"}, want: "(?s)SET: .*GET: .*LPUSH: "},
		},
	},
	{
		name:   "iperf3",
		needs:  []string{"iperf3"},
		server: []string{"iperf3", "--server", "--forceflush"},
		says:   "Server listening",
		clients: []client{
			{name: "TCP", args: []string{"iperf3", "-c", "{addr}", "-n", "32M", "-J"}, want: iperfReceived},
			{name: "TCP reverse parallel", args: []string{"iperf3", "-c", "{addr6}", "-n", "32M", "-R", "-P", "4", "-J"}, want: iperfReceived},
			{name: "UDP", args: []string{"iperf3", "-c", "{addr}", "-u", "-b", "20M", "-n", "1M", "-J"}, want: iperfReceived},
			{name: "UDP reverse", args: []string{"iperf3", "-c", "{addr}", "-u", "-R", "-b", "20M", "-n", "1M", "-J"}, want: iperfReceived},
		},
	},
	{
		name:   "socat",
		needs:  []string{"socat"},
		server: []string{"socat", "TCP6-LISTEN:7000,fork,reuseaddr,ipv6only=0", "EXEC:cat"},
		port:   7000,
		clients: []client{
			{name: "through cat and back", args: []string{"sh", "-c", "socat -t 60 - TCP4:{addr}:7000 <{dir}/file"}, file: true},
			{name: "IPv6", args: []string{"sh", "-c", "socat -t 60 - TCP6:[{addr6}]:7000 <{dir}/file"}, file: true},
		},
	},
	{
		name:   "socat UDP",
		needs:  []string{"socat", "sh"},
		server: []string{"sh", "-c", "socat UDP-LISTEN:7000,fork EXEC:cat & exec socat TCP-LISTEN:7001,fork EXEC:cat"},
		port:   7001,
		clients: []client{
			{name: "echo", args: []string{"sh", "-c", "until echo hello | socat -t 1 - UDP:{addr}:7000 | grep hello; do :; done"}, want: "^hello\n$"},
		},
	},
	{
		name:   "node",
		needs:  []string{"node:nodejs"},
		files:  map[string]string{"server.js": nodeServer, "client.js": nodeClient},
		server: []string{"node", "server.js"},
		port:   8080,
		clients: []client{
			{name: "go", get: "http://{addr}:8080/file"},
			{name: "node", args: []string{"node", "client.js"}, want: "^1048576 1048576 1048576 1048576\n$"},
		},
	},
	{
		name:    "java",
		needs:   []string{"java:default-jdk-headless"},
		files:   map[string]string{"Serve.java": javaServer},
		server:  []string{"java", "{dir}/Serve.java", "{dir}/file"},
		port:    8080,
		clients: []client{{name: "go", get: "http://{addr}:8080/file"}},
		heavy:   true,
	},
	{
		name:   "static Go",
		needs:  []string{"go:golang"},
		setup:  [][]string{{"env", "CGO_ENABLED=0", "go", "build", "-o", "{dir}/gohttp", absoluteTestdata + "/gohttp/main.go"}},
		server: []string{"{dir}/gohttp", "serve", ":8080", "{dir}"},
		port:   8080,
		clients: []client{
			{name: "go", get: "http://{addr}:8080/file"},
			{name: "itself", args: []string{"{dir}/gohttp", "get", "http://{addr}:8080/file", "20"}, want: "^({digest}\n){20}$"},
			{name: "itself IPv6", args: []string{"{dir}/gohttp", "get", "http://[{addr6}]:8080/file", "2"}, want: "^({digest}\n){2}$"},
		},
	},
	{
		name:   "busybox",
		needs:  []string{"busybox:busybox-static"},
		server: []string{"busybox", "httpd", "-f", "-p", "8080", "-h", "{dir}"},
		port:   8080,
		clients: []client{
			{name: "go", get: "http://{addr}:8080/file"},
			{name: "wget", args: []string{"busybox", "wget", "-qO-", "http://{addr}:8080/file"}, file: true},
			{name: "nc", args: []string{"sh", "-c", `printf 'GET /file HTTP/1.0\r\n\r\n' | busybox nc {addr} 8080 | grep -c '^Content-'`}, want: "^[1-9]"},
		},
	},
	{
		name:  "git",
		needs: []string{"git", "python3"},
		setup: [][]string{
			{"git", "init", "-q", "{dir}/repo"},
			{"cp", "{dir}/file", "{dir}/repo/file"},
			{"git", "-C", "{dir}/repo", "add", "file"},
			{"git", "-C", "{dir}/repo", "-c", "user.name=T", "-c", "user.email=t@program.test", "commit", "-qm", "a file"},
			{"git", "-C", "{dir}/repo", "update-server-info"},
		},
		server: []string{"python3", "-m", "http.server", "--directory", "{dir}", "8080"},
		port:   8080,
		clients: []client{
			{name: "clone", args: []string{"sh", "-c", "git -c http.proxy= clone -q http://{addr}:8080/repo/.git clone && cat clone/file"}, file: true},
		},
	},
	{
		name:   "memcached",
		needs:  []string{"memcached", "python3"},
		server: []string{"memcached", "-u", "root", "-p", "11211", "-U", "11211", "-l", "0.0.0.0", "-t", "2"},
		port:   11211,
		clients: []client{
			{name: "TCP", args: []string{"python3", absoluteTestdata + "/memcached.py", "{addr}"}, want: "^ok\n$"},
		},
	},
}

// iperfReceived is what iperf3's JSON says of a run in which data came: a sum that is no zero, and no error.
const iperfReceived = `(?s)"sum(_received)?":\s*\{[^}]*"bytes":\s*[1-9]`

// echoRow is a server of testdata/programs/echo.py with clients of both kinds.
func echoRow(mode string) programRow {
	return programRow{
		name:   "python " + mode,
		needs:  []string{"python3"},
		server: []string{"python3", echoScript, mode, "7000"},
		port:   7000,
		clients: []client{
			{name: "epoll", args: []string{"python3", echoScript, "client", "{addr}", "7000", "50"}, want: "^echoed 50\n$"},
			{name: "asyncio", args: []string{"python3", echoScript, "asyncio-client", "{addr}", "7000", "50"}, want: "^echoed 50\n$"},
		},
	}
}
