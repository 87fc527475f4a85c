//go:build amd64 || arm64

package supervise_test

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/userstack/userstack/supervise"
)

// TestWrongOrder calls methods of a Cmd too early, too often, or too late.
func TestWrongOrder(t *testing.T) {
	cmd := child(t, newHost(t), "refused")
	if err := cmd.Wait(); err == nil {
		t.Error("Wait before Start returns nil")
	}
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	for name, again := range map[string]func() error{"Start": cmd.Start, "Wait": cmd.Wait, "Run": cmd.Run} {
		if err := again(); err == nil {
			t.Errorf("%s after Run returns nil", name)
		}
	}
	if err := (&supervise.Cmd{}).Run(); err == nil {
		t.Error("Run of the zero Cmd returns nil")
	}
}

// TestRefusedStartClosesPipes has Start fail before there is a process.
func TestRefusedStartClosesPipes(t *testing.T) {
	cmd := child(t, newHost(t), "refused")
	cmd.Isolation = supervise.IsolateAuto
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS} // which Isolation is to make
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err == nil {
		t.Fatal("Start returns nil")
	}
	if _, err := out.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("reading from the pipe gives %v", err)
	}
}
