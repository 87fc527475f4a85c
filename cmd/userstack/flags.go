package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// seconds is a flag whose value is a number of seconds, such as 2 or 0.5, or a time with its unit, such as 500ms.
type seconds struct {
	to    *time.Duration
	least time.Duration
}

func (s *seconds) Type() string { return "SECONDS" }

func (s *seconds) String() string {
	if s.to == nil || *s.to == 0 {
		return ""
	}
	return strconv.FormatFloat(s.to.Seconds(), 'g', -1, 64)
}

// longestWait is the longest time that a flag takes: a year.
const longestWait = 365 * 24 * time.Hour

func (s *seconds) Set(text string) error {
	d, err := time.ParseDuration(text)
	if number, numberErr := strconv.ParseFloat(text, 64); numberErr == nil {
		d, err = time.Duration(number*float64(time.Second)), nil
	}
	if err != nil || d < s.least || d > longestWait {
		return fmt.Errorf("not a number of seconds from %s up, such as 2 or 0.5", s.least)
	}
	*s.to = d
	return nil
}

// ipVersion is "", "4" or "6".
type ipVersion string

// versionFlags adds -4 and -6, which exclude each other.
func versionFlags(cmd *cobra.Command, version *ipVersion) {
	f := cmd.Flags()
	for _, v := range []ipVersion{"4", "6"} {
		flag := f.VarPF(&versionValue{version, v}, "ipv"+string(v), string(v), "IPv"+string(v)+" only")
		flag.NoOptDefVal = "true"
	}
	cmd.MarkFlagsMutuallyExclusive("ipv4", "ipv6")
}

// versionValue is the switch -4 or -6.
type versionValue struct {
	to   *ipVersion
	mine ipVersion
}

func (v *versionValue) Type() string   { return "bool" }
func (v *versionValue) String() string { return "" }
func (v *versionValue) Set(text string) error {
	on, err := strconv.ParseBool(text)
	if on {
		*v.to = v.mine
	}
	return err
}

// countValue is a flag whose value is a whole number.
type countValue struct {
	to          *uint32
	least, most uint64
}

func (c *countValue) Type() string { return "N" }

func (c *countValue) String() string {
	if c.to == nil || *c.to == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(*c.to), 10)
}

func (c *countValue) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n < c.least || n > c.most {
		return fmt.Errorf("not a number from %d to %d", c.least, c.most)
	}
	*c.to = uint32(n)
	return nil
}
