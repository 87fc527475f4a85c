package sockets

// NSPRPoll is a set of NSPR's PR_POLL_* flags, which have other numbers than
// poll(2)'s.
type NSPRPoll uint16

// Flags of PR_Poll. ERR, NVAL and HUP are reported, never asked for.
const (
	PR_POLL_READ   NSPRPoll = 0x1
	PR_POLL_WRITE  NSPRPoll = 0x2
	PR_POLL_EXCEPT NSPRPoll = 0x4
	PR_POLL_ERR    NSPRPoll = 0x8
	PR_POLL_NVAL   NSPRPoll = 0x10
	PR_POLL_HUP    NSPRPoll = 0x20
)

// nsprPolls is the translation: on says which events a flag stands for, and
// flag what it is asked for with.
var nsprPolls = []struct {
	flag NSPRPoll
	ask  PollEvents
	on   PollEvents
}{
	{PR_POLL_READ, POLLIN, POLLIN | POLLRDNORM | POLLRDHUP},
	{PR_POLL_WRITE, POLLOUT, POLLOUT | POLLWRNORM},
	{PR_POLL_EXCEPT, POLLPRI, POLLPRI},
	{PR_POLL_ERR, POLLERR, POLLERR},
	{PR_POLL_NVAL, POLLNVAL, POLLNVAL},
	{PR_POLL_HUP, POLLHUP, POLLHUP},
}

// NSPR returns the events as PR_Poll's out flags.
func (e PollEvents) NSPR() NSPRPoll {
	var f NSPRPoll
	for _, p := range nsprPolls {
		if e&p.on != 0 {
			f |= p.flag
		}
	}
	return f
}

// FromNSPR returns PR_Poll's in flags as the events to ask for. FromNSPR(f).NSPR()
// is f for every set of flags.
func FromNSPR(f NSPRPoll) PollEvents {
	var e PollEvents
	for _, p := range nsprPolls {
		if f&p.flag != 0 {
			e |= p.ask
		}
	}
	return e
}
