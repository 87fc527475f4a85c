//go:build unix

package testnet

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// nobody is the number of the user, and of the group, who own nothing on most systems.
const nobody = 65534

// AsNobody runs the test again as a user without privileges, if this one is root, and reports whether it did. The program
// is handed over open, since its directory may be closed to others.
func AsNobody(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		return false
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal("testnet: ", err)
	}
	file, err := os.Open(exe)
	if err != nil {
		t.Fatal("testnet: ", err)
	}
	defer file.Close()
	cmd := exec.Command("/dev/fd/3", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir, cmd.ExtraFiles = "/", []*os.File{file}
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "HOME=/")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	t.Logf("as user %d:\n%s", nobody, out)
	if err != nil {
		t.Fatal("testnet: ", err)
	}
	return true
}
