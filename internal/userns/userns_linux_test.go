package userns

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

// TestDiagnose walks through the settings: each, when it has the content that
// forbids namespaces, is what an error is put down to.
func TestDiagnose(t *testing.T) {
	real := settings
	defer func() { settings = real }()
	for i := range real {
		s := real[i]
		s.path = filepath.Join(t.TempDir(), "setting")
		settings = settings[:0:0]
		settings = append(settings, s)
		for _, c := range []struct {
			content string
			blamed  bool
		}{{s.content + "\n", true}, {"12345\n", false}} {
			if err := os.WriteFile(s.path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			err := Diagnose(&os.PathError{Op: "fork/exec", Path: "/proc/self/exe", Err: s.errnos[0]})
			if strings.Contains(err.Error(), s.remedy) != c.blamed || !errors.Is(err, s.errnos[0]) {
				t.Errorf("with %q in %s: %v", c.content, real[i].path, err)
			}
		}
		if err := Diagnose(syscall.EIO); strings.Contains(err.Error(), s.remedy) {
			t.Errorf("%s was blamed for EIO", real[i].path)
		}
	}
	for errno, cause := range causes {
		if err := Diagnose(errno); !strings.Contains(err.Error(), cause) {
			t.Errorf("%v: %v", errno, err)
		}
	}
}

func TestMapAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "uid_map")
	if err := os.WriteFile(path, []byte("         0       1000          1\n         1     100000      65536\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := mapAll(path)
	want := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}, {ContainerID: 1, HostID: 1, Size: 65536}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
