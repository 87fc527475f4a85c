package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/userstack/userstack/internal/bench/agent"
	"github.com/userstack/userstack/tun"
)

// lwIP is a library. Its near end is a program in C (peers/lwip), with the settings of the distribution that built lwIP:
// Debian's have windows of 64 KiB. One wire has calls that wait and a thread for each connection, as all others have, and
// one has callbacks in the thread that takes the packets, in which there is nothing to wake.

// lwipSource is where that program is, from the top of the source.
const lwipSource = peersModule + "/lwip"

// lwipFlags are those of lwip.pc, for machines without pkg-config(1).
var lwipFlags = []string{"-I/usr/include/lwip", "-llwip"}

func compiler() string { return cmp.Or(os.Getenv("CC"), "cc") }

// noLwip says what building the program lacks.
func noLwip() error {
	if _, err := exec.LookPath(compiler()); err != nil {
		return fmt.Errorf("built from the source only, which takes a C compiler, %s: apt-get install gcc libc6-dev", compiler())
	}
	cmd := exec.Command(compiler(), append([]string{"-E", "-x", "c", "-"}, lwipFlags...)...)
	cmd.Stdin = strings.NewReader("#include <lwip/tcpip.h>\n")
	if cmd.Run() != nil {
		return errors.New("lwIP is not installed where the C compiler finds it: apt-get install liblwip-dev")
	}
	return nil
}

func buildLwip(ctx context.Context, path string) error {
	sources, err := filepath.Glob(filepath.Join(checkout(), lwipSource, "*.c"))
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, compiler(), append(append([]string{"-O2", "-o", path}, sources...), lwipFlags...)...)
	var said tailBuffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("could not be built: %w: %s", err, said.String())
	}
	return nil
}

// overLwip joins lwIP to the kernel in a namespace. by is the interface of lwIP's that the program uses.
func overLwip(by string) func(context.Context, *session) error {
	return func(ctx context.Context, s *session) error {
		path, err := program(peerLwip)
		if err != nil {
			return err
		}
		return ontoTUN(ctx, s, tun.Config{Backend: tun.Water}, func(file *os.File) (*process, error) {
			cmd := exec.Command(path, agent.NearAddr.Addr().String(), by)
			cmd.ExtraFiles = []*os.File{file}
			return s.launch(ctx, "lwIP", cmd)
		})
	}
}

// lwipVersion asks the program, which has it from the headers.
func lwipVersion() string {
	path, err := program(peerLwip)
	if err != nil {
		return ""
	}
	out, _ := exec.Command(path, "--version").Output()
	return strings.TrimSpace(string(out))
}
