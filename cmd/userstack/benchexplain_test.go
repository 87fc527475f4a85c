package main

import "testing"

// TestBenchExplain has --explain say what a slow path does, which every machine can have, and that there has to be a
// server.
func TestBenchExplain(t *testing.T) {
	t.Parallel()
	try(t, "bench", "--explain", "--time", "1500ms", "--impair", "delay=10ms,rate=5M,seed=1").expect(t, exitOK,
		`(?s)sending, 10\.78\.0\.2:\d+ to 10\.78\.0\.1:\d+:\nsending: .*held back by: congestion window: .*`+
			`receiving, 10\.78\.0\.2:\d+ to .*\nreceiving: .*held back by: .*time: .*path: round trip .*MTU 1500, MSS \d+, offload none\nprocessors: `, "")
	try(t, "bench", "--explain", "--time", "100ms", "--to", "www.demo.test:7").expect(t, exitOK,
		`sending and receiving, .*\nsending: .*\n +held back by: (?s:.*)\nreceiving: `, "")
	try(t, "bench", "--explain", "--to", "www.demo.test:9").expect(t, exitFailure, "", "nothing listens there")
	try(t, "bench", "--explain", "--link", "host").expect(t, exitUsage, "", "name one with --to HOST:PORT")
}
