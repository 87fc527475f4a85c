package load

import (
	"encoding/binary"
	"sync/atomic"
)

// pour reads or writes until that fails, and counts the bytes.
func pour(move func([]byte) (int, error), buf []byte, n *atomic.Uint64) error {
	for {
		moved, err := move(buf)
		n.Add(uint64(moved))
		if err != nil {
			return err
		}
	}
}

// sendAll sends datagrams of a size until that fails. Each begins as a message to far does: with what far is to do.
func sendAll(to Packets, size int, kind byte, c *counter) error {
	packets := datagrams(size)
	for _, p := range packets {
		p[0] = kind
		binary.BigEndian.PutUint16(p[1:], uint16(size))
	}
	for {
		n, err := to.Send(packets)
		c.packetsOut.Add(uint64(n))
		c.bytesOut.Add(uint64(n * size))
		if err != nil {
			return err
		}
	}
}

// receiveAll receives datagrams until that fails.
func receiveAll(from Packets, c *counter) error {
	packets := datagrams(maxDatagram)
	for {
		n, err := from.Receive(packets)
		bytes := 0
		for _, p := range packets[:n] {
			bytes += len(p)
		}
		c.packetsIn.Add(uint64(n))
		c.bytesIn.Add(uint64(bytes))
		if err != nil {
			return err
		}
	}
}

// datagrams returns a batch of buffers.
func datagrams(size int) [][]byte {
	packets := make([][]byte, batch)
	for i := range packets {
		packets[i] = make([]byte, size)
	}
	return packets
}
