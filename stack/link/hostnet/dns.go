package hostnet

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	resolvConf     = "/etc/resolv.conf" // resolv.conf(5)
	maxNameservers = 3                  // MAXNS there

	resolvCheck    = time.Second      // how often a change of the file is looked for
	serverPatience = 2 * time.Second  // a server that has not answered for so long is passed over…
	serverPenance  = 30 * time.Second // …for so long
	serverConnect  = 3 * time.Second  // for one server's TCP
)

// localServer is asked where the file names none (resolv.conf(5)).
var localServer = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), portDNS)

// nameservers are the machine's.
type nameservers struct {
	file string // empty where the list was given

	mu      sync.Mutex
	list    []netip.AddrPort
	checked time.Time
	mod     time.Time                    // of the file
	waiting map[netip.AddrPort]time.Time // since when a server that was asked has not answered
}

func (d *nameservers) init(list []netip.AddrPort) {
	d.waiting = map[netip.AddrPort]time.Time{}
	if list != nil {
		d.list = slices.Clone(list)
		return
	}
	d.file = resolvConf
}

// servers returns the list as it is now. The caller has the lock.
func (d *nameservers) servers(now time.Time) []netip.AddrPort {
	if d.file == "" || now.Sub(d.checked) < resolvCheck {
		return d.list
	}
	d.checked = now
	info, err := os.Stat(d.file)
	if err == nil && info.ModTime().Equal(d.mod) && d.list != nil {
		return d.list
	}
	d.list = []netip.AddrPort{localServer}
	if err != nil {
		return d.list
	}
	d.mod = info.ModTime()
	clear(d.waiting)
	if text, err := os.ReadFile(d.file); err == nil {
		if list := parseResolvConf(string(text)); len(list) > 0 {
			d.list = list
		}
	}
	return d.list
}

// parseResolvConf returns the nameservers of a resolv.conf(5).
func parseResolvConf(text string) (list []netip.AddrPort) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" || len(list) == maxNameservers {
			continue
		}
		if a, err := netip.ParseAddr(words[1]); err == nil {
			list = append(list, netip.AddrPortFrom(a.Unmap(), portDNS))
		}
	}
	return list
}

// choose returns the server to ask next: the first that is not known to be
// silent, or of silent ones the one that was asked longest ago. It returns the
// zero AddrPort when there is none.
func (d *nameservers) choose() (server netip.AddrPort) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	var longest time.Time
	for _, s := range d.servers(now) {
		since, waiting := d.waiting[s]
		if age := now.Sub(since); !waiting || age < serverPatience {
			if !waiting {
				d.waiting[s] = now
			}
			return s
		} else if age > serverPenance {
			d.waiting[s] = now
			return s
		}
		if !server.IsValid() || since.Before(longest) {
			server, longest = s, since
		}
	}
	if server.IsValid() {
		// Its turn ends now: the others of an all-silent list come first next time.
		d.waiting[server] = now.Add(-serverPatience)
	}
	return server
}

// answered notes that a server speaks, and reports whether from is one.
func (d *nameservers) answered(from netip.AddrPort) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Contains(d.list, from) {
		return false
	}
	delete(d.waiting, from)
	return true
}

// failed notes that a server cannot be asked.
func (d *nameservers) failed(server netip.AddrPort) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting[server] = time.Now().Add(-serverPatience)
}

// dialNameserver connects to the first server that takes a connection.
func (c *connector) dialNameserver(ctx context.Context) (*net.TCPConn, reason) {
	d := &c.u.dns
	d.mu.Lock()
	list := slices.Clone(d.servers(time.Now()))
	d.mu.Unlock()
	if len(list) == 0 {
		return nil, portUnreachable
	}
	first := silent
	for _, s := range list {
		one, cancel := context.WithTimeout(ctx, serverConnect)
		conn, why := c.dialOne(one, s)
		cancel()
		if conn != nil {
			return conn, silent
		}
		if first == silent {
			first = why
		}
	}
	return nil, first
}
