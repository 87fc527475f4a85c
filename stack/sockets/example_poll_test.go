package sockets_test

import (
	"fmt"
	"time"

	"github.com/userstack/userstack/stack/sockets"
)

// arrivals returns two bound UDP sockets of a host with only a loopback
// interface; a datagram waits in the second.
func arrivals() (h *sockets.Host, empty, full *sockets.Socket, end func()) {
	h, end = loopbackHost()
	empty, _ = h.UDP()
	full, _ = h.UDP()
	_ = empty.Bind(sockets.Inet4{Host: "127.0.0.1", Port: 5001})
	_ = full.Bind(sockets.Inet4{Host: "127.0.0.1", Port: 5002})
	_, _ = empty.SendTo([]byte("hello"), sockets.Inet4{Host: "127.0.0.1", Port: 5002})
	return h, empty, full, end
}

func ExampleHost_Poll() {
	host, empty, full, end := arrivals()
	defer end()

	d := []sockets.PollDesc{
		{Sock: empty, In: sockets.POLLIN},
		{Sock: full, In: sockets.POLLIN | sockets.POLLOUT},
	}
	n, err := host.Poll(d, time.Second)
	fmt.Println(n, err)
	fmt.Println(d[0].Out)
	fmt.Println(d[1].Out)
	// Output:
	// 1 <nil>
	// 0x0
	// POLLIN|POLLOUT
}

// NSPR's flags have other numbers; a closed socket is told by PR_POLL_NVAL, and
// a timeout by zeros.
func ExamplePollEvents_NSPR() {
	host, empty, closed, end := arrivals()
	defer end()
	closed.Close()

	ask := sockets.FromNSPR(sockets.PR_POLL_READ | sockets.PR_POLL_EXCEPT)
	d := []sockets.PollDesc{{Sock: empty, In: ask}, {Sock: closed, In: ask}}
	n, _ := host.Poll(d, time.Second)
	fmt.Println(n, d[0].Out.NSPR(), d[1].Out.NSPR() == sockets.PR_POLL_NVAL)
	n, _ = host.Poll(d[:1], time.Millisecond)
	fmt.Println(n, d[0].Out.NSPR())
	// Output:
	// 1 0 true
	// 0 0
}

func ExampleHost_Select() {
	host, empty, full, end := arrivals()
	defer end()

	r, w, x, err := host.Select([]*sockets.Socket{empty, full}, []*sockets.Socket{empty}, nil, time.Second)
	fmt.Println(len(r), r[0] == full, len(w), len(x), err)
	// Output: 1 true 1 0 <nil>
}

// A Poller instead of a timeout: uselect.poll in MicroPython's documents.
func ExamplePoller() {
	host, s, _, end := arrivals()
	defer end()

	poller, err := host.NewPoller()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer poller.Close()
	_ = poller.Register(s, sockets.POLLIN)
	res, _ := poller.Poll(10 * time.Millisecond)
	if len(res) == 0 {
		fmt.Println("timed out")
	}
	_, _ = s.SendTo([]byte("to myself"), sockets.Inet4{Host: "127.0.0.1", Port: 5001})
	res, _ = poller.Poll(time.Second)
	for _, r := range res {
		data, _ := r.Sock.Recv(100)
		fmt.Printf("%v: %s\n", r.Out, data)
	}
	// Output:
	// timed out
	// POLLIN: to myself
}

// An edge-triggered registration is reported once for each arrival, so the
// socket is read until it would block.
func ExamplePoller_Register() {
	host, _, s, end := arrivals()
	defer end()
	s.SetBlocking(false)

	poller, _ := host.NewPoller()
	defer poller.Close()
	_ = poller.Register(s, sockets.POLLIN|sockets.EPOLLET)
	for range 2 {
		res, _ := poller.Poll(0)
		fmt.Println(len(res), "ready")
	}
	for {
		data, err := s.Recv(100)
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Printf("%s\n", data)
	}
	// Output:
	// 1 ready
	// 0 ready
	// hello
	// recv: [Errno 11] Resource temporarily unavailable
}

// Several goroutines share the sockets of a Poller: each takes some, and
// EPOLLONESHOT keeps a socket from the others until Modify hands it back.
func ExamplePoller_PollInto() {
	host, _, s, end := arrivals()
	defer end()

	poller, _ := host.NewPoller()
	defer poller.Close()
	_ = poller.Register(s, sockets.POLLIN|sockets.EPOLLONESHOT)
	some := make([]sockets.PollDesc, 4)
	n, err := poller.PollInto(some, time.Second)
	fmt.Println(n, some[0].Out, err)
	n, _ = poller.PollInto(some, 0)
	fmt.Println(n, "while it is worked on")
	_ = poller.Modify(s, sockets.POLLIN|sockets.EPOLLONESHOT)
	n, _ = poller.PollInto(some, 0)
	fmt.Println(n, "when it is handed back")
	fmt.Println(poller.Unregister(s), poller.Unregister(s))
	// Output:
	// 1 POLLIN <nil>
	// 0 while it is worked on
	// 1 when it is handed back
	// <nil> epoll_ctl: [Errno 2] No such file or directory
}
