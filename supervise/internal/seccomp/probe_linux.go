package seccomp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// Features is what a kernel has besides what every answer needs.
type Features struct {
	// WaitKillable: from Receive on, a signal does not take a call back (Linux 5.19). Without it any call may be repeated.
	WaitKillable bool
	// Restart: a call that Restart answers stops anew or fails with EINTR. Without it, fail it with EINTR.
	Restart bool
	// SyncWakeUp: the program and whoever answers it take turns on one processor (Linux 6.6).
	SyncWakeUp bool
	// ThreadPidfd: OpenThread returns a descriptor of the thread and not of its process (Linux 6.9).
	ThreadPidfd bool
	// MemoryCalls: memory is copied by process_vm_readv(2), which is faster than by /proc.
	MemoryCalls bool
}

// probeTime bounds Probe, which takes some milliseconds where nothing is wrong.
const probeTime = 10 * time.Second

// Probe tries on a process of its own what answering takes: this program, executed again, which stops before main. The error
// says what cannot be done here and what would help.
func Probe() (Features, error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return Features{}, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "control"), os.NewFile(uintptr(ends[1]), "control")
	defer ours.Close()
	p := probe{control: ours, cmd: exec.Command("/proc/self/exe")}
	p.cmd.Args = []string{probeName}
	p.cmd.Env = []string{"GODEBUG=asyncpreemptoff=1"} // no signals but those of the probe
	p.cmd.ExtraFiles = []*os.File{theirs}
	err = p.cmd.Start()
	theirs.Close()
	if err != nil {
		return Features{}, fmt.Errorf("start this program again by /proc/self/exe, which needs /proc: %w", err)
	}
	defer func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}()
	guard := time.AfterFunc(probeTime, func() { _ = p.cmd.Process.Kill() })
	defer guard.Stop()
	if err := p.run(); err != nil {
		return Features{}, err
	}
	return p.found, nil
}

// probe is one run of Probe.
type probe struct {
	cmd     *exec.Cmd
	control *os.File
	l       *Listener
	found   Features
}

// run does the steps of probeMain from the other side.
func (p *probe) run() error {
	number, err := p.number()
	if err != nil {
		return err
	}
	pidfd, err := OpenThread(p.cmd.Process.Pid)
	if err != nil {
		return fmt.Errorf("no descriptors of processes: Linux 5.6 or later is needed: %w", err)
	}
	defer unix.Close(pidfd)
	fd, err := GetFD(pidfd, number)
	if err != nil {
		return explainGetFD(err)
	}
	if p.l, err = NewListener(fd); err != nil {
		return err
	}
	defer p.l.Close()
	if _, err := p.control.Write([]byte{0}); err != nil {
		return err
	}
	p.flags(pidfd)
	for _, step := range []func() error{p.install, p.memory, p.interrupt} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// number reads that of the child's listener, or what kept the child from one.
func (p *probe) number() (int, error) {
	var report [8]byte
	if _, err := io.ReadFull(p.control, report[:]); err != nil {
		return 0, fmt.Errorf("a program under a seccomp filter ends at once: does a sandbox forbid what it needs to start? %w", err)
	}
	number := int32(binary.NativeEndian.Uint32(report[:]))
	if errno := binary.NativeEndian.Uint32(report[4:]); errno != 0 {
		return 0, explainLoad(unix.Errno(errno))
	}
	return int(number), nil
}

// flags asks for what can be seen without the child's help.
func (p *probe) flags(pidfd int) {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(p.l.fd), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
	p.found.SyncWakeUp = errno == 0
	fd, err := unix.PidfdOpen(unix.Gettid(), unix.PIDFD_THREAD)
	if err == nil {
		p.found.ThreadPidfd = true
		_ = unix.Close(fd)
	}
}

// stopped waits for the child's next call.
func (p *probe) stopped(n *Notification) error {
	if err := p.l.Receive(n); err != nil {
		return fmt.Errorf("seccomp notifications do not arrive: %w", err)
	}
	return nil
}

// install answers socket(2).
func (p *probe) install() error {
	var n Notification
	if err := p.stopped(&n); err != nil {
		return err
	}
	if _, err := p.l.Install(n.ID, int(p.control.Fd()), true); err != nil {
		return fmt.Errorf("this kernel cannot hand a socket to a stopped program: Linux 5.14 or later is needed: %w", err)
	}
	return nil
}

// memory reads what the child's argument points at, and writes there.
func (p *probe) memory() error {
	var n Notification
	if err := p.stopped(&n); err != nil {
		return err
	}
	var word [8]byte
	_, err := reading.direct(int(n.TID), []Segment{{n.Args[0], word[:]}})
	p.found.MemoryCalls = err == nil
	if _, err = ReadMemory(int(n.TID), n.Args[0], word[:]); err == nil {
		_, err = WriteMemory(int(n.TID), n.Args[0], word[:])
	}
	if err != nil {
		return fmt.Errorf("this process may not read the memory of its own child: allow process_vm_readv(2) in the sandbox's profile%s: %w", yama(), err)
	}
	if binary.NativeEndian.Uint64(word[:]) != probeWord {
		return errors.New("the memory of a stopped program reads wrong")
	}
	return p.l.Return(n.ID, 0)
}

// interrupt sends a signal while a call waits, whose handler wants calls repeated.
func (p *probe) interrupt() error {
	var n Notification
	if err := p.stopped(&n); err != nil {
		return err
	}
	if err := unix.Tgkill(p.cmd.Process.Pid, int(n.TID), unix.SIGURG); err != nil {
		return os.NewSyscallError("tgkill", err)
	}
	for p.l.Alive(n.ID) && !Interrupted(int(n.TID)) {
		time.Sleep(100 * time.Microsecond) // probeTime ends it
	}
	p.found.WaitKillable = p.l.Alive(n.ID)
	if p.found.WaitKillable && p.l.Restart(n.ID) != nil {
		return p.l.Return(n.ID, 0)
	}
	again := p.l.Receive(&n) == nil // else the child saw error 512, and has ended
	p.found.Restart = again && p.found.WaitKillable
	if again {
		return p.l.Return(n.ID, 0)
	}
	return nil
}

// explainGetFD says what a refused descriptor means.
func explainGetFD(err error) error {
	if errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("no pidfd_getfd(2): Linux 5.6 or later is needed, or a sandbox that knows of it: %w", err)
	}
	return fmt.Errorf("this process may not take descriptors from its own child: a container needs the capability SYS_PTRACE, or a seccomp profile that allows pidfd_getfd(2)%s: %w", yama(), err)
}

// yama returns advice about the setting that forbids reaching into a child, if it does.
func yama() string {
	const file = "/proc/sys/kernel/yama/ptrace_scope" // 1 is no hindrance: parents may
	scope, err := os.ReadFile(file)
	if err != nil || len(scope) == 0 || scope[0] < '2' {
		return ""
	}
	return fmt.Sprintf(", and kernel.yama.ptrace_scope must be 0 or 1: it is %c", scope[0])
}
