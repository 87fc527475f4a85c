package translate

import (
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// errnoRows has the number of every error. TestErrnoKnowsEveryError sees to it
// that none is missing in the code; the number of rows here is tested below.
var errnoRows = []struct {
	id   string
	err  tcpip.Error
	want int // as Linux's asm-generic/errno.h has it
}{
	{"E1", &tcpip.ErrAborted{}, 32},
	{"E2", &tcpip.ErrAddressFamilyNotSupported{}, 97},
	{"E3", &tcpip.ErrAlreadyBound{}, 22},
	{"E4", &tcpip.ErrAlreadyConnected{}, 106},
	{"E5", &tcpip.ErrAlreadyConnecting{}, 114},
	{"E6", &tcpip.ErrBadAddress{}, 14},
	{"E7", &tcpip.ErrBadBuffer{}, 14},
	{"E8", &tcpip.ErrBadLocalAddress{}, 99},
	{"E9", &tcpip.ErrBroadcastDisabled{}, 13},
	{"E10", &tcpip.ErrClosedForReceive{}, 0},
	{"E11", &tcpip.ErrClosedForSend{}, 32},
	{"E12", &tcpip.ErrConnectStarted{}, 115},
	{"E13", &tcpip.ErrConnectionAborted{}, 103},
	{"E14", &tcpip.ErrConnectionRefused{}, 111},
	{"E15", &tcpip.ErrConnectionReset{}, 104},
	{"E16", &tcpip.ErrDestinationRequired{}, 89},
	{"E17", &tcpip.ErrDuplicateAddress{}, 17},
	{"E18", &tcpip.ErrDuplicateNICID{}, 17},
	{"E19", &tcpip.ErrInvalidNICID{}, 19},
	{"E20", &tcpip.ErrInvalidEndpointState{}, 22},
	{"E21", &tcpip.ErrInvalidOptionValue{}, 22},
	{"E22", &tcpip.ErrInvalidPortRange{}, 22},
	{"E23", &tcpip.ErrMalformedHeader{}, 22},
	{"E24", &tcpip.ErrMessageTooLong{}, 90},
	{"E25", &tcpip.ErrNetworkUnreachable{}, 101},
	{"E26", &tcpip.ErrNoBufferSpace{}, 105},
	{"E27", &tcpip.ErrNoPortAvailable{}, 11},
	{"E28", &tcpip.ErrHostUnreachable{}, 113},
	{"E29", &tcpip.ErrHostDown{}, 112},
	{"E30", &tcpip.ErrNoNet{}, 64},
	{"E31", &tcpip.ErrNoSuchFile{}, 2},
	{"E32", &tcpip.ErrNotConnected{}, 107},
	{"E33", &tcpip.ErrNotPermitted{}, 1},
	{"E34", &tcpip.ErrNotSupported{}, 95},
	{"E35", &tcpip.ErrPortInUse{}, 98},
	{"E36", &tcpip.ErrQueueSizeNotSupported{}, 25},
	{"E37", &tcpip.ErrTimeout{}, 110},
	{"E38", &tcpip.ErrUnknownDevice{}, 19},
	{"E39", &tcpip.ErrUnknownNICID{}, 19},
	{"E40", &tcpip.ErrUnknownProtocol{}, 22},
	{"E41", &tcpip.ErrUnknownProtocolOption{}, 92},
	{"E42", &tcpip.ErrWouldBlock{}, 11},
	{"E43", &tcpip.ErrMissingRequiredFields{}, 22},
	{"E44", &tcpip.ErrMulticastInputCannotBeOutput{}, 22},
	{"E45", &tcpip.ErrEndpointBusy{}, 16},
	{"E46", newerError{}, 5},
}

func TestErrnoTable(t *testing.T) {
	for _, r := range errnoRows {
		if got := Errno(r.err); got != r.want {
			t.Errorf("%s: %T is %d, want %d", r.id, r.err, got, r.want)
		}
	}
	if len(errnoRows) != 46 {
		t.Errorf("%d rows, want gVisor's 45 errors and an unknown one", len(errnoRows))
	}
}

// T45: gVisor's own table panics on an error that it does not know.
func TestT45UnknownErrorIsEIO(t *testing.T) {
	for _, err := range []tcpip.Error{newerError{}, &newerError{}, (*tcpip.ErrTimeout)(nil)} {
		if got := Errno(err); got != 5 && got != 110 {
			t.Errorf("%T is %d", err, got)
		}
	}
}
