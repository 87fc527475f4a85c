//go:build amd64 || arm64

package supervise_test

import (
	"os/exec"
	"strings"
	"testing"
)

// Reasons for which a call may give another result than on the kernel.
const (
	wrongTwice = "two things are wrong with the call, and the other one is found first"
	stamped    = "the stack knows from the start when datagrams came"
)

// misuseDiffers are the calls of testdata/misuse.c that give another result than
// on the kernel, by how their lines begin: kind of socket and call.
var misuseDiffers = map[string]string{
	"* setsockopt(fd, SOL_IP, IP_ADD_MEMBERSHIP, closed, 8)":           wrongTwice,
	"* setsockopt(fd, IPPROTO_TCP, 1, closed, 4)":                      wrongTwice,
	"* setsockopt(fd, IPPROTO_TCP, 13, closed, 4)":                     wrongTwice,
	"* getsockopt(fd, -1, -1, a, no_size)":                             wrongTwice,
	"* sendto(fd, kernel, 10, MSG_NOSIGNAL, a, 16)":                    wrongTwice,
	"* recvfrom(fd, good + page, 10, 0, a, closed)":                    wrongTwice,
	"* recvfrom(fd, good + page, 10, 0, a, 0)":                         wrongTwice,
	"* recvfrom(fd, good + page, 10, 0, a, no_size)":                   wrongTwice,
	"* sendmsg(fd, HEADER(h->msg_control = put_int(page / 2, 15)":      wrongTwice,
	"* sendmsg(fd, HEADER(h->msg_control = put_int(page / 2, 1 << 30)": wrongTwice,
	"* sendmmsg(fd, HEADERS(m[0].msg_hdr.msg_control = closed":         wrongTwice,
	"* connect(fd, a, 15)":                                             wrongTwice,
	"u sendmsg(fd, HEADER(v->iov_base = 0)":                            wrongTwice,
	"u sendmsg(fd, HEADER(v->iov_base = end - 1; v->iov_len = 2)":      wrongTwice,
	"u sendmsg(fd, HEADER(h->msg_iovlen = 2; v[1].iov_base = closed)":  wrongTwice,
	"* ioctl(fd, 0x8905, closed)":                                      wrongTwice,
	"b ioctl(fd, 0x8906, closed)":                                      stamped,
}

// misuseMayDiffer returns the reason for which a line may differ, "" for none.
func misuseMayDiffer(line string) string {
	for prefix, reason := range misuseDiffers {
		kind, call, _ := strings.Cut(prefix, " ")
		if (kind == "*" || strings.HasPrefix(line, kind+" ")) && strings.HasPrefix(line[2:], call) {
			return reason
		}
	}
	return ""
}

// TestMisuse makes calls with pointers and lengths that are none. What they give
// must be what the kernel gives for its own sockets.
func TestMisuse(t *testing.T) {
	program := compile(t, "testdata/misuse.c")
	native, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(string(native), "\n")
	got := strings.Split(output(t, newHost(t), program), "\n")
	if len(got) != len(want) {
		t.Fatalf("%d lines, on the kernel %d", len(got), len(want))
	}
	for i, line := range want {
		if got[i] == line {
			continue
		}
		reason := misuseMayDiffer(line)
		if failed := strings.Contains(line, ": -1, ") && strings.Contains(got[i], ": -1, "); reason == "" || !failed {
			t.Errorf("it gives\n%s\non the kernel\n%s", got[i], line)
		}
	}
}
