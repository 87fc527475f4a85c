package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"
)

// Ends are what a process has to serve with: either or both. A Network that has the method Info(net.Conn) Connection is
// asked for its connections.
type Ends struct {
	Near    Network
	Far     Network
	At      netip.Addr     // where far listens
	Account func() Account // of this process; nil is none
}

// Account is what the operating system says of a process, all since its beginning.
type Account struct {
	User     time.Duration `json:"user"`     // processor time outside the kernel
	System   time.Duration `json:"system"`   // and inside
	Switches uint64        `json:"switches"` // times that a thread waited (getrusage(2), ru_nvcsw)
}

// Connection is what a stack says of its connections, all since their beginning.
type Connection struct {
	Sent          uint64 `json:"sent"`          // segments
	Retransmitted uint64 `json:"retransmitted"` // of them, sent again
	WindowLimited uint64 `json:"windowlimited"` // µs that the receiver's window held it back
	Count         uint64 `json:"count"`         // of the connections that this is the sum of
}

// Ask is a request to Serve, Reply its answer: a JSON object each, in one line.
type Ask struct {
	Start *Job `json:"start,omitempty"` // begin this, and then sample
	Sweep bool `json:"sweep,omitempty"` // collect garbage first, so that Memory says what is in use
}

// Reply says how things stand at a time.
type Reply struct {
	Error      string        `json:"error,omitempty"` // what was asked for was not done
	PID        int           `json:"pid"`
	TCP        uint16        `json:"tcp,omitempty"` // far's ports
	UDP        uint16        `json:"udp,omitempty"`
	At         time.Duration `json:"at"` // since the process began; differences are what counts
	Near       Counts        `json:"near,omitzero"`
	Far        Counts        `json:"far,omitzero"`
	Account    Account       `json:"account"`
	Memory     uint64        `json:"memory"` // bytes of Go's heap and stacks
	Connection Connection    `json:"connection,omitzero"`
}

// Serve answers until r ends, then closes both ends. The first Reply, without an Ask, says that they stand.
func Serve(r io.Reader, w io.Writer, ends Ends) error {
	s := &server{Ends: ends, begun: time.Now()}
	defer s.close()
	encoder, decoder := json.NewEncoder(w), json.NewDecoder(r)
	if err := s.open(); err != nil {
		encoder.Encode(Reply{Error: err.Error()})
		return err
	}
	if err := encoder.Encode(s.sample(Ask{})); err != nil {
		return err
	}
	for {
		var ask Ask
		if err := decoder.Decode(&ask); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := encoder.Encode(s.answer(ask)); err != nil {
			return err
		}
	}
}

type server struct {
	Ends
	begun time.Time
	near  *Near
	far   *Far
}

func (s *server) open() (err error) {
	if s.Far != nil {
		if s.far, err = NewFar(s.Far, s.At); err != nil {
			return fmt.Errorf("far end: %w", err)
		}
	}
	if s.Near != nil {
		s.near = NewNear(s.Near)
	}
	return nil
}

func (s *server) close() {
	if s.near != nil {
		s.near.Close()
	}
	if s.far != nil {
		s.far.Close()
	}
}

func (s *server) answer(ask Ask) Reply {
	if ask.Start != nil {
		err := errors.New("there is no near end")
		if s.near != nil {
			ctx, cancel := context.WithTimeout(context.Background(), ask.Start.Patience())
			defer cancel()
			err = s.near.Start(ctx, *ask.Start)
		}
		if err != nil {
			return Reply{Error: err.Error()}
		}
	}
	return s.sample(ask)
}

func (s *server) sample(ask Ask) Reply {
	if ask.Sweep {
		runtime.GC()
		runtime.GC() // the first one only marks what finalizers and pools let go
	}
	r := Reply{PID: os.Getpid()}
	if s.near != nil {
		r.Near = s.near.Counts()
		r.Connection.add(s.Near, s.near.Conns())
	}
	if s.far != nil {
		r.Far, r.TCP, r.UDP = s.far.Counts(), s.far.TCP(), s.far.UDP()
		r.Connection.add(s.Far, s.far.Conns())
	}
	if s.Account != nil {
		r.Account = s.Account()
	}
	var memory runtime.MemStats
	if ask.Sweep {
		runtime.ReadMemStats(&memory) // stops the world, so only when memory is what is asked for
		r.Memory = memory.HeapAlloc + memory.StackInuse
	}
	r.At = time.Since(s.begun)
	return r
}

// surveyed is how many connections are asked, at most, what held them back.
const surveyed = 8

// add adds up what connections say of themselves, unless they are many: short ones, or idle ones.
func (sum *Connection) add(network Network, conns []net.Conn) {
	informed, ok := network.(interface{ Info(net.Conn) Connection })
	if !ok || len(conns) > surveyed {
		return
	}
	for _, c := range conns {
		i := informed.Info(c)
		sum.Sent += i.Sent
		sum.Retransmitted += i.Retransmitted
		sum.WindowLimited += i.WindowLimited
		sum.Count++
	}
}
