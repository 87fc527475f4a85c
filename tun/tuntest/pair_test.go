package tuntest_test

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/tuntest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPair(t *testing.T) {
	for name, features := range map[string]uint64{"Plain": 0, "Checksum": tun.FeatureCSUM | tun.FeatureGuestCSUM} {
		t.Run(name, func(t *testing.T) {
			tuntest.TestDevice(t, func(*testing.T) (tun.Device, tuntest.FarConn) {
				a, b := tuntest.NewPair(tuntest.Config{Features: features})
				return a, tuntest.NewFarConn(b)
			})
		})
	}
}

func ExampleNewPair() {
	a, b := tuntest.NewPair(tuntest.Config{})
	defer a.Close()
	defer b.Close()
	a.Write(0, [][][]byte{{tuntest.Datagram(tuntest.Near, tuntest.Far, []byte("hello"))}})

	header, packet, sizes := make([]byte, tun.HeaderSize), make([]byte, 1500), make([]int, 1)
	n, err := b.Read(0, [][][]byte{{header, packet}}, sizes)
	fmt.Println(n, err, sizes[0], string(packet[28:sizes[0]-tun.HeaderSize]))
	// Output: 1 <nil> 43 hello
}
