package sockets

import (
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// What the options of option_message.go ask for belongs to the description, not
// to netstack's endpoint: the endpoint always tells all it knows, and each
// receive picks what the program wants at that time, as on Linux.
type messageState struct {
	asks atomic.Uint32 // of ask
	errs atomic.Pointer[errorQueue]
	more atomic.Pointer[messageExtras]
}

// An ask is a switch that a program has set.
type ask uint32

const (
	askPacketInfo   ask = 1 << iota // IP_PKTINFO
	askTTL                          // IP_RECVTTL
	askTOS                          // IP_RECVTOS
	askOriginalDst                  // IP_RECVORIGDSTADDR
	askErrors                       // IP_RECVERR
	askPacketInfo6                  // IPV6_RECVPKTINFO
	askHopLimit                     // IPV6_RECVHOPLIMIT
	askTClass                       // IPV6_RECVTCLASS
	askOriginalDst6                 // IPV6_RECVORIGDSTADDR
	askErrors6                      // IPV6_RECVERR
	askTimestamp                    // SO_TIMESTAMP or one of its relatives
	askNanoseconds                  // it was SO_TIMESTAMPNS
	askNewTimestamp                 // it was one of the _NEW forms
	askDrops                        // SO_RXQ_OVFL
	askPriority                     // SO_SELECT_ERR_QUEUE
	askQueued                       // TCP_INQ
	askTogether                     // UDP_GRO
	askCork                         // TCP_CORK or UDP_CORK
	askMore                         // the last send on a connection had MSG_MORE
	askFlush                        // what a connection holds back leaves soon; nobody asks for this one

	// What a datagram's headers are wanted for.
	asksOfHeaders = askPacketInfo | askTTL | askTOS | askOriginalDst |
		askPacketInfo6 | askHopLimit | askTClass | askOriginalDst6
)

func (m *messageState) asked(a ask) bool { return ask(m.asks.Load())&a != 0 }

// answer changes the switches in clear and then those in set.
func (m *messageState) answer(clear, set ask) {
	for {
		old := m.asks.Load()
		if m.asks.CompareAndSwap(old, old&^uint32(clear)|uint32(set)) {
			return
		}
	}
}

// messageExtras is the state of the options that few sockets use.
type messageExtras struct {
	mu           sync.Mutex
	timestamping uint32        // SO_TIMESTAMPING's flags
	peek         int           // SO_PEEK_OFF plus 1, so that 0 is its default, -1
	segment      int           // UDP_SEGMENT: bytes, 0 = off
	unicastIf    int           // IP_UNICAST_IF: index, 0 = off
	unicastIf6   int           // IPV6_UNICAST_IF
	sticky       int           // IPV6_PKTINFO: the interface's index, 0 = off
	corked       *corkedPacket // what MSG_MORE and UDP_CORK have gathered
}

// extras returns the state of the rare options, nil if none was ever set.
func (m *messageState) extras() *messageExtras { return m.more.Load() }

func (m *messageState) makeExtras() *messageExtras {
	if x := m.more.Load(); x != nil {
		return x
	}
	m.more.CompareAndSwap(nil, new(messageExtras))
	return m.more.Load()
}

// askOption is an option that turns a switch on and off. after may be nil.
func askOption(name string, only sockets, a ask, after func(d *description, ep tcpip.Endpoint, on bool)) *option {
	return &option{name: name, only: only, size: 4, inherit: true,
		get: func(d *description, _ tcpip.Endpoint) ([]byte, Errno) { return intBytes(oneIf(d.asked(a))), 0 },
		set: func(d *description, ep tcpip.Endpoint, v []byte) Errno {
			on := intValue(v) != 0
			if on {
				d.answer(0, a)
			} else {
				d.answer(a, 0)
			}
			if after != nil {
				after(d, ep, on)
			}
			return 0
		}}
}
