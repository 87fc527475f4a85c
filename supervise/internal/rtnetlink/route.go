package rtnetlink

import (
	"fmt"
	"net/netip"

	"github.com/userstack/userstack/stack"
)

const rtmsgLen = 12 // bytes of struct rtmsg

// routeHeader begins a message with struct rtmsg.
func (q *query) routeHeader(family uint8, dst, src int, table, protocol, scope, kind uint8, flags uint32) builder {
	b := q.reply()
	b.u8(family, uint8(dst), uint8(src), 0, table, protocol, scope, kind)
	b.u32(flags)
	b.attr32(rtaTable, uint32(table))
	return b
}

// tail ends a message for IPv6.
func tail6(b *builder) {
	b.attr(rtaCacheinfo, make([]byte, cacheinfoLen))
	b.attr8(rtaPref, 0) // medium (RFC 4191)
}

const cacheinfoLen = 32 // bytes of struct rta_cacheinfo

// entry makes the RTM_NEWROUTE of a table's route.
func (q *query) entry(e entry) []byte {
	family := familyOf(e.dst.Addr())
	b := q.routeHeader(family, e.dst.Bits(), 0, e.table, e.protocol, e.scope, e.kind, 0)
	if e.dst.Bits() > 0 {
		b.attr(rtaDst, e.dst.Addr().AsSlice())
	}
	if family == familyInet6 {
		b.attr32(rtaPriority, e.metric)
	}
	if e.source.IsValid() {
		b.attr(rtaPrefsrc, e.source.AsSlice())
	}
	if e.gateway.IsValid() {
		b.attr(rtaGateway, e.gateway.AsSlice())
	}
	b.attr32(rtaOif, uint32(e.index))
	if family == familyInet6 {
		tail6(&b)
	}
	return b.done()
}

func (q *query) dumpRoutes() ([][]byte, *fault) {
	want, f := q.routeFilter()
	if f != nil {
		return nil, f
	}
	var out [][]byte
	for _, family := range q.families() {
		if want.none(family) {
			continue
		}
		for _, e := range entries(q.stack, family) {
			if want.takes(e) {
				out = append(out, q.entry(e))
			}
		}
	}
	return out, nil
}

// A routeFilter is what a dump is restricted to; zero fields restrict nothing.
type routeFilter struct {
	table    uint32
	protocol uint8
	kind     uint8
	index    uint32
	flags    uint32
	strict   bool
}

// none reports whether a filter leaves nothing of a family: there are no cached
// routes, and no IPv6 routes that a router announced.
func (w routeFilter) none(family uint8) bool {
	return w.strict && w.flags&flagCloned != 0 || family == familyInet6 && w.flags&flagPrefix != 0
}

func (w routeFilter) takes(e entry) bool {
	return (w.table == 0 || w.table == uint32(e.table)) && (w.protocol == 0 || w.protocol == e.protocol) &&
		(w.kind == 0 || w.kind == e.kind) && (w.index == 0 || w.index == uint32(e.index))
}

// routeFilter is ip_valid_fib_dump_req. Clients that are not strict can only filter
// by flags.
func (q *query) routeFilter() (w routeFilter, f *fault) {
	b := q.body()
	if !q.client.Strict {
		if len(b) >= rtmsgLen {
			w.flags = order.Uint32(b[8:]) & (flagCloned | flagPrefix)
		}
		return w, nil
	}
	if len(b) < rtmsgLen {
		return w, invalid("Invalid header for FIB dump request")
	}
	if !zero(b[1:4]) || b[6] != 0 {
		return w, invalid("Invalid values in header for FIB dump request")
	}
	w = routeFilter{table: uint32(b[4]), protocol: b[5], kind: b[7], flags: order.Uint32(b[8:]), strict: true}
	if w.flags&^(flagCloned|flagPrefix) != 0 {
		return w, invalid("Invalid flags for FIB dump request")
	}
	as, f := q.attributes(rtmsgLen, rtaMax)
	if f != nil {
		return w, f
	}
	if f := q.allow(as, "Unsupported attribute in dump request", rtaTable, rtaOif); f != nil {
		return w, f
	}
	if _, ok := as[rtaTable]; ok {
		if w.table, f = as.u32(rtaTable); f != nil {
			return w, f
		}
	}
	if w.index, f = as.u32(rtaOif); f != nil {
		return w, f
	}
	if _, ok := q.byIndex(int(w.index)); w.index != 0 && !ok {
		return w, &fault{errno: errNoDevice}
	}
	q.filtered = true
	if w.table != 0 && (w.table < tableDefault || w.table > tableLocal) && len(q.families()) == 1 {
		return w, &fault{errno: errNoEntry, text: "ipv" + versions[q.family()] + "FIB table does not exist"}
	}
	return w, nil
}

func (q *query) byIndex(index int) (stack.Interface, bool) {
	for _, i := range q.stack.Interfaces() {
		if i.Index == index {
			return i, true
		}
	}
	return stack.Interface{}, false
}

// A lookup is what RTM_GETROUTE asks about.
type lookup struct {
	dst, src netip.Addr
	index    int // the interface that the packet leaves through, or 0
	entry    bool
}

// oneRoute answers with the route that the stack would choose.
func (q *query) oneRoute() ([]byte, *fault) {
	l, f := q.lookup()
	if f != nil {
		return nil, f
	}
	p, ok := q.stack.PathTo(l.index, l.src, l.dst)
	if !ok {
		return nil, &fault{errno: errNetUnreach}
	}
	e, found := match(entries(q.stack, q.family()), l.dst, p.Interface)
	switch {
	case l.entry && found:
		return q.entry(e), nil
	case q.family() == familyInet:
		return q.cached4(l, p), nil
	}
	return q.cached6(l, p, e), nil
}

func (q *query) lookup() (l lookup, f *fault) {
	family, b := q.family(), q.body()
	if family != familyInet && family != familyInet6 {
		return l, &fault{errno: errNotSupported}
	}
	as, f := q.attributes(rtmsgLen, rtaMax)
	if f != nil {
		return l, f
	}
	if q.client.Strict {
		if f := q.strictLookup(as); f != nil {
			return l, f
		}
	}
	if l.dst, f = as.address(rtaDst, family); f != nil {
		return l, f
	}
	if l.src, f = as.address(rtaSrc, family); f != nil {
		return l, f
	}
	if l.src.IsUnspecified() {
		l.src = netip.Addr{}
	}
	l.entry = order.Uint32(b[8:])&flagFibMatch != 0
	if !l.dst.IsValid() {
		l.dst = netip.IPv6Unspecified()
	}
	if family == familyInet && l.dst.IsUnspecified() {
		l.dst = netip.AddrFrom4([4]byte{127, 0, 0, 1}) // as ip_route_output_key does
	}
	in, f := as.u32(rtaIif)
	if f != nil {
		return l, f
	}
	if in != 0 {
		return l, &fault{errno: errHostUnreach} // of a host that does not forward
	}
	out, f := as.u32(rtaOif)
	if f != nil {
		return l, f
	}
	l.index = int(out)
	if _, ok := q.byIndex(l.index); l.index != 0 && !ok {
		return l, &fault{errno: map[uint8]int32{familyInet: errNoDevice, familyInet6: errNetUnreach}[family]}
	}
	return l, nil
}

// strictLookup is inet_rtm_valid_getroute_req.
func (q *query) strictLookup(as attrs) *fault {
	const settable = 0x1000 | flagFibMatch // RTM_F_LOOKUP_TABLE
	b, version := q.body(), versions[q.family()]
	full := uint8(32)
	if q.family() == familyInet6 {
		full = 128
	}
	if b[1] != 0 && b[1] != full || b[2] != 0 && b[2] != full || !zero(b[4:8]) {
		return invalid("ipv" + version + "Invalid values in header for route get request")
	}
	if order.Uint32(b[8:])&^settable != 0 {
		return invalid("ipv" + version + "Unsupported rtm_flags for route get request")
	}
	_, hasDst := as[rtaDst]
	_, hasSrc := as[rtaSrc]
	if hasDst && b[1] == 0 || hasSrc && b[2] == 0 {
		return invalid(fmt.Sprintf("ipv%srtm_src_len and rtm_dst_len must be %d for IPv%.1s", version, full, version))
	}
	return nil
}

// address reads an address of a family; the zero Addr where there is none. IPv4's
// policy complains of what is too short, IPv6's code does.
func (as attrs) address(kind uint16, family uint8) (netip.Addr, *fault) {
	v, ok := as[kind]
	switch {
	case !ok:
		return netip.Addr{}, nil
	case family == familyInet && len(v) < 4:
		return netip.Addr{}, &fault{errno: errRange, text: "Attribute failed policy validation"}
	case family == familyInet:
		return netip.AddrFrom4([4]byte(v[:4])), nil
	case len(v) < 16:
		return netip.Addr{}, &fault{errno: errInvalid}
	}
	return netip.AddrFrom16([16]byte(v[:16])), nil
}

// cached4 is rt_fill_info: the route as a packet would use it.
func (q *query) cached4(l lookup, p stack.Path) []byte {
	kind, flags := uint8(typeUnicast), uint32(flagCloned)
	switch {
	case p.Local:
		kind, flags = typeLocal, flags|flagLocal
	case p.Broadcast:
		kind, flags = typeBroadcast, flags|flagBroadcast|flagLocal
	case l.dst.IsMulticast():
		kind, flags = typeMulticast, flags|flagMulticast
	}
	srcBits := 0
	if l.src.IsValid() {
		srcBits = 32
	}
	b := q.routeHeader(familyInet, 32, srcBits, tableMain, 0, scopeUniverse, kind, flags)
	b.attr(rtaDst, l.dst.AsSlice())
	if l.src.IsValid() {
		b.attr(rtaSrc, l.src.AsSlice())
	}
	b.attr32(rtaOif, uint32(p.Interface))
	source := p.Source
	if source == l.dst && source.IsLoopback() {
		source = netip.AddrFrom4([4]byte{127, 0, 0, 1}) // the primary address, of which all 127/8 is local
	}
	if !l.src.IsValid() {
		b.attr(rtaPrefsrc, source.AsSlice())
	}
	if p.Gateway.IsValid() {
		b.attr(rtaGateway, p.Gateway.AsSlice())
	}
	b.attr(rtaCacheinfo, make([]byte, cacheinfoLen))
	return b.done()
}

// cached6 is rt6_fill_node, which shows the table's route with the addresses filled in.
func (q *query) cached6(l lookup, p stack.Path, e entry) []byte {
	source := l.src
	if !source.IsValid() {
		source = netip.IPv6Unspecified()
	}
	b := q.routeHeader(familyInet6, 128, 128, max(e.table, tableMain), e.protocol, e.scope, max(e.kind, typeUnicast), 0)
	b.attr(rtaDst, l.dst.AsSlice())
	b.attr(rtaSrc, source.AsSlice())
	b.attr(rtaPrefsrc, p.Source.AsSlice())
	b.attr32(rtaPriority, e.metric)
	if p.Gateway.IsValid() {
		b.attr(rtaGateway, p.Gateway.AsSlice())
	}
	b.attr32(rtaOif, uint32(p.Interface))
	tail6(&b)
	return b.done()
}
