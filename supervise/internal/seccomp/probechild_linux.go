package seccomp

import (
	"encoding/binary"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// probeName is what Probe calls its process. No program has that name for another reason.
const probeName = "userstack-seccomp-probe"

// probeWord is what the process of a probe has in its memory.
const probeWord = 0x0123456789abcdef

// probeControl is the descriptor of the probe's process on which it reports, the first of exec.Cmd.ExtraFiles.
const probeControl = 3

func init() {
	if len(os.Args) == 1 && os.Args[0] == probeName {
		runtime.LockOSThread()
		probeMain()
		os.Exit(0)
	}
}

// probeMain is the process of a probe: it loads a filter and reports it, waits, and makes a call for each thing that the
// other side wants to try.
func probeMain() {
	fd, errno := loadFilter(Rules{Trap: []int{unix.SYS_GETPPID}}.Program())
	report := binary.NativeEndian.AppendUint32(nil, uint32(fd))
	report = binary.NativeEndian.AppendUint32(report, uint32(errno))
	if _, err := unix.Write(probeControl, report); err != nil || errno != 0 {
		return
	}
	if n, err := unix.Read(probeControl, report[:1]); n != 1 || err != nil {
		return
	}
	_ = unix.Close(fd) // else this process would be its own last hope
	_, _ = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	word := uint64(probeWord)
	// The other side reads the word by its address, which is an argument that getppid does not have.
	_, _, _ = unix.RawSyscall(unix.SYS_GETPPID, uintptr(unsafe.Pointer(&word)), 0, 0)
	_, _, _ = unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0)
}
