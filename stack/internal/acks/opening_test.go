package acks

import (
	"bytes"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"
)

func TestBare(t *testing.T) {
	const ack = header.TCPFlagAck
	for name, c := range map[string]struct {
		offered string // in our answer to the SYN
		spoken  bool   // we have sent something since
		fields  header.TCPFields
		payload string
		flip    byte
		want    bool
	}{
		"first data":              {fields: header.TCPFields{SeqNum: 100, AckNum: 1000, Flags: ack}, payload: "data", want: true},
		"pushed, and the end":     {fields: header.TCPFields{SeqNum: 100, AckNum: 1000, Flags: ack | header.TCPFlagPsh | header.TCPFlagFin}, payload: "data", want: true},
		"later data":              {fields: header.TCPFields{SeqNum: 150, AckNum: 1000, Flags: ack}, payload: "data", want: true},
		"the end alone":           {fields: header.TCPFields{SeqNum: 150, AckNum: 1000, Flags: ack | header.TCPFlagFin}, want: true},
		"no data":                 {fields: header.TCPFields{SeqNum: 100, AckNum: 1000, Flags: ack}},
		"damaged":                 {fields: header.TCPFields{SeqNum: 100, AckNum: 1000, Flags: ack}, payload: "data", flip: 1},
		"an earlier connection's": {fields: header.TCPFields{SeqNum: 50, AckNum: 1000, Flags: ack}, payload: "data"},
		"another answer":          {fields: header.TCPFields{SeqNum: 100, AckNum: 1001, Flags: ack}, payload: "data"},
		"with SACK":               {offered: offer, fields: header.TCPFields{SeqNum: 100, AckNum: 1000, Flags: ack}, payload: "data"},
		"we have spoken":          {spoken: true, fields: header.TCPFields{SeqNum: 100, AckNum: 1000, Flags: ack}, payload: "data"},
	} {
		t.Run(name, func(t *testing.T) {
			everyVersion(t, func(t *testing.T, b *bench) {
				if c.offered == "" {
					c.offered = timestamp
				}
				b.sendFields(header.TCPFields{SeqNum: 999, AckNum: 100, Flags: synACK}, c.offered, nil)
				if c.spoken {
					b.sendFields(header.TCPFields{SeqNum: 1000, AckNum: 100, Flags: ack}, timestamp, nil)
				}
				fields := c.fields
				fields.WindowSize = 77
				packet := b.packetOf(fields, timestamp, []byte(c.payload))
				packet[len(packet)-1] ^= c.flip
				up := b.listen()
				b.receiveBytes(bytes.Clone(packet))
				if last := len(up.packets) - 1; !bytes.Equal(up.packets[last], packet) || last > 1 || (last == 1) != c.want {
					t.Fatalf("handed up %x, want another packet before it: %v", up.packets, c.want)
				}
				if !c.want {
					return
				}
				fields.SeqNum, fields.Flags = 100, ack
				if want := b.packetOf(fields, timestamp, nil); !bytes.Equal(up.packets[0], want) {
					t.Errorf("handed up %x first, want %x", up.packets[0], want)
				}
			})
		})
	}
}
