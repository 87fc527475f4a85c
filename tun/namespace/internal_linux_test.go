package namespace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

// TestRemoteError sends errors over a control socket.
func TestRemoteError(t *testing.T) {
	ours, file, err := controlPair()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	defer ours.Close()
	for _, c := range []struct {
		sent error
		want error // under what arrives
	}{
		{fmt.Errorf("a: %w: b", &fs.PathError{Op: "open", Path: "/x", Err: syscall.ENOENT}), &fs.PathError{Op: "open", Path: "/x", Err: syscall.ENOENT}},
		{fmt.Errorf("a: %w: b", os.NewSyscallError("bind", syscall.EADDRINUSE)), os.NewSyscallError("bind", syscall.EADDRINUSE)},
		{fmt.Errorf("a: %w", syscall.EPERM), syscall.EPERM},
		{errors.New("plain"), nil},
	} {
		if err := send(ours, reply{Err: newRemoteError(c.sent)}, nil); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, maxMessage)
		n, err := file.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(buf[:n]); err != nil {
			t.Fatal(err)
		}
		var rep reply
		if _, err := receive(ours, &rep); err != nil {
			t.Fatal(err)
		}
		if rep.Err.Error() != c.sent.Error() || !reflect.DeepEqual(errors.Unwrap(rep.Err), c.want) {
			t.Errorf("sent %v, received %v over %#v", c.sent, rep.Err, errors.Unwrap(rep.Err))
		}
	}
	if err := send(ours, request{Address: strings.Repeat("x", maxMessage)}, nil); !errors.Is(err, syscall.EMSGSIZE) {
		t.Error("a long message:", err)
	}
}
