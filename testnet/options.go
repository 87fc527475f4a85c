package testnet

import (
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"

	"github.com/userstack/userstack/stack"
	"github.com/userstack/userstack/stack/link"
)

// Option changes a network from its default: a perfect wire with an MTU of 1,500 bytes and segmentation offload, and
// stacks with default settings.
type Option func(*options)

type options struct {
	mtu    uint32
	noGSO  bool
	impair *link.ImpairConfig
	tcp    stack.TCP
	clock  tcpip.Clock
	sysctl map[string]string

	busyPoll time.Duration
}

// prepare collects the options, and sets up what every network has: the watch on goroutines and the word on failure. It
// comes first, so that all else is torn down before.
func prepare(t testing.TB, opts []Option) *options {
	t.Helper()
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	watchGoroutines(t)
	o.seed(t)
	explain(t, &o)
	return &o
}

// WithMTU sets the MTU of the wire in bytes.
func WithMTU(mtu uint32) Option { return func(o *options) { o.mtu = mtu } }

// WithoutGSO has the stacks cut segments to the MTU themselves, as on a wire without offload.
func WithoutGSO() Option { return func(o *options) { o.noGSO = true } }

// WithImpair treats packets badly: Out those from the first host of a Pair to the second, In those back; in Namespaces,
// Out those from our stack to the kernel. USERSTACK_SEED replaces cfg.Seed. Without a Clock it is real time.
func WithImpair(cfg link.ImpairConfig) Option { return func(o *options) { o.impair = &cfg } }

// WithBusyPoll sets how long the link of Namespaces polls its device (link.Config.BusyPoll).
func WithBusyPoll(d time.Duration) Option { return func(o *options) { o.busyPoll = d } }

// WithTCP sets the TCP settings of the userspace stacks.
func WithTCP(cfg stack.TCP) Option { return func(o *options) { o.tcp = cfg } }

// WithSysctl sets kernel parameters in the namespace of Namespaces, such as "net.ipv4.tcp_congestion_control".
func WithSysctl(parameters map[string]string) Option {
	return func(o *options) { o.sysctl = parameters }
}

// WithClock sets the clock of the userspace stacks: gVisor's faketime.ManualClock makes timers the test's to fire.
func WithClock(c tcpip.Clock) Option { return func(o *options) { o.clock = c } }
