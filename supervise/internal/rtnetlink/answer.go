package rtnetlink

import (
	"github.com/userstack/userstack/stack"
)

// A Client is the socket that asks.
type Client struct {
	// PortID is the socket's address, as bind(2) gave it: netlink(7), nl_pid.
	PortID uint32
	// Strict is the socket's option NETLINK_GET_STRICT_CHK: dumps are filtered by what
	// the request's header says, and unknown attributes are EINVAL.
	Strict bool
	// ExtAck is NETLINK_EXT_ACK: errors say in words what is wrong.
	ExtAck bool
	// CapAck is NETLINK_CAP_ACK: errors do not repeat the request.
	CapAck bool
}

// maxReplies bounds what requests for single things can make of one datagram, in
// bytes. The kernel loses what does not fit the receive buffer, whose size this is by
// default (net.core.rmem_default).
const maxReplies = 212992

// Answer returns the datagrams that the kernel would send in reply to the datagram
// req. Requests that are no whole message are ignored, as they are by the kernel, and
// errors are replies of type NLMSG_ERROR. It keeps nothing of req.
func Answer(s *stack.Stack, client Client, req []byte) (replies [][]byte) {
	dumped := false
	for size := 0; len(req) >= headerLen && size < maxReplies; {
		h := parseHeader(req)
		if h.length < headerLen || uint64(h.length) > uint64(len(req)) {
			break
		}
		q := &query{stack: s, client: client, header: h, message: req[:h.length], busy: dumped}
		for _, r := range q.answer() {
			replies = append(replies, r)
			size += len(r)
		}
		dumped = dumped || q.dumped
		req = req[min(aligned(int(h.length)), len(req)):]
	}
	return replies
}

// A fault is what NLMSG_ERROR tells.
type fault struct {
	errno int32
	text  string // for NETLINK_EXT_ACK; may be empty
}

func invalid(text string) *fault { return &fault{errno: errInvalid, text: text} }

// A query is one message of a request.
type query struct {
	stack   *stack.Stack
	client  Client
	header  header
	message []byte // with the header
	busy    bool   // a dump has been made for this datagram
	dumped  bool   // this is a dump that was made

	filtered bool // the dump leaves something out: NLM_F_DUMP_FILTERED
}

func (q *query) body() []byte  { return q.message[headerLen:] }
func (q *query) family() uint8 { return q.body()[0] }

// reply begins a message of the answer.
func (q *query) reply() builder {
	flags := uint16(0)
	if q.dumped {
		flags = q.dumpFlags()
	}
	return newMessage(uint16(int(q.header.kind)+replyOffset), flags, q.header.seq, q.client.PortID)
}

func (q *query) dumpFlags() uint16 {
	if q.filtered {
		return flagMulti | flagDumpFiltered
	}
	return flagMulti
}

// A request says how a type of request is answered. Nil is EOPNOTSUPP.
type request struct {
	one  func(*query) ([]byte, *fault)
	dump func(*query) ([][]byte, *fault)
}

// requests is by type. What is not here is EOPNOTSUPP.
var requests = map[uint16]request{
	getLink:    {one: (*query).oneLink, dump: (*query).dumpLinks},
	getAddr:    {one: (*query).oneAddr, dump: (*query).dumpAddrs},
	getRoute:   {one: (*query).oneRoute, dump: (*query).dumpRoutes},
	getNeigh:   {one: (*query).oneNeigh, dump: nothing},
	getRule:    {dump: (*query).dumpRules},
	getQdisc:   {dump: nothing},
	getTclass:  {dump: nothing},
	getTfilter: {dump: nothing},
	getNsid:    {dump: nothing},
	getNexthop: {dump: nothing},
}

func nothing(*query) ([][]byte, *fault) { return nil, nil }

// answer does what netlink_rcv_skb and rtnetlink_rcv_msg do.
func (q *query) answer() [][]byte {
	var replies [][]byte
	var f *fault
	if q.header.flags&flagRequest != 0 && q.header.kind >= msgMinType {
		replies, f = q.route()
	}
	if f != nil || q.header.flags&flagAck != 0 && !q.dumped {
		replies = append(replies, q.acknowledge(f))
	}
	return replies
}

// route finds who answers.
func (q *query) route() ([][]byte, *fault) {
	kind := q.header.kind
	switch {
	case kind > maxType:
		return nil, &fault{errno: errNotSupported}
	case len(q.body()) < 1: // less than struct rtgenmsg
		return nil, nil
	case kind&kindMask != kindGet:
		return nil, &fault{errno: errPerm}
	}
	r := requests[kind]
	if q.header.flags&flagDump != 0 {
		return q.dump(r)
	}
	if r.one == nil {
		return nil, &fault{errno: errNotSupported}
	}
	m, f := r.one(q)
	if f != nil {
		return nil, f
	}
	return [][]byte{m}, nil
}

// dump answers with all there is. An error is in the message that ends it.
func (q *query) dump(r request) ([][]byte, *fault) {
	if r.dump == nil {
		return nil, &fault{errno: errNotSupported}
	}
	if q.busy {
		return nil, &fault{errno: errBusy}
	}
	q.dumped = true
	messages, f := r.dump(q)
	end := newMessage(msgDone, q.dumpFlags(), q.header.seq, q.client.PortID)
	if f == nil {
		end.u32(0)
	} else {
		end.u32(uint32(-f.errno))
		q.explain(&end, f)
	}
	return append(pack(messages), end.done()), nil
}

// acknowledge makes an NLMSG_ERROR; without a fault it is a success.
func (q *query) acknowledge(f *fault) []byte {
	b := newMessage(msgError, 0, q.header.seq, q.client.PortID)
	errno, quote := int32(0), q.message
	if f != nil {
		errno = f.errno
	}
	if f == nil || q.client.CapAck {
		quote = q.message[:headerLen]
		order.PutUint16(b[6:], flagCapped)
	}
	b.u32(uint32(-errno))
	b.bytes(quote)
	b.pad()
	if f != nil {
		q.explain(&b, f)
	}
	return b.done()
}

// explain appends the words for a fault where the client wants them.
func (q *query) explain(b *builder, f *fault) {
	if f.text == "" || !q.client.ExtAck {
		return
	}
	order.PutUint16((*b)[6:], order.Uint16((*b)[6:])|flagAckTLVs)
	b.text(errAttrMessage, f.text)
}

// attributes are what follows a header of fixed bytes after struct nlmsghdr. max is
// the highest type that there is.
func (q *query) attributes(fixed int, max uint16) (attrs, *fault) {
	if len(q.body()) < fixed {
		return nil, invalid("Invalid header length")
	}
	as, left := parseAttrs(q.body()[fixed:])
	if !q.client.Strict {
		return as, nil
	}
	if left > 0 {
		return nil, invalid("bytes leftover after parsing attributes")
	}
	for kind := range as {
		if kind > max {
			return nil, invalid("Unknown attribute type")
		}
	}
	return as, nil
}

// allow refuses, where the client is strict, what is not among kinds.
func (q *query) allow(as attrs, text string, kinds ...uint16) *fault {
	if !q.client.Strict {
		return nil
	}
	known := 0
	for _, kind := range kinds {
		if _, ok := as[kind]; ok {
			known++
		}
	}
	if known < len(as) {
		return invalid(text)
	}
	return nil
}
