package link

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

const (
	// defaultCaptureBuffer bytes wait for the disk at most, twice. It rides out
	// 30 ms of a stalled disk at 1 Gbit/s.
	defaultCaptureBuffer = 4 << 20

	// maxComment is the longest comment in bytes: the length of a pcapng option
	// has 16 bits.
	maxComment = 1<<16 - 1

	// captureOverhead is what pcapng adds to a packet, without comments, in
	// bytes: block header and trailer, flags, padding.
	captureOverhead = 64
)

// CaptureConfig says how a CaptureFile records. The zero value records
// everything.
type CaptureConfig struct {
	// Comment is shown with the file's properties. Empty is none.
	Comment string

	// SnapLen is how many bytes of each packet are kept. Zero is all.
	SnapLen uint32

	// Buffer bounds the bytes that wait to be written; packets that find it
	// full are missing from the file. Zero is 4 MiB.
	Buffer int

	// Now is the clock of the timestamps. Nil is time.Now.
	Now func() time.Time
}

// CaptureFile writes packets of any number of links to one file in the pcapng
// format (draft-ietf-opsawg-pcapng), for Wireshark and its kin: nanosecond
// timestamps, interface names, directions and comments. NewCapture adds a link
// to it.
//
// Recording never waits for the file: one goroutine, which Close joins, writes
// what others have left in a buffer. After a failed write nothing more is
// written; Close returns the error. All methods may be called from several
// goroutines at once.
type CaptureFile struct {
	cfg     CaptureConfig
	w       io.Writer
	owned   io.Closer // nil when the caller closes w
	written chan struct{}

	mu       sync.Mutex
	changed  sync.Cond
	ng       *pcapgo.NgWriter // nil until the first interface
	pending  []byte           // blocks for the goroutine to write
	spare    []byte           // the buffer that pending is not
	scratch  []byte           // of one packet
	links    []captureCounts
	comments []string // for the next packet
	failed   error
	faults   uint64 // failed writes
	writing  bool
	closed   bool
}

// captureCounts are what the statistics block of an interface says.
type captureCounts struct{ packets, missing uint64 }

// CaptureStats counts packets offered to a CaptureFile.
type CaptureStats struct {
	Packets     uint64 // recorded, though perhaps not written yet
	Missing     uint64 // not recorded: buffer full, or an earlier write failed
	WriteErrors uint64 // failed writes; after the first there are no more
}

// NewCaptureFile records to w, which stays the caller's to close, after Close.
func NewCaptureFile(w io.Writer, cfg CaptureConfig) *CaptureFile {
	if cfg.Buffer == 0 {
		cfg.Buffer = defaultCaptureBuffer
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	f := &CaptureFile{cfg: cfg, w: w, written: make(chan struct{})}
	f.changed.L = &f.mu
	go f.write()
	return f
}

// CreateCaptureFile records to the named file, which it creates, readable by
// its owner only, or truncates. A FIFO lets Wireshark watch.
func CreateCaptureFile(name string, cfg CaptureConfig) (*CaptureFile, error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	f := NewCaptureFile(file, cfg)
	f.owned = file
	return f, nil
}

// Annotate attaches a comment to the next packet recorded on any link, or to
// an empty packet at the end of the file if none comes. A comment has at most
// 65535 bytes; the rest is cut off.
func (f *CaptureFile) Annotate(comment string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.comments = appendComment(f.comments, comment)
}

// appendComment adds a comment to those that wait for a packet. There is no
// room for more of them than one packet may have bytes of comments.
func appendComment(comments []string, comment string) []string {
	total := len(comment)
	for _, c := range comments {
		total += len(c)
	}
	if total > 2*maxComment {
		return comments
	}
	return append(comments, trimComment(comment))
}

func trimComment(comment string) string {
	return strings.ToValidUTF8(comment[:min(len(comment), maxComment)], "")
}

// Stats returns the counters so far, of all links together.
func (f *CaptureFile) Stats() CaptureStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := CaptureStats{WriteErrors: f.faults}
	for _, l := range f.links {
		s.Packets += l.packets
		s.Missing += l.missing
	}
	return s
}

// Flush returns when all packets recorded before it have been written, with
// the error of the first failed write, if any.
func (f *CaptureFile) Flush() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.pending) > 0 || f.writing {
		f.changed.Wait()
	}
	return f.failed
}

// Close writes what is left and ends the recording; links go on without. It
// returns the error of the first failed write, if any, in each call.
func (f *CaptureFile) Close() error {
	f.mu.Lock()
	first := !f.closed
	if first {
		f.finishLocked()
		f.closed = true
		f.changed.Broadcast()
	}
	f.mu.Unlock()
	<-f.written
	f.mu.Lock()
	defer f.mu.Unlock()
	if first && f.owned != nil {
		f.failed = errors.Join(f.failed, f.owned.Close())
	}
	return f.failed
}

// finishLocked adds the blocks that end the file.
func (f *CaptureFile) finishLocked() {
	if f.ng == nil {
		// A file needs an interface to be one.
		f.addInterfaceLocked("none", "nothing was captured", layers.LinkTypeRaw)
	}
	if len(f.comments) > 0 {
		f.addLocked(0, pcapgo.NgEpbFlagDirectionUnknown, nil, 0)
	}
	for i, l := range f.links {
		f.encodeLocked(f.ng.WriteInterfaceStats(i, pcapgo.NgInterfaceStatistics{
			LastUpdate: f.cfg.Now(), PacketsReceived: l.packets + l.missing, PacketsDropped: l.missing,
		}))
	}
}

// addInterface starts a link's record and returns its number.
func (f *CaptureFile) addInterface(name, comment string, linkType layers.LinkType) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0 // nothing will be recorded
	}
	return f.addInterfaceLocked(name, comment, linkType)
}

func (f *CaptureFile) addInterfaceLocked(name, comment string, linkType layers.LinkType) int {
	f.links = append(f.links, captureCounts{})
	ng := pcapgo.NgInterface{
		Name: trimComment(name), Comment: trimComment(comment), LinkType: linkType,
		SnapLength: f.cfg.SnapLen, OS: runtime.GOOS,
	}
	if f.ng != nil {
		id, err := f.ng.AddInterface(ng)
		f.encodeLocked(err)
		return id
	}
	var err error
	f.ng, err = pcapgo.NewNgWriterInterface(capturePending{f}, ng, pcapgo.NgWriterOptions{
		SectionInfo: pcapgo.NgSectionInfo{
			Application: "userstack", OS: runtime.GOOS, Hardware: runtime.GOARCH, Comment: trimComment(f.cfg.Comment),
		},
	})
	f.encodeLocked(err)
	return 0
}

// capturePending is where the encoder writes to: memory, which never fails.
type capturePending struct{ f *CaptureFile }

func (p capturePending) Write(b []byte) (int, error) {
	p.f.pending = append(p.f.pending, b...)
	return len(b), nil
}

// encodeLocked passes an encoded block to the writing goroutine. An error is
// one of ours, such as an interface that does not exist.
func (f *CaptureFile) encodeLocked(err error) {
	if err == nil {
		err = f.ng.Flush()
	}
	if err != nil && f.failed == nil {
		f.failed = fmt.Errorf("link: encoding a capture: %w", err)
	}
	f.changed.Broadcast()
}

// add records a packet of size bytes; fill appends its first bytes, up to a
// limit, to a buffer.
func (f *CaptureFile) add(id int, direction pcapgo.NgEpbFlag, fill func(b []byte, limit int) []byte, size int, comments []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	for _, c := range comments {
		f.comments = appendComment(f.comments, c)
	}
	kept := size
	if f.cfg.SnapLen > 0 {
		kept = min(kept, int(f.cfg.SnapLen))
	}
	if f.failed != nil || len(f.pending)+kept+captureOverhead > f.cfg.Buffer {
		f.links[id].missing++
		return
	}
	f.links[id].packets++
	f.scratch = fill(f.scratch[:0], kept)
	f.addLocked(id, direction, f.scratch, size)
}

func (f *CaptureFile) addLocked(id int, direction pcapgo.NgEpbFlag, data []byte, size int) {
	opts := pcapgo.NgPacketOptions{Flags: &pcapgo.NgEpbFlags{Direction: direction}, Comments: f.comments}
	f.comments = nil
	f.encodeLocked(f.ng.WritePacketWithOptions(gopacket.CaptureInfo{
		Timestamp: f.cfg.Now(), InterfaceIndex: id, Length: size, CaptureLength: len(data),
	}, data, opts))
}

// write is the goroutine that Close joins.
func (f *CaptureFile) write() {
	defer close(f.written)
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		for len(f.pending) == 0 && !f.closed {
			f.changed.Wait()
		}
		if len(f.pending) == 0 {
			return
		}
		batch := f.pending
		f.pending, f.writing = f.spare[:0], true
		if f.failed == nil {
			f.mu.Unlock()
			_, err := f.w.Write(batch)
			f.mu.Lock()
			if err != nil {
				f.failed = fmt.Errorf("link: writing a capture: %w", err)
				f.faults++
			}
		}
		f.spare, f.writing = batch, false
		f.changed.Broadcast()
	}
}
