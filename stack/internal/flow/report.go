package flow

import "time"

// SendState is what a sender is in.
type SendState int

// States of the sending direction.
const (
	SendIdle       SendState = iota // the application has written nothing that is not sent
	SendBuffer                      // it wants to write, and the send buffer is full of what is in flight
	SendNagle                       // a small segment waits for an acknowledgement
	SendWindow                      // the peer's window is full
	SendClosed                      // the peer's window is closed
	SendCongestion                  // the congestion window is full
	SendRecovery                    // what was lost is sent again
	SendWorking                     // nothing holds it back: a processor is at it, or ought to be
	NumSendStates
)

// ReceiveState is what the receiving direction is in.
type ReceiveState int

// States of the receiving direction.
const (
	ReceivePeer    ReceiveState = iota // nothing on our side holds the peer back
	ReceiveUnread                      // our window is full, for what it has room for is not read
	ReceiveWoken                       // the same, and a reader that waits has yet to wake up
	ReceiveWindow                      // our window is full, though everything is read
	ReceiveGap                         // a part of the stream is missing
	ReceiveWorking                     // data waits to be read, and the window has room
	NumReceiveStates
)

// Report is what happened in an interval.
type Report struct {
	Interval  time.Duration
	Sending   SendReport
	Receiving ReceiveReport
}

// RTT are round trips as the wire shows them: from a segment to the
// acknowledgement of its end.
type RTT struct {
	Samples        int
	Min, Mean, Max time.Duration // of the interval
	Base           time.Duration // the shortest since the Flow began, that of the handshake included; 0: none known
}

// SendReport is the sending direction of an interval.
type SendReport struct {
	Time [NumSendStates]time.Duration

	Bytes    uint64 // of the stream, sent for the first time
	Packets  uint64 // handed to the link, with data, retransmissions among them
	Segments uint64 // what those are on the wire
	Payload  uint64 // bytes of data in them

	Retransmitted uint64 // segments sent again
	Spurious      uint64 // of those, what the peer had, or was about to get
	Probes        uint64 // of a closed window
	RTT           RTT

	InFlight   int // bytes, at the end
	MaxFlight  int // bytes, the most that were in flight
	Unsent     int // bytes that the application has written and that wait
	Window     int // bytes that the peer has advertised last
	WindowSeen bool
	Scaled     bool // the handshake told how to read windows
	MSS        int  // bytes of payload of a full packet, as far as is known

	// A black hole: packets of StuckSize bytes of payload are not acknowledged
	// however often they are sent, Stuck times so far; Passed is the size of the
	// largest that were since the Flow began.
	Stuck, StuckSize, Passed int
}

// ReceiveReport is the receiving direction of an interval.
type ReceiveReport struct {
	Time [NumReceiveStates]time.Duration

	Bytes      uint64 // of the stream, arrived in order or beyond a gap for the first time
	Packets    uint64 // handed up by the link, with data
	Duplicates uint64 // packets of which nothing was new
	Beyond     uint64 // packets that left a gap before them

	Unread int // bytes, at the last sample
	Window int // bytes that we have advertised last
	Least  int // bytes, the smallest that we have advertised
	Most   int // and the largest
}
