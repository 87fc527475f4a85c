package testnet

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack/link"
)

const (
	captureName    = "packets.pcapng"
	captureSnapLen = 256      // bytes of each packet: its headers and how the payload begins
	captureLimit   = 64 << 20 // bytes of a file: 200,000 packets; what comes later is not recorded
)

// capture records the packets of a network in a temporary file.
type capture struct {
	file *link.CaptureFile // nil where nothing is recorded
}

// newCapture starts recording. When the test has failed and the network is closed, the file moves to the test's artifact
// directory and the log says so. Benchmarks are not recorded.
func newCapture(t testing.TB) *capture {
	t.Helper()
	if _, ok := t.(*testing.B); ok {
		return &capture{}
	}
	name := filepath.Join(t.TempDir(), captureName)
	f, err := os.Create(name)
	if err != nil {
		t.Fatal("testnet: ", err)
	}
	c := &capture{file: link.NewCaptureFile(&limited{w: f, left: captureLimit}, link.CaptureConfig{
		Comment: t.Name(), SnapLen: captureSnapLen,
	})}
	t.Cleanup(func() {
		if err := c.file.Close(); err != nil && !errors.Is(err, errCaptureLimit) {
			t.Error("testnet: recording packets: ", err)
		}
		if err := f.Close(); err != nil {
			t.Error("testnet: recording packets: ", err)
		}
		if t.Failed() {
			keep(t, name)
		}
	})
	return c
}

// wrap records what passes a link, under a name.
func (c *capture) wrap(l gstack.LinkEndpoint, name string) gstack.LinkEndpoint {
	if c.file == nil {
		return l
	}
	return link.NewCapture(l, c.file, name)
}

// keep puts the file where it outlives the test, if the test is run with -artifacts, and logs where that is.
func keep(t testing.TB, name string) {
	if f := flag.Lookup("test.artifacts"); f == nil || f.Value.String() != "true" {
		return
	}
	kept := filepath.Join(t.ArtifactDir(), captureName)
	from, err := os.Open(name)
	if err != nil {
		t.Log("testnet: ", err)
		return
	}
	defer from.Close()
	to, err := os.Create(kept)
	if err == nil {
		_, err = io.Copy(to, from)
		err = errors.Join(err, to.Close())
	}
	if err != nil {
		t.Log("testnet: ", err)
		return
	}
	t.Logf("testnet: the packets are in %s", kept)
}

var errCaptureLimit = errors.New("testnet: the capture file is full")

// limited refuses what would make a file too long.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	if l.left -= len(b); l.left < 0 {
		return 0, errCaptureLimit
	}
	return l.w.Write(b)
}
