package sockets_test

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/userstack/userstack/stack/sockets"
)

// addressTexts returns seeded texts that look like addresses, or nearly.
func addressTexts(n int) []string {
	r := rand.New(rand.NewPCG(7, 7))
	parts := []string{
		"0", "1", "9", "255", "256", "08", "0377", "0x7f", "0X", "0x", "0xffffffff", "4294967295", "4294967296", "65535",
		".", ".", ".", ".", ":", ":", ":", "::", "::", "a", "ffff", "fffff", "0000", "00000", "%lo", "%1", " ", "x", "1.2.3.4",
		"-1", "+", "\t", "\n9", "f", "1:2:3:4", "::ffff:", "/8", "[", "00", "1e3", "0b1", "0o7",
	}
	texts := make([]string, n)
	for i := range texts {
		var b strings.Builder
		for range 1 + r.IntN(9) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		texts[i] = b.String()
	}
	return texts
}

// inetAnswers is what our functions make of texts and of 16 bytes, one line
// each.
func inetAnswers(texts []string, packed [][]byte) string {
	var b strings.Builder
	answer := func(p []byte, err error) string {
		if err != nil {
			return "-"
		}
		return hex.EncodeToString(p)
	}
	for _, text := range texts {
		quad, err := sockets.InetAton(text)
		four, err4 := sockets.InetPton(sockets.AF_INET, text)
		six, err6 := sockets.InetPton(sockets.AF_INET6, text)
		fmt.Fprintln(&b, answer(quad[:], err), answer(four, err4), answer(six, err6))
	}
	for _, p := range packed {
		text, _ := sockets.InetNtop(sockets.AF_INET6, p)
		quad, _ := sockets.InetNtoa(p[:4])
		fmt.Fprintln(&b, text, quad)
	}
	return b.String()
}

const inetProgram = `
import platform, socket, sys
print(platform.libc_ver()[0])
def answer(f, *a):
    try: return f(*a).hex()
    except OSError: return "-"
for text in bytes.fromhex(sys.argv[1]).decode().split("\0"):
    print(answer(socket.inet_aton, text), answer(socket.inet_pton, socket.AF_INET, text),
        answer(socket.inet_pton, socket.AF_INET6, text))
for p in sys.argv[2].split(","):
    p = bytes.fromhex(p)
    print(socket.inet_ntop(socket.AF_INET6, p), socket.inet_ntoa(p[:4]))
`

// The C library's functions, through Python, give what ours give.
func TestInetAgainstLibc(t *testing.T) {
	texts := addressTexts(3000)
	r := rand.New(rand.NewPCG(8, 8))
	packed := make([][]byte, 1500)
	for i := range packed {
		packed[i] = make([]byte, 16)
		for j := range packed[i] {
			if r.IntN(3) == 0 {
				packed[i][j] = byte(r.Uint32())
			}
		}
		if i%5 == 0 {
			copy(packed[i], make([]byte, 12)) // so that the forms with a dotted quad come up
		}
		if i%15 == 0 {
			packed[i][10], packed[i][11] = 0xff, 0xff
		}
	}
	var hexes []string
	for _, p := range packed {
		hexes = append(hexes, hex.EncodeToString(p))
	}
	want := python(t, inetProgram, hex.EncodeToString([]byte(strings.Join(texts, "\x00"))), strings.Join(hexes, ","))
	libc, want, _ := strings.Cut(want, "\n")
	if libc != "glibc" {
		t.Skipf("needs a python3 that uses glibc, not %q", libc)
	}
	got := inetAnswers(texts, packed)
	ours, theirs := strings.Split(got, "\n"), strings.Split(want, "\n")
	if len(ours) != len(theirs) {
		t.Fatalf("%d answers, %d of the C library", len(ours), len(theirs))
	}
	for i := range ours {
		if ours[i] == theirs[i] {
			continue
		}
		input := "the end"
		switch {
		case i < len(texts):
			input = fmt.Sprintf("%q", texts[i])
		case i < len(texts)+len(packed):
			input = hexes[i-len(texts)]
		}
		t.Errorf("%s: %s, the C library has %s", input, ours[i], theirs[i])
	}
}
