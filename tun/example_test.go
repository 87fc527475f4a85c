package tun_test

import (
	"fmt"
	"log"
	"net/netip"
	"os"

	"github.com/userstack/userstack/tun"
	"github.com/userstack/userstack/tun/tuntest"
)

// Opening a device takes CAP_NET_ADMIN.
func ExampleOpen() {
	dev, err := tun.Open(tun.Config{
		Name:  "tun0",
		Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64")},
	})
	if err != nil {
		log.Fatal(err) // says what is missing and what to do
	}
	defer dev.Close()
	fmt.Println(dev.Name(), dev.Features()&tun.FeatureHostTSO4 != 0)
}

// Adopting a device that a parent process has opened, as descriptor 3.
func ExampleFromFD() {
	dev, err := tun.FromFD(3, tun.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer dev.Close()
	fmt.Println(dev.Name())
}

// A batch of two packets, each a header and a packet in buffers of their own.
func ExampleDevice() {
	var dev, far tun.Device = tuntest.NewPair(tuntest.Config{})
	defer dev.Close()
	defer far.Close()
	header := make([]byte, tun.HeaderSize) // nothing is left to the other side
	n, err := dev.Write(0, [][][]byte{
		{header, []byte("first")},
		{header, []byte("second")},
	})
	fmt.Println(n, err)

	packets, sizes := make([][][]byte, 8), make([]int, 8)
	for i := range packets {
		packets[i] = [][]byte{make([]byte, tun.HeaderSize), make([]byte, 1500)}
	}
	n, err = far.Read(0, packets, sizes)
	fmt.Println(n, err)
	for i := range n {
		os.Stdout.Write(packets[i][1][:sizes[i]-tun.HeaderSize])
		fmt.Println()
	}
	// Output:
	// 2 <nil>
	// 2 <nil>
	// first
	// second
}
