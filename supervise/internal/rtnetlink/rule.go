package rtnetlink

// dumpRules tells the rules that every network namespace begins with: look into the
// tables local, main and, for IPv4, default.
func (q *query) dumpRules() ([][]byte, *fault) {
	const local, main, fallback = 0, 0x7ffe, 0x7fff // priorities
	if f := q.family(); f != familyUnspec && f != familyInet && f != familyInet6 && f < familyMax-1 {
		return nil, &fault{errno: errFamily}
	}
	var out [][]byte
	for _, family := range q.families() {
		out = append(out, q.rule(family, tableLocal, local), q.rule(family, tableMain, main))
		if family == familyInet {
			out = append(out, q.rule(family, tableDefault, fallback))
		}
	}
	return out, nil
}

// rule makes an RTM_NEWRULE with struct fib_rule_hdr.
func (q *query) rule(family, table uint8, priority uint32) []byte {
	b := q.reply()
	b.u8(family, 0, 0, 0, table, 0, 0, fraToTable)
	b.u32(0)
	b.attr32(fraTable, uint32(table))
	b.attr32(fraSuppressPrefixlen, ^uint32(0)) // none
	b.attr8(fraProtocol, protKernel)
	if priority != 0 {
		b.attr32(fraPriority, priority)
	}
	return b.done()
}

const ndmsgLen = 12 // bytes of struct ndmsg

// oneNeigh finds none: the table of neighbours is empty.
func (q *query) oneNeigh() ([]byte, *fault) {
	const ndaMax = 15
	if _, f := q.attributes(ndmsgLen, ndaMax); f != nil {
		return nil, f
	}
	index := int(int32(order.Uint32(q.body()[4:])))
	if index == unspecifiedIndex {
		return nil, invalid("No device specified")
	}
	if _, ok := q.byIndex(index); !ok {
		return nil, &fault{errno: errNoDevice, text: "Unknown device ifindex"}
	}
	return nil, &fault{errno: errNoEntry, text: "Neighbour entry not found"}
}
