package netns

import "testing"

func TestOnItsWay(t *testing.T) {
	for line, want := range map[string]string{
		"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode": "",
		"":         "",
		"   0: 01": "",
		"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 16384 1 0000000000000000 100 0 0 10 0":              "",
		"  12: 0F02000A:1F90 0202000A:0050 04 00001000:00000000 01:00000014 00000000     0        0 0 2 0000000000000000 20 4 30 10 -1":                 "0F02000A:1F90 0202000A:0050 04 00001000:00000000",
		"   1: 0000000000000000FFFF00000F02000A:1F90 0000000000000000FFFF00000202000A:0050 09 00000001:00000000 01:00000014 00000000 0 0 0 2 0 1 1 1 1": "0000000000000000FFFF00000F02000A:1F90 0000000000000000FFFF00000202000A:0050 09 00000001:00000000",
	} {
		if got := string(onItsWay([]byte(line))); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}
