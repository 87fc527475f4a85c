package rtnetlink

import (
	"bytes"

	"github.com/userstack/userstack/stack"
)

const ifinfoLen = 16 // bytes of struct ifinfomsg

// oneLink is rtnl_getlink: by index, else by name.
func (q *query) oneLink() ([]byte, *fault) {
	b := q.body()
	if len(b) < ifinfoLen {
		return nil, invalid("Invalid header for get link")
	}
	as, f := q.attributes(ifinfoLen, iflaMax)
	if f != nil {
		return nil, f
	}
	if q.client.Strict && (!zero(b[1:4]) || !zero(b[8:ifinfoLen])) {
		return nil, invalid("Invalid values in header for get link request")
	}
	if f := q.allow(as, "Unsupported attribute in get link request", iflaIfname, iflaAltIfname, iflaExtMask, iflaTargetNetnsid); f != nil {
		return nil, f
	}
	name, named := as[iflaIfname]
	if !named {
		name, named = as[iflaAltIfname]
	}
	name, _, _ = bytes.Cut(name, []byte{0})
	index := int(int32(order.Uint32(b[4:])))
	switch {
	case named && len(name) > stack.MaxNameLen:
		return nil, &fault{errno: errRange, text: "Attribute failed policy validation"}
	case index <= 0 && !named:
		return nil, &fault{errno: errInvalid}
	}
	for _, i := range q.stack.Interfaces() {
		if index > 0 && i.Index == index || index <= 0 && i.Name == string(name) {
			return q.link(i), nil
		}
	}
	return nil, &fault{errno: errNoDevice}
}

func (q *query) dumpLinks() ([][]byte, *fault) {
	none, f := q.linkFilter()
	if f != nil && q.client.Strict {
		return nil, f
	}
	if none || q.family() == familyBridge { // there are no bridges
		return nil, nil
	}
	var out [][]byte
	for _, i := range q.stack.Interfaces() {
		if q.family() == familyInet6 {
			out = append(out, q.link6(i))
		} else {
			out = append(out, q.link(i))
		}
	}
	return out, nil
}

// linkFilter reads what a dump is to leave out. Nothing here has a master or a kind,
// so that asking for one leaves none.
func (q *query) linkFilter() (none bool, f *fault) {
	b := q.body()
	fixed := ifinfoLen
	if len(b) < ifinfoLen {
		if q.client.Strict {
			return false, invalid("Invalid header for link dump")
		}
		fixed = min(4, len(b)) // struct rtgenmsg, which programs of old send
	} else if q.client.Strict {
		if !zero(b[1:4]) || !zero(b[8:ifinfoLen]) {
			return false, invalid("Invalid values in header for link dump request")
		}
		if !zero(b[4:8]) {
			return false, invalid("Filter by device index not supported for link dumps")
		}
	}
	as, f := q.attributes(fixed, iflaMax)
	if f != nil {
		return false, f
	}
	if f := q.allow(as, "Unsupported attribute in link dump request", iflaTargetNetnsid, iflaExtMask, iflaMaster, iflaLinkinfo); f != nil {
		return false, f
	}
	master, f := as.u32(iflaMaster)
	if f != nil {
		return false, f
	}
	if _, kind := as[iflaLinkinfo]; kind || master != 0 {
		return true, nil
	}
	return false, nil
}

func zero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}

func hardware(i stack.Interface) uint16 {
	switch {
	case i.Loopback:
		return arphrdLoopback
	case len(i.MAC) > 0:
		return arphrdEther
	}
	return arphrdNone
}

func operstate(i stack.Interface) uint8 {
	switch {
	case !i.Up:
		return operDown
	case i.Loopback:
		return operUnknown
	}
	return operUp
}

// linkHeader begins a message with struct ifinfomsg.
func (q *query) linkHeader(i stack.Interface, family uint8) builder {
	flags := uint32(i.Flags())
	if i.Up {
		flags |= iffLowerUp
	}
	b := q.reply()
	b.u8(family, 0)
	b.u16(hardware(i))
	b.u32(uint32(i.Index))
	b.u32(flags)
	b.u32(0)
	return b
}

// link6 is the link as AF_INET6 sees it, without the sysctls that it has there.
func (q *query) link6(i stack.Interface) []byte {
	b := q.linkHeader(i, familyInet6)
	b.text(iflaIfname, i.Name)
	if address := linkAddress(i); address != nil {
		b.attr(iflaAddress, address)
	}
	b.attr32(iflaMTU, uint32(i.MTU))
	b.attr8(iflaOperstate, operstate(i))
	return b.done()
}

const macLen = 6

// linkAddress is six zeros for the loopback, and nil for tunnels.
func linkAddress(i stack.Interface) []byte {
	if i.Loopback {
		return make([]byte, macLen)
	}
	return i.MAC
}

// link makes an RTM_NEWLINK. The attributes come in the kernel's order.
func (q *query) link(i stack.Interface) []byte {
	const (
		gsoMaxSegs, gsoMaxSize = 65535, 65536 // defaults of <linux/netdevice.h>
		minMTU, maxMTU         = 68, 65535    // RFC 791, and as TUN devices have it
	)
	oneIfUp := uint8(0)
	if i.Up {
		oneIfUp = 1
	}
	b := q.linkHeader(i, familyUnspec)
	b.text(iflaIfname, i.Name)
	b.attr32(iflaTxqlen, uint32(i.QueueLen()))
	b.attr8(iflaOperstate, operstate(i))
	b.attr8(iflaLinkmode, 0)
	b.attr32(iflaMTU, uint32(i.MTU))
	if i.Loopback {
		b.attr32(iflaMinMTU, 0)
		b.attr32(iflaMaxMTU, 0)
	} else {
		b.attr32(iflaMinMTU, minMTU)
		b.attr32(iflaMaxMTU, maxMTU)
	}
	b.attr32(iflaGroup, 0)
	b.attr32(iflaPromiscuity, 0)
	b.attr32(iflaNumTxQueues, 1)
	b.attr32(iflaGSOMaxSegs, gsoMaxSegs)
	b.attr32(iflaGSOMaxSize, gsoMaxSize)
	b.attr32(iflaNumRxQueues, 1)
	b.attr8(iflaCarrier, oneIfUp)
	b.attr32(iflaCarrierChanges, 0)
	b.attr32(iflaCarrierUp, 0)
	b.attr32(iflaCarrierDown, 0)
	b.attr8(iflaProtoDown, 0)
	if address := linkAddress(i); address != nil {
		b.attr(iflaAddress, address)
		b.attr(iflaBroadcast, broadcastMAC(i))
	}
	counters(&b, i.Traffic)
	b.text(iflaQdisc, "noqueue")
	b.attr(iflaMap, make([]byte, 32)) // struct rtnl_link_ifmap: no memory, no interrupts
	return b.done()
}

func broadcastMAC(i stack.Interface) []byte {
	if i.Loopback {
		return make([]byte, macLen)
	}
	return bytes.Repeat([]byte{0xff}, len(i.MAC))
}

// counters are struct rtnl_link_stats64, and the same with 32 bits.
func counters(b *builder, t stack.Traffic) {
	const fields64, fields32 = 25, 24
	all := make([]uint64, fields64)
	all[0], all[1] = t.ReceivedPackets, t.SentPackets
	all[2], all[3] = t.ReceivedBytes, t.SentBytes
	all[7] = t.SendDrops // tx_dropped
	b.longs(iflaStats64, all...)
	low := make([]uint32, fields32)
	for k := range low {
		low[k] = uint32(all[k])
	}
	b.words(iflaStats, low...)
}
