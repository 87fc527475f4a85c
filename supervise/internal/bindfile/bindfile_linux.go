package bindfile

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// scratch are directories that a file system may be mounted on for the moment
// that it takes to bind its files to where they belong.
var scratch = []string{"/tmp", "/run", "/mnt", "/var", "/etc"}

// Replace puts contents, by absolute path, over files for every process of this
// mount namespace, which must be a new one: nobody else sees them. A symbolic
// link is followed. A file that does not exist cannot be replaced, which is an
// error over ENOENT. It takes CAP_SYS_ADMIN in the namespace.
func Replace(files map[string][]byte) error {
	if len(files) == 0 {
		return nil
	}
	// What the machine mounts later is still seen, and nothing goes back.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return &os.PathError{Op: "mount", Path: "/", Err: err}
	}
	targets, err := open(files)
	defer closeAll(targets)
	if err != nil {
		return err
	}
	dir, err := mountScratch()
	if err != nil {
		return err
	}
	// The binds outlive it.
	return errors.Join(bind(dir, files, targets), os.NewSyscallError("umount", unix.Unmount(dir, unix.MNT_DETACH)))
}

// open opens the files that are replaced, before a mount may be in the way.
func open(files map[string][]byte) (targets map[string]*os.File, err error) {
	targets = make(map[string]*os.File)
	for path := range files {
		if !filepath.IsAbs(path) {
			return targets, &os.PathError{Op: "replace", Path: path, Err: unix.EINVAL}
		}
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return targets, fmt.Errorf("only a file that exists can be replaced: %w", &os.PathError{Op: "open", Path: path, Err: err})
		}
		targets[path] = os.NewFile(uintptr(fd), path)
	}
	return targets, nil
}

func closeAll(files map[string]*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// mountScratch mounts an empty file system somewhere.
func mountScratch() (dir string, err error) {
	var first error
	for _, dir := range scratch {
		err := unix.Mount("userstack", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0755")
		if err == nil {
			return dir, nil
		}
		first = cmp.Or(first, error(&os.PathError{Op: "mount", Path: dir, Err: err}))
	}
	return "", first
}

// bind puts the contents into files of dir, and these over the targets.
func bind(dir string, files map[string][]byte, targets map[string]*os.File) error {
	for i, path := range slices.Sorted(maps.Keys(files)) {
		source := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(source, files[path], 0o644); err != nil {
			return err
		}
		if err := os.Chmod(source, 0o644); err != nil { // whatever the umask
			return err
		}
		target := fmt.Sprintf("/proc/self/fd/%d", targets[path].Fd())
		if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
			return &os.PathError{Op: "bind", Path: path, Err: err}
		}
	}
	return nil
}
