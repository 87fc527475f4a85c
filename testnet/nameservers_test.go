package testnet_test

import (
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/userstack/userstack/dnsresolver"
	"github.com/userstack/userstack/testnet"
)

// nameServers are programs of Debian's packages that serve realZones. In a configuration, DIR is the directory with the
// zones and the certificate, and ADDR the address to serve on.
var nameServers = []struct {
	program, pkg string
	protos       []dnsresolver.Proto // besides UDP with TCP
	config       string
	args         []string
	ready        string
}{
	{
		program: "unbound", pkg: "unbound", protos: []dnsresolver.Proto{dnsresolver.ProtoTLS},
		config: `
server:
	username: ""
	chroot: ""
	directory: "DIR"
	pidfile: "DIR/unbound.pid"
	use-syslog: no
	do-daemonize: no
	num-threads: 1
	verbosity: 1
	interface: ADDR@53
	interface: ADDR@853
	tls-service-key: "DIR/key.pem"
	tls-service-pem: "DIR/cert.pem"
	access-control: 0.0.0.0/0 allow
	local-zone: "2.0.192.in-addr.arpa." nodefault
	local-zone: "test." nodefault
remote-control:
	control-enable: no
auth-zone:
	name: "real.test"
	zonefile: "DIR/real.zone"
auth-zone:
	name: "2.0.192.in-addr.arpa"
	zonefile: "DIR/reverse.zone"
`,
		args:  []string{"-d", "-c", "DIR/config"},
		ready: `start of service \((.*)\)`,
	},
	{
		program: "named", pkg: "bind9", protos: []dnsresolver.Proto{dnsresolver.ProtoTLS, dnsresolver.ProtoHTTPS},
		config: `
tls local { cert-file "DIR/cert.pem"; key-file "DIR/key.pem"; };
options {
	directory "DIR"; pid-file none; session-keyfile none; managed-keys-directory "DIR"; lock-file none;
	max-records-per-type 0; recursion no; notify no; dnssec-validation no; listen-on-v6 { none; };
	listen-on port 53 { ADDR; };
	listen-on port 853 tls local { ADDR; };
	listen-on port 443 tls local http default { ADDR; };
};
controls { };
zone "real.test" { type primary; file "real.zone"; };
zone "2.0.192.in-addr.arpa" { type primary; file "reverse.zone"; };
`,
		args:  []string{"-g", "-n", "1", "-c", "DIR/config"},
		ready: `(running)$`,
	},
	{
		program: "knotd", pkg: "knot",
		config: `
server:
    rundir: "DIR"
    listen: ADDR@53
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "DIR"
log:
  - target: stderr
    any: info
zone:
  - domain: real.test
    file: "DIR/real.zone"
  - domain: 2.0.192.in-addr.arpa
    file: "DIR/reverse.zone"
`,
		args:  []string{"-c", "DIR/config"},
		ready: `(server started)`,
	},
	{
		program: "nsd", pkg: "nsd", protos: []dnsresolver.Proto{dnsresolver.ProtoTLS},
		config: `
server:
	username: ""
	chroot: ""
	zonesdir: "DIR"
	pidfile: "DIR/nsd.pid"
	xfrdfile: "DIR/xfrd.state"
	xfrdir: "DIR"
	zonelistfile: "DIR/zone.list"
	cookie-secret-file: "DIR/cookie"
	database: ""
	server-count: 1
	verbosity: 2
	ip-address: ADDR@53
	ip-address: ADDR@853
	tls-port: 853
	tls-service-key: "DIR/key.pem"
	tls-service-pem: "DIR/cert.pem"
remote-control:
	control-enable: no
zone:
	name: "real.test"
	zonefile: "real.zone"
zone:
	name: "2.0.192.in-addr.arpa"
	zonefile: "reverse.zone"
`,
		args:  []string{"-d", "-c", "DIR/config"},
		ready: `nsd started \((.*)\)`,
	},
	{
		program: "dnsmasq", pkg: "dnsmasq-base",
		config: `
no-resolv
no-hosts
listen-address=ADDR
bind-interfaces
local=/real.test/
local=/2.0.192.in-addr.arpa/
host-record=www.real.test,192.0.2.10,2001:db8::10
host-record=mail.real.test,192.0.2.25
cname=alias.real.test,www.real.test
mx-host=real.test,mail.real.test,10
addn-hosts=DIR/big.hosts
`,
		args:  []string{"--no-daemon", "--log-facility=-", "--pid-file=", "--conf-file=DIR/config"},
		ready: `started, version (\S+)`,
	},
}

// TestNameServers resolves by the servers that are installed.
func TestNameServers(t *testing.T) {
	t.Parallel()
	for _, s := range nameServers {
		t.Run(s.program, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(s.program); err != nil {
				t.Skipf("needs %s of the package %s: %v", s.program, s.pkg, err)
			}
			l := testnet.Namespaces(t)
			dir, roots := realZones(t, l)
			fill := strings.NewReplacer("ADDR", l.Kernel.Addr4.String(), "DIR", dir)
			writeFile(t, dir, "config", fill.Replace(s.config))
			var args []string
			for _, arg := range s.args {
				args = append(args, fill.Replace(arg))
			}
			t.Log(startUntil(t, l.Kernel, regexp.MustCompile(s.ready), s.program, args...)[1])
			checkServer(t, l, roots, append([]dnsresolver.Proto{dnsresolver.ProtoUDP, dnsresolver.ProtoTCP}, s.protos...)...)
		})
	}
}

// bigAddrs are those of big.real.test: more than fit into a datagram.
func bigAddrs() (list []netip.Addr) {
	for i := range 400 {
		list = append(list, netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}))
	}
	return list
}

// zoneFile and reverseFile are the zones as files (RFC 1035 section 5.1).
func zoneFile() string {
	var b strings.Builder
	b.WriteString(`$ORIGIN real.test.
$TTL 300
@ IN SOA ns hostmaster 1 3600 600 86400 60
@ IN NS ns
@ IN MX 10 mail
ns IN A 192.0.2.1
www IN A 192.0.2.10
www IN AAAA 2001:db8::10
mail IN A 192.0.2.25
alias IN CNAME www
`)
	for _, addr := range bigAddrs() {
		fmt.Fprintf(&b, "big IN A %v\n", addr)
	}
	return b.String()
}

const reverseFile = `$ORIGIN 2.0.192.in-addr.arpa.
$TTL 300
@ IN SOA ns.real.test. hostmaster.real.test. 1 3600 600 86400 60
@ IN NS ns.real.test.
10 IN PTR www.real.test.
`
