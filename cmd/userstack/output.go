package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// ms prints a time in milliseconds, with as many digits as mean something.
func ms(d time.Duration) string {
	switch v := float64(d) / float64(time.Millisecond); {
	case v < 10:
		return fmt.Sprintf("%.2f ms", v)
	case v < 1000:
		return fmt.Sprintf("%.0f ms", v)
	default:
		return fmt.Sprintf("%.2f s", v/1000)
	}
}

// size prints a number of bytes.
func size(n uint64) string {
	const step = 1024
	units := []string{"KiB", "MiB", "GiB", "TiB"}
	if n < 10*step {
		return fmt.Sprintf("%d bytes", n)
	}
	v, unit := float64(n), ""
	for _, unit = range units {
		v /= step
		if v < step {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", v, unit)
}

// String says what went over the wire.
func (t traffic) String() string {
	return fmt.Sprintf("%d out %d in, %s", t.packets[sent], t.packets[received], size(t.bytes[sent]+t.bytes[received]))
}

func joined[T any](list []T) string { return strings.Trim(fmt.Sprint(list), "[]") }

// writeJSON prints a value for programs to read.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
