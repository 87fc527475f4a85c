package testnet_test

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/pcapgo"
	gstack "gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/userstack/userstack/stack/link"
	"github.com/userstack/userstack/testnet"
)

// faultVariable names the fault that a child of TestFaultsAreSeen commits.
const faultVariable = "TESTNET_FAULT"

// kept is what the faults leave behind, out of the garbage collector's reach.
var kept []any

// faults is what a test can do wrong, and what must be said about it.
var faults = []struct {
	name   string
	commit func(t *testing.T)
	want   []string
	os     string // where it can be seen; empty is everywhere
}{
	{name: "none", commit: func(t *testing.T) { testnet.Pair(t) }, want: []string{"PASS"}},
	{
		name: "goroutine",
		commit: func(t *testing.T) {
			testnet.Pair(t)
			go stayBehind()
		},
		want: []string{"goroutines left behind", "stayBehind", "--- FAIL: TestFault"},
	},
	{
		name:   "goroutine beside the network",
		commit: func(*testing.T) { go stayBehind() },
		want:   []string{"left behind by the tests of this package", "stayBehind"},
	},
	{
		name:   "packet",
		commit: func(*testing.T) { kept = append(kept, gstack.NewPacketBuffer(gstack.PacketBufferOptions{})) },
		want:   []string{"left behind by the tests of this package", "stack.PacketBuffer"},
	},
	{
		name: "descriptor",
		commit: func(t *testing.T) {
			f, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, f)
		},
		want: []string{"left behind by the tests of this package", os.DevNull},
		os:   "linux",
	},
	{
		name: "failure with packets",
		commit: func(t *testing.T) {
			a, b := testnet.Pair(t)
			from, err := a.Host.ListenPacket("udp", ":0")
			if err != nil {
				t.Fatal(err)
			}
			to, err := b.Host.ListenPacket("udp", netip.AddrPortFrom(b.Addr4, 0).String())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := from.WriteTo([]byte(marker), to.LocalAddr()); err != nil {
				t.Fatal(err)
			}
			if _, _, err := to.ReadFrom(make([]byte, len(marker))); err != nil {
				t.Fatal(err)
			}
			t.Error("on purpose")
		},
		want: []string{"go test -run '^TestFault$' -artifacts"},
	},
	{
		name: "failure under impairment",
		commit: func(t *testing.T) {
			testnet.Pair(t, testnet.WithImpair(link.ImpairConfig{Seed: 42}))
			t.Error("on purpose")
		},
		want: []string{"USERSTACK_SEED=42 go test -run '^TestFault$' -artifacts github.com/userstack/userstack/testnet"},
	},
}

// marker is a payload that is easily found.
const marker = "the datagram of a test that fails"

func stayBehind() { select {} }

// TestFault commits a fault when it runs in a child of TestFaultsAreSeen.
func TestFault(t *testing.T) {
	for _, f := range faults {
		if f.name == os.Getenv(faultVariable) {
			f.commit(t)
		}
	}
}

// child runs TestFault with a fault in another process and returns what it said.
func child(t *testing.T, fault string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], append(args, "-test.run=^TestFault$", "-test.v")...)
	cmd.Env = append(os.Environ(), faultVariable+"="+fault)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestFaultsAreSeen(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		if f.os != "" && f.os != runtime.GOOS {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			out, err := child(t, f.name)
			if (err == nil) != (f.name == "none") {
				t.Errorf("the child ended with %v", err)
			}
			for _, want := range f.want {
				if !strings.Contains(out, want) {
					t.Errorf("the child did not say %q", want)
				}
			}
			if t.Failed() {
				t.Logf("%s", out)
			}
		})
	}
}

// TestFailureKeepsPackets has a child fail after one datagram, and finds the datagram in the file that the child names.
func TestFailureKeepsPackets(t *testing.T) {
	t.Parallel()
	out, err := child(t, "failure with packets", "-test.artifacts", "-test.outputdir="+t.TempDir())
	if err == nil {
		t.Fatal("the child did not fail")
	}
	_, name, found := strings.Cut(out, "the packets are in ")
	name, _, _ = strings.Cut(name, "\n")
	if !found {
		t.Fatalf("the child did not say where the packets are:\n%s", out)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{} // interface name to datagrams
	for {
		data, info, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		ifc, err := r.Interface(info.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), marker) {
			seen[ifc.Name]++
		}
	}
	if seen["a"] != 1 || seen["b"] != 1 {
		t.Errorf("the datagram was recorded %v times by interface, want once by a and once by b", seen)
	}
}
