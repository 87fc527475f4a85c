package agent

import (
	"bytes"
	"encoding/json"
	"io"
	"net/netip"
	"os/exec"
	"testing"
	"time"

	"github.com/userstack/userstack/internal/bench/load"
	"github.com/userstack/userstack/testnet"
)

func TestMain(m *testing.M) { testnet.Main(m) }

// await asks until a count is there.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	const patience = time.Minute // a hang, on a machine however busy
	deadline := time.After(patience)
	for !done() {
		select {
		case <-deadline:
			t.Fatal("not within a minute: ", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// TestLoads: what one end says that it sent, the other end says that it received, for every load, over two stacks of ours
// and over the kernel's loopback.
func TestLoads(t *testing.T) {
	t.Parallel()
	for _, place := range []struct {
		name string
		open func(Config) (load.Ends, func(), error)
		to   netip.Addr
	}{{"stacks", stackBoth, FarAddr.Addr()}, {"kernel", kernelBoth, Loopback}} {
		for _, kind := range []load.Kind{load.Out, load.In, load.RoundTrip, load.Connect, load.Idle, load.PacketsOut, load.PacketsIn} {
			t.Run(place.name+"/"+string(kind), func(t *testing.T) {
				t.Parallel()
				ends, closeEnds, err := place.open(Config{})
				if err != nil {
					t.Fatal(err)
				}
				defer closeEnds()
				run(t, ends, place.to, kind)
			})
		}
	}
}

func run(t *testing.T, ends load.Ends, to netip.Addr, kind load.Kind) {
	far, err := load.NewFar(ends.Far, ends.At)
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	near := load.NewNear(ends.Near)
	defer near.Close()
	const conns, size = 3, 100
	job := load.Job{Kind: kind, Conns: conns, Size: size, TCP: netip.AddrPortFrom(to, far.TCP()), UDP: netip.AddrPortFrom(to, far.UDP())}
	if err := near.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	const enough = 100 // of everything
	switch kind {
	case load.Out:
		await(t, "bytes at far", func() bool { return far.Counts().BytesIn > enough })
	case load.In:
		await(t, "bytes at near", func() bool { return near.Counts().BytesIn > enough })
	case load.RoundTrip, load.Connect:
		await(t, "exchanges", func() bool { return near.Counts().Done > enough })
		if n := len(near.Counts().Latency.Count); n == 0 {
			t.Error("no latencies")
		}
	case load.Idle:
		await(t, "idle connections", func() bool { return far.Counts().Idle == conns })
	case load.PacketsOut:
		await(t, "datagrams at far", func() bool { return far.Counts().PacketsIn > enough })
	case load.PacketsIn:
		await(t, "datagrams at near", func() bool { return near.Counts().PacketsIn > enough })
	}
	n := near.Counts()
	if n.Failed != 0 {
		t.Errorf("%d failures: %s", n.Failed, n.Error)
	}
	near.Close()
	check(t, kind, near, far, size)
}

// check holds what both ends counted against each other, when near has stopped.
func check(t *testing.T, kind load.Kind, near *load.Near, far *load.Far, size uint64) {
	f, n := far.Counts(), near.Counts()
	switch {
	case kind == load.Out && f.BytesIn > n.BytesOut, kind == load.In && n.BytesIn > far.Counts().BytesOut+uint64(1<<20),
		kind == load.PacketsOut && f.PacketsIn > n.PacketsOut:
		t.Errorf("more arrived than was sent: near %+v, far %+v", n, f)
	case kind == load.PacketsOut && f.BytesIn != f.PacketsIn*size, kind == load.PacketsIn && n.BytesIn != n.PacketsIn*size:
		t.Errorf("datagrams of another size: near %+v, far %+v", n, f)
	case kind == load.Connect:
		await(t, "the far end's count of connections", func() bool { return far.Counts().Done >= n.Done })
	}
}

// TestFailure: near counts what fails, and says why.
func TestFailure(t *testing.T) {
	t.Parallel()
	ends, closeEnds, err := stackBoth(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeEnds()
	near := load.NewNear(ends.Near)
	defer near.Close()
	nobody := netip.AddrPortFrom(FarAddr.Addr(), 9)
	for _, job := range []load.Job{{Kind: load.Out, TCP: nobody}, {Kind: "nosuch"}, {Kind: load.PacketsOut, Size: 2, UDP: nobody}, {Kind: load.PacketsIn, Size: 70000, UDP: nobody}} {
		if err := near.Start(t.Context(), job); err == nil {
			t.Errorf("%+v: no error", job)
		}
	}
	if err := near.Start(t.Context(), load.Job{Kind: load.Connect, TCP: nobody}); err != nil {
		t.Fatal(err)
	}
	await(t, "failures", func() bool { return near.Counts().Failed > 2 })
	if n := near.Counts(); n.Done != 0 || n.Error == "" {
		t.Errorf("%+v", n)
	}
}

// TestServe speaks to an agent in a process of its own: it says that it stands, does a job, samples, and ends with its
// standard input.
func TestServe(t *testing.T) {
	t.Parallel()
	cmd, err := Command(Config{Role: Memory}, func(name string, args ...string) *exec.Cmd { return exec.Command(name, args...) })
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	answers := json.NewDecoder(stdout)
	ask := func(a load.Ask) (r load.Reply) {
		t.Helper()
		if err := json.NewEncoder(stdin).Encode(a); err != nil {
			t.Fatal(err)
		}
		if err := answers.Decode(&r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	var first load.Reply
	if err := answers.Decode(&first); err != nil || first.TCP == 0 || first.UDP == 0 || first.PID != cmd.Process.Pid {
		t.Fatalf("%v, %+v", err, first)
	}
	job := load.Job{Kind: load.RoundTrip, TCP: netip.AddrPortFrom(FarAddr.Addr(), first.TCP)}
	if r := ask(load.Ask{Start: &job}); r.Error != "" {
		t.Fatal(r.Error)
	}
	await(t, "round trips", func() bool { return ask(load.Ask{}).Near.Done > 10 })
	if r := ask(load.Ask{Sweep: true}); r.Memory == 0 || r.At <= first.At || r.Connection.Sent == 0 {
		t.Errorf("%+v", r)
	}
	if r := ask(load.Ask{Start: &load.Job{Kind: "nosuch"}}); r.Error == "" {
		t.Error("no error for a load that there is not")
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestServeBadInput: what is not a request ends the agent with an error.
func TestServeBadInput(t *testing.T) {
	t.Parallel()
	ends, closeEnds, err := kernelNear(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeEnds()
	var out bytes.Buffer
	if err := load.Serve(bytes.NewBufferString("{}\nnonsense"), &out, ends); err == nil {
		t.Error("no error")
	}
	answers := json.NewDecoder(&out)
	for i := range 2 {
		if err := answers.Decode(new(load.Reply)); err != nil {
			t.Errorf("answer %d: %v", i, err)
		}
	}
	if err := answers.Decode(new(load.Reply)); err != io.EOF {
		t.Error("a third answer: ", err)
	}
	for _, cfg := range []string{`{`, `{"role": "nosuch"}`} {
		if code := agentMain(cfg); code == 0 {
			t.Errorf("%s: exit status 0", cfg)
		}
	}
}
