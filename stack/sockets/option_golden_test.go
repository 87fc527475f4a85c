package sockets_test

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

// The files in testdata/linux hold what Linux 6.18 says: the value of every
// option of a fresh socket of each kind (getsockopt.txt), and what becomes of
// values at the bounds and of lengths (setsockopt-bounds.txt). Where we differ,
// permitted.tsv says what we say instead, and why.

// goldenKinds are the sockets of the files.
var goldenKinds = map[string]struct {
	family sockets.Family
	typ    sockets.Type
	proto  sockets.Protocol
}{
	"tcp4": {sockets.AF_INET, sockets.SOCK_STREAM, 0},
	"tcp6": {sockets.AF_INET6, sockets.SOCK_STREAM, 0},
	"udp4": {sockets.AF_INET, sockets.SOCK_DGRAM, 0},
	"udp6": {sockets.AF_INET6, sockets.SOCK_DGRAM, 0},
	"raw4": {sockets.AF_INET, sockets.SOCK_RAW, sockets.IPPROTO_ICMP},
	"raw6": {sockets.AF_INET6, sockets.SOCK_RAW, sockets.IPPROTO_ICMPV6},
	"unix": {sockets.AF_UNIX, sockets.SOCK_STREAM, 0},
}

// A cell is one question to a socket and Linux's answer.
type cell struct {
	call, kind  string // "get" or "set"; a key of goldenKinds
	level, name int
	arg         string // what is set: a value, or len and a number of bytes
	linux       string
}

func (c cell) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %d/%d %s", c.call, c.kind, c.level, c.name, c.arg))
}

var (
	getRow  = regexp.MustCompile(`^ *(\d+)/ *(\d+) \S+ +(.*)$`)
	restRow = regexp.MustCompile(`^(\d+) (\d+) \S+ \[(.*)\]$`)
	setRow  = regexp.MustCompile(`^(\S+) (\d+)/(\d+) [^:]*: (.*)$`)
)

func goldenLines(t *testing.T, name string) []string {
	t.Helper()
	f := must[*os.File](t)(os.Open("testdata/linux/" + name))
	defer f.Close()
	var lines []string
	for sc := bufio.NewScanner(f); sc.Scan(); {
		lines = append(lines, sc.Text())
	}
	return lines
}

// getCells reads getsockopt.txt.
func getCells(t *testing.T) (cells []cell) {
	lines := goldenLines(t, "getsockopt.txt")
	kinds := strings.Fields(lines[0])[1:]
	for _, line := range lines[1:] {
		var row, answers []string
		if row = getRow.FindStringSubmatch(line); row != nil {
			answers = strings.Fields(row[3])
		} else if row = restRow.FindStringSubmatch(line); row != nil {
			answers = strings.Split(strings.ReplaceAll(row[3], "'", ""), ", ")
		}
		if len(answers) != len(kinds) {
			t.Fatalf("getsockopt.txt: %q has %d answers", line, len(answers))
		}
		level, name := must[int](t)(strconv.Atoi(row[1])), must[int](t)(strconv.Atoi(row[2]))
		for i, kind := range kinds {
			cells = append(cells, cell{"get", kind, level, name, "", answers[i]})
		}
	}
	return cells
}

// setCells reads setsockopt-bounds.txt.
func setCells(t *testing.T) (cells []cell) {
	for _, line := range goldenLines(t, "setsockopt-bounds.txt") {
		row := setRow.FindStringSubmatch(line)
		if row == nil {
			t.Fatalf("setsockopt-bounds.txt: %q", line)
		}
		level, name := must[int](t)(strconv.Atoi(row[2])), must[int](t)(strconv.Atoi(row[3]))
		for _, field := range strings.Fields(strings.ReplaceAll(row[4], "|", "")) {
			arg, answer, _ := strings.Cut(field, ":")
			cells = append(cells, cell{"set", row[1], level, name, arg, answer})
		}
	}
	return cells
}

// answer puts the question to a fresh socket of ours.
func (c cell) answer(t *testing.T, h *sockets.Host) string {
	t.Helper()
	k := goldenKinds[c.kind]
	s := must[*sockets.Socket](t)(h.Socket(k.family, k.typ, k.proto))
	defer s.Close()
	if c.call == "get" {
		v, err := s.GetSockOpt(c.level, c.name, 1024)
		return c.describe(v, err)
	}
	if n, ok := strings.CutPrefix(c.arg, "len"); ok {
		one := []byte{1, 0, 0, 0, 0, 0, 0, 0}
		err := s.SetSockOpt(c.level, c.name, one[:must[int](t)(strconv.Atoi(n))])
		if err == nil {
			return "ok"
		}
		return errnoName(err)
	}
	if err := s.SetSockOptInt(c.level, c.name, must[int](t)(strconv.Atoi(c.arg))); err != nil {
		return errnoName(err)
	}
	v, err := s.GetSockOpt(c.level, c.name, 8)
	if err == nil && len(v) == 4 {
		return fmt.Sprintf("=%d", int32(binary.LittleEndian.Uint32(v)))
	}
	return "=" + strings.TrimPrefix(c.describe(v, err), "b8:")
}

// describe writes a value as the file does: the file cuts long ones.
func (c cell) describe(v []byte, err error) string {
	switch {
	case err != nil:
		return errnoName(err)
	case len(v) == 4 && (c.call == "set" || strings.HasPrefix(c.linux, "i4:")):
		return fmt.Sprintf("i4:%d", int32(binary.LittleEndian.Uint32(v)))
	}
	length, digits, whole := strings.Cut(c.linux, ":")
	if length == fmt.Sprintf("b%d", len(v)) && (!whole || len(digits) <= 2*len(v)) {
		return strings.TrimSuffix(length+":"+hex.EncodeToString(v)[:len(digits)], oneIf(!whole, ":"))
	}
	return fmt.Sprintf("b%d:%x", len(v), v)
}

func oneIf(b bool, s string) string {
	if b {
		return s
	}
	return ""
}

func errnoName(err error) string {
	var se sockets.SocketError
	if !errors.As(err, &se) {
		return err.Error()
	}
	name := se.Errno().Name()
	if se.Errno() == sockets.EOPNOTSUPP {
		name = "ENOTSUP" // another name of the same number
	}
	return name + oneIf(inWords(err), unsupported)
}

// unsupported marks the errno of a refusal that says that it is userstack's.
const unsupported = "!"

// A permit is a line of permitted.tsv: call, kinds, options as level/name,
// arguments, our answer, reason. Lists have commas, and * stands for all; as an
// answer * is any refusal that says that it is userstack's.
type permit struct {
	call, kinds, options, args, ours, reason string
}

func permits(t *testing.T) (list []permit) {
	for i, line := range goldenLines(t, "permitted.tsv") {
		f := strings.Split(line, "\t")
		if len(f) != 6 || f[5] == "" {
			t.Fatalf("permitted.tsv:%d has %d fields", i+1, len(f))
		}
		list = append(list, permit{f[0], f[1], f[2], f[3], f[4], f[5]})
	}
	return list
}

func (p permit) covers(c cell, ours string) bool {
	among := func(list, s string) bool { return list == "*" || slices.Contains(strings.Split(list, ","), s) }
	return p.call == c.call && among(p.kinds, c.kind) && among(p.options, fmt.Sprintf("%d/%d", c.level, c.name)) &&
		among(p.args, c.arg) && (p.ours == ours || p.ours == "*" && strings.HasSuffix(ours, unsupported) || p.ours == "any")
}

// TestLinuxOptions compares every cell.
func TestLinuxOptions(t *testing.T) {
	h, _ := pair(t)
	list := permits(t)
	used := map[string]bool{} // "line option" of permits that were needed
	equal := 0
	for _, c := range append(getCells(t), setCells(t)...) {
		ours := c.answer(t, h)
		if strings.TrimSuffix(ours, unsupported) == c.linux {
			equal++
			continue
		}
		i := slices.IndexFunc(list, func(p permit) bool { return p.covers(c, ours) })
		if i < 0 {
			t.Errorf("%v: %s, want %s", c, ours, c.linux)
			continue
		}
		used[fmt.Sprintf("%d %d/%d", i, c.level, c.name)] = true
	}
	for i, p := range list {
		for _, o := range strings.Split(p.options, ",") {
			if !used[fmt.Sprintf("%d %s", i, o)] {
				t.Errorf("permitted.tsv:%d: option %s no longer differs (%s)", i+1, o, p.reason)
			}
		}
	}
	t.Logf("%d cells are as on Linux", equal)
}
