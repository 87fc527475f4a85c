package sockets

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/userstack/userstack/stack"
)

// A unixWorld is where the steps of a test run: a Host, or the kernel. Sockets
// and names are numbers; results are text that both worlds write alike. No call
// waits.
type unixWorld interface {
	socket(typ Type) (int, error)
	pair(typ Type) (int, int, error)
	bind(s int, name string) error
	listen(s, backlog int) error
	connect(s int, name string) error // "" disconnects
	accept(s int) (int, string, error)
	send(s int, p []byte, to string, flags MsgFlags, rights int) (int, error) // with that many descriptors
	recv(s, n int, flags MsgFlags) (string, error)
	shutdown(s int, how How) error
	close(s int) error
	unlink(name string) error
	names(s int) string
	get(s int, what string) string
	set(s, name, value int) error
	poll(s int) PollEvents
}

// unixErrno writes an error as both worlds do.
func unixErrno(err error) string {
	var se SocketError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &se):
		return se.Errno().Error()
	}
	return err.Error()
}

// ourUnix is the world of a Host.
type ourUnix struct {
	t     testing.TB
	h     *Host
	socks []*Socket

	passed *Socket // what send passes
}

func newOurUnix(t testing.TB) *ourUnix {
	s, err := stack.New(stack.Config{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := New(Config{Stack: s})
	if err != nil {
		t.Fatal(err)
	}
	passed, err := h.UDP()
	if err != nil {
		t.Fatal(err)
	}
	w := &ourUnix{t: t, h: h, passed: passed}
	t.Cleanup(func() {
		h.Close()
		s.Close()
		w.socks = nil // until here the garbage collector leaves them alone
	})
	return w
}

func (w *ourUnix) add(s *Socket) int {
	s.SetBlocking(false)
	w.socks = append(w.socks, s)
	return len(w.socks) - 1
}

func (w *ourUnix) socket(typ Type) (int, error) {
	s, err := w.h.Socket(AF_UNIX, typ, 0)
	if err != nil {
		return -1, err
	}
	return w.add(s), nil
}

func (w *ourUnix) pair(typ Type) (int, int, error) {
	a, b, err := w.h.SocketPair(AF_UNIX, typ, 0)
	if err != nil {
		return -1, -1, err
	}
	return w.add(a), w.add(b), nil
}

// ourName turns the test's "@x" into an abstract name.
func ourName(name string) UnixAddr {
	if strings.HasPrefix(name, "@") {
		return UnixAddr{"\x00" + name[1:]}
	}
	return UnixAddr{name}
}

func (w *ourUnix) bind(s int, name string) error { return w.socks[s].Bind(ourName(name)) }
func (w *ourUnix) listen(s, backlog int) error   { return w.socks[s].Listen(backlog) }
func (w *ourUnix) shutdown(s int, how How) error { return w.socks[s].Shutdown(how) }
func (w *ourUnix) unlink(name string) error      { return w.h.UnlinkUnix(name) }
func (w *ourUnix) close(s int) error             { return w.socks[s].Close() }
func (w *ourUnix) set(s, name, value int) error {
	return w.socks[s].SetSockOptInt(SOL_SOCKET, name, value)
}
func (w *ourUnix) poll(s int) PollEvents      { return w.socks[s].ready() }
func (w *ourUnix) addrText(a Sockaddr) string { return autoName(fmt.Sprint(a)) }
func (w *ourUnix) connect(s int, name string) error {
	if name == "" {
		return w.socks[s].Connect(nil)
	}
	return w.socks[s].Connect(ourName(name))
}

// autoName hides which name autobind found.
func autoName(name string) string {
	if len(name) == len("@12345") && !strings.Contains(name, "n") {
		return "auto"
	}
	return name
}

func (w *ourUnix) accept(s int) (int, string, error) {
	n, peer, err := w.socks[s].Accept()
	if err != nil {
		return -1, "", err
	}
	return w.add(n), w.addrText(peer), nil
}

func (w *ourUnix) send(s int, p []byte, to string, flags MsgFlags, rights int) (int, error) {
	m := &Msg{Buffers: [][]byte{p}}
	if to != "" {
		m.Addr = ourName(to)
	}
	if rights > 0 {
		m.Control = []ControlMessage{Rights(slices.Repeat([]*Socket{w.passed}, rights)...)}
	}
	return w.socks[s].SendMsg(m, flags)
}

func (w *ourUnix) recv(s, n int, flags MsgFlags) (string, error) {
	buf := make([]byte, n)
	m, err := w.socks[s].RecvMsg([][]byte{buf}, 1000, flags)
	if err != nil {
		return "", err
	}
	from := ""
	if m.Addr != nil {
		from = w.addrText(m.Addr)
	}
	text := fmt.Sprintf("%s from %q flags %#x", digest(buf[:min(m.N, n)], m.N), from, int(m.Flags))
	for _, c := range m.Control {
		text += fmt.Sprintf(" cmsg %d %s", c.Type, w.cmsg(c))
	}
	return text, nil
}

func (w *ourUnix) cmsg(c ControlMessage) string {
	if c.Type != SCM_RIGHTS {
		return credText(c.Data)
	}
	for i := 0; i < len(c.Data); i += 4 {
		if err := w.h.CloseFD(intValue(c.Data[i:])); err != nil {
			w.t.Error(err)
		}
	}
	return fmt.Sprint(len(c.Data)/4, " fds")
}

func credText(b []byte) string {
	if string(b) == string(ownCred.bytes()) {
		return "own credentials"
	}
	return fmt.Sprintf("%x", b)
}

// digest writes received bytes, which are numbered, as a range.
func digest(p []byte, n int) string {
	if len(p) == 0 {
		return fmt.Sprint(n, " bytes")
	}
	return fmt.Sprintf("%d bytes %d..%d", n, p[0], p[len(p)-1])
}

func (w *ourUnix) names(s int) string {
	own, err := w.socks[s].GetSockName()
	peer, err2 := w.socks[s].GetPeerName()
	text := unixErrno(err)
	if err == nil {
		text = fmt.Sprintf("%q", w.addrText(own))
	}
	if err2 != nil {
		return text + " peer " + unixErrno(err2)
	}
	return text + fmt.Sprintf(" peer %q", w.addrText(peer))
}

func (w *ourUnix) get(s int, what string) string {
	d := w.socks[s].d
	switch what {
	case "unread":
		n, errno := d.unix.unread()
		return fmt.Sprint(n, " ", unixErrno(errno.orNil()))
	case "unsent":
		return fmt.Sprint(d.unix.unsent())
	}
	return d.takeError().Error()
}

// unixScript runs steps in a world and keeps what they gave.
type unixScript struct {
	w    unixWorld
	log  []string
	live []int // sockets that are open
	sent byte
}

func (r *unixScript) note(format string, args ...any) {
	r.log = append(r.log, fmt.Sprintf(format, args...))
}

func (r *unixScript) opened(s int, err error) {
	if err == nil {
		r.live = append(r.live, s)
	}
}

// step runs one step. Sockets are named by their place among the open ones.
func (r *unixScript) step(st unixStep) {
	w := r.w
	s := -1
	if st.op != "socket" && st.op != "pair" && st.op != "unlink" {
		if len(r.live) == 0 {
			return
		}
		s = r.live[st.sock%len(r.live)]
	}
	result := ""
	switch st.op {
	case "socket":
		n, err := w.socket(st.typ)
		r.opened(n, err)
		result = unixErrno(err)
	case "pair":
		a, b, err := w.pair(st.typ)
		r.opened(a, err)
		r.opened(b, err)
		result = unixErrno(err)
	case "accept":
		n, peer, err := w.accept(s)
		r.opened(n, err)
		result = fmt.Sprintf("%q %s", peer, unixErrno(err))
	case "send":
		n, err := w.send(s, r.bytes(st.n), st.name, st.flags, st.rights)
		result = fmt.Sprint(n, " ", unixErrno(err))
		r.sent += byte(max(n, 0))
	case "recv":
		text, err := w.recv(s, st.n, st.flags)
		result = text + " " + unixErrno(err)
	case "names":
		result = w.names(s)
	case "unread", "unsent", "error":
		result = w.get(s, st.op)
	case "close":
		result = unixErrno(w.close(s))
		r.live = append(append([]int(nil), r.live[:st.sock%len(r.live)]...), r.live[st.sock%len(r.live)+1:]...)
	default:
		result = unixErrno(r.simple(st, s))
	}
	r.note("%v: %s", st, result)
	masks := ""
	for _, s := range r.live {
		masks += fmt.Sprintf(" %d:%#x", s, int(w.poll(s)))
	}
	r.note("   poll%s", masks)
}

func (r *unixScript) simple(st unixStep, s int) error {
	w := r.w
	switch st.op {
	case "bind":
		return w.bind(s, st.name)
	case "listen":
		return w.listen(s, st.n)
	case "connect":
		return w.connect(s, st.name)
	case "shutdown":
		return w.shutdown(s, How(st.n))
	case "unlink":
		return w.unlink(st.name)
	case "sndbuf":
		return w.set(s, SO_SNDBUF, st.n)
	case "peekoff":
		return w.set(s, SO_PEEK_OFF, st.n)
	case "passcred":
		return w.set(s, SO_PASSCRED, st.n)
	case "passrights":
		return w.set(s, SO_PASSRIGHTS, st.n)
	case "passpidfd":
		return w.set(s, SO_PASSPIDFD, st.n)
	case "passsec":
		return w.set(s, SO_PASSSEC, st.n)
	}
	panic(st.op)
}

// bytes returns numbered bytes, which go on where those taken before ended.
func (r *unixScript) bytes(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = r.sent + byte(i)
	}
	return p
}

// A unixStep is one call; which fields matter depends on op.
type unixStep struct {
	op     string
	sock   int
	typ    Type
	name   string
	n      int
	flags  MsgFlags
	rights int
}

func (s unixStep) String() string {
	return fmt.Sprintf("%s sock %d type %d name %q n %d flags %#x rights %d", s.op, s.sock, s.typ, s.name, s.n, int(s.flags), s.rights)
}

var unixTypes = []Type{SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}

// randomStep makes up a step that has a chance to do something.
func randomStep(rnd *rand.Rand, names []string, sockets int) unixStep {
	pick := func(n ...int) int { return n[rnd.IntN(len(n))] }
	st := unixStep{sock: rnd.IntN(1000), typ: unixTypes[rnd.IntN(3)], name: names[rnd.IntN(len(names))]}
	ops := []string{"send", "send", "send", "send", "recv", "recv", "recv", "recv", "connect", "connect",
		"sendto", "accept", "bind", "listen", "names", "unread", "unsent", "shutdown", "close", "error",
		"sndbuf", "peekoff", "passcred", "passrights", "disconnect", "autobind", "unlink"}
	st.op = ops[rnd.IntN(len(ops))]
	if sockets < 2 || sockets < 8 && rnd.IntN(12) == 0 {
		st.op = []string{"socket", "pair"}[rnd.IntN(2)]
	}
	switch st.op {
	case "send":
		st.name = ""
		st.n = pick(0, 1, 10, 700, 5000, 40000, 300000)
		if st.n > 0 { // package unix adds a byte to a message of rights alone
			st.rights = pick(0, 0, 0, 0, 1, 2)
		}
	case "sendto":
		st.op, st.n = "send", pick(0, 1, 10, 700)
	case "recv":
		st.n = pick(1, 10, 700, 50000, 400000)
		st.flags = MsgFlags(pick(0, 0, 0, int(MSG_PEEK), int(MSG_WAITALL), int(MSG_TRUNC)))
	case "listen":
		st.n = pick(0, 1, 3)
	case "shutdown":
		st.n = rnd.IntN(4)
	case "disconnect":
		st.op, st.name = "connect", ""
	case "autobind":
		st.op, st.name = "bind", ""
	case "sndbuf":
		st.n = pick(0, 1000, 5000, 100000)
	case "peekoff":
		st.n = pick(-1, 0, 5)
	case "passcred", "passrights":
		st.n = rnd.IntN(2)
	}
	return st
}
