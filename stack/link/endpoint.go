package link

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Config describes an Endpoint. Only Device is needed.
type Config struct {
	// Device carries the packets. The endpoint owns it.
	Device Device

	// MTU is the largest IP packet in bytes, 68 to 65535. Zero means 1500. It
	// should be that of the device.
	MTU uint32

	// Queues is how many queues of the device are read, each by a goroutine of
	// its own; packets are sent on the queue that their connection hashes to.
	// Zero means 1. With more than one, a packet whose checksums the device does
	// not vouch for is delivered while no other is.
	Queues int

	// BusyPoll is how long a reader asks the device again and again for the
	// next packet before it sleeps, at most a millisecond: SO_BUSY_POLL of
	// socket(7) for the whole link. It saves waking a thread, which takes longer
	// than the rest of a short round trip, for as much processor time. It should
	// be longer than the round trips that matter; 100 µs is for those to the
	// same machine. Zero means not at all.
	//
	// A reader polls only after a wait that was short and between packets that
	// are few: a stack that is idle or moves bulk does not. It needs a Device
	// that is a Poller, and has no effect on others.
	//
	// A program that is for short round trips before all runs its Go code on one
	// processor besides (runtime.GOMAXPROCS(1), or GOMAXPROCS=1 in its
	// environment). Else each goroutine that a packet wakes wakes an idle thread
	// too, which finds nothing to do. It costs the rate of several connections
	// at once; docs/performance.md has figures.
	BusyPoll time.Duration
}

// An Endpoint connects a netstack to a Device that carries IP packets (TUN).
// It implements stack.LinkEndpoint and stack.GSOEndpoint.
type Endpoint struct {
	attachment
	formSetting
	device   Device
	features uint64
	queues   int
	writers  []writer // one for each queue
	framing  framing
	busyPoll time.Duration
	patience time.Duration // closePatience

	vouch  atomic.Bool  // the packets being delivered need no verification
	turn   sync.RWMutex // with several queues: read to deliver with vouch, which is set; written to deliver without
	acks   ackKeeper
	stats  counters
	faults faults

	done    chan struct{} // closed by Close
	readers sync.WaitGroup

	mu      sync.Mutex // guards those below
	started bool       // the readers run, or ran
	closed  bool
	writing int           // writers' goroutines
	written chan struct{} // closed when closed is set and writing is 0
}

// New returns a link over a device of IP packets. It owns the device from here
// on: Close closes it, and so does New when it fails.
func New(cfg Config) (*Endpoint, error) {
	e := new(Endpoint)
	if err := e.init(cfg, ipFraming{}); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *Endpoint) init(cfg Config, f framing) error {
	if cfg.Device == nil {
		return errors.New("link: Config.Device is nil")
	}
	if cfg.MTU == 0 {
		cfg.MTU = DefaultMTU
	}
	if cfg.Queues == 0 {
		cfg.Queues = 1
	}
	var err error
	switch {
	case cfg.MTU < minMTU || cfg.MTU > maxMTU:
		err = fmt.Errorf("link: MTU %d is not between %d and %d", cfg.MTU, minMTU, maxMTU)
	case cfg.Queues < 0 || cfg.Queues > maxQueues:
		err = fmt.Errorf("link: %d queues is not between 1 and %d", cfg.Queues, maxQueues)
	case cfg.BusyPoll < 0 || cfg.BusyPoll > maxBusyPoll:
		err = fmt.Errorf("link: busy polling for %v is not between 0 and %v", cfg.BusyPoll, maxBusyPoll)
	}
	if err != nil {
		cfg.Device.Close()
		return err
	}
	e.device, e.features = cfg.Device, cfg.Device.Features()
	e.queues, e.framing, e.busyPoll = cfg.Queues, f, cfg.BusyPoll
	e.patience = closePatience
	e.vouch.Store(cfg.Queues > 1)
	e.done, e.written = make(chan struct{}), make(chan struct{})
	e.writers = make([]writer, cfg.Queues)
	for q := range e.writers {
		e.writers[q].init(e, q)
	}
	e.faults.changed = make(chan struct{}, 1)
	e.SetMTU(cfg.MTU)
	return nil
}

const maxQueues = 256 // Linux MAX_TAP_QUEUES

// Attach implements stack.LinkEndpoint. The first attachment starts the
// readers; Attach(nil) leaves them, and packets that arrive are dropped.
func (e *Endpoint) Attach(d stack.NetworkDispatcher) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.attach(d)
	if d == nil || e.started {
		return
	}
	e.started = true
	for q := range e.queues {
		e.readers.Go(func() { e.readAll(q) })
	}
}

// Capabilities implements stack.LinkEndpoint. The receive bit is that of the
// packet being delivered: netstack asks for it at the start of each delivery,
// and only there; no packet that needs another answer is delivered meanwhile.
// The transmit bit is never set; see the package comment.
func (e *Endpoint) Capabilities() stack.LinkEndpointCapabilities {
	if e.vouch.Load() {
		return stack.CapabilityRXChecksumOffload
	}
	return 0
}

// GSOMaxSize implements stack.GSOEndpoint.
func (e *Endpoint) GSOMaxSize() uint32 { return MaxGSOSize }

// SupportedGSO implements stack.GSOEndpoint. It says that the host segments,
// whatever the device can do: what the device cannot is done here, so that
// there is one path, and a connection need not know.
func (e *Endpoint) SupportedGSO() stack.SupportedGSO { return stack.HostGSOSupported }

// Close closes the device and ends the readers. Packets that are sent or
// arrive from now on are dropped; those that wait to be written are given a
// moment. It does not wait for the readers: Wait does.
func (e *Endpoint) Close() {
	if !e.markClosed() {
		return
	}
	e.finishWriting()
	if err := e.device.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		e.faults.set(&e.faults.read, err)
	}
}

// markClosed reports whether this is the first call of Close.
func (e *Endpoint) markClosed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.closed = true
	e.attach(nil)
	close(e.done)
	if e.writing == 0 {
		close(e.written)
	}
	return true
}

func (e *Endpoint) isClosed() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// Wait joins the readers and who writes. It blocks until Close has been called,
// unless nothing was ever attached.
func (e *Endpoint) Wait() {
	e.readers.Wait()
	if e.isClosed() {
		<-e.written
	}
}

// A framing is how packets lie in the frames of a device.
type framing interface {
	// deframe says how long the link header of a frame is, which protocol
	// follows it, and for whom it is. b has the frame's first bytes, all the
	// headers among them.
	deframe(b []byte) (size int, proto tcpip.NetworkProtocolNumber, to tcpip.PacketType, v verdict)
}

var (
	_ stack.LinkEndpoint = (*Endpoint)(nil)
	_ stack.GSOEndpoint  = (*Endpoint)(nil)
)
