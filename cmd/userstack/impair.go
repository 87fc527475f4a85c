package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/userstack/userstack/stack/link"
)

// impairKeys are the words of --impair. Each but seed applies to both directions, or to one after "in." or "out.".
var impairKeys = []struct {
	name, value string
	meaning     string
	set         func(i *link.Impairment, text string) error
}{
	{"loss", "5%", "packets lost, each by itself", probability(func(i *link.Impairment) *float64 { return &i.Loss })},
	{"corrupt", "1%", "packets with a flipped bit", probability(func(i *link.Impairment) *float64 { return &i.Corrupt })},
	{"duplicate", "1%", "packets sent twice", probability(func(i *link.Impairment) *float64 { return &i.Duplicate })},
	{"reorder", "2%", "packets that later ones overtake", probability(func(i *link.Impairment) *float64 { return &i.Reorder })},
	{"delay", "20ms", "added to every packet", duration(func(i *link.Impairment) *time.Duration { return &i.Delay })},
	{"jitter", "5ms", "at most this more, at random", duration(func(i *link.Impairment) *time.Duration { return &i.Jitter })},
	{"rate", "10M", "bits per second, with k, M or G", func(i *link.Impairment, text string) (err error) {
		i.Rate, err = parseRate(text)
		return err
	}},
}

// impairHelp is the table of keys for people.
func impairHelp() string {
	var b strings.Builder
	for _, k := range impairKeys {
		fmt.Fprintf(&b, "    %-16s %s\n", k.name+"="+k.value, k.meaning)
	}
	fmt.Fprintf(&b, "    %-16s %s\n", "seed=1", "where chance starts: the same seed, the same fate")
	return b.String()
}

func probability(field func(*link.Impairment) *float64) func(*link.Impairment, string) error {
	return func(i *link.Impairment, text string) error {
		number, percent := strings.CutSuffix(text, "%")
		p, err := strconv.ParseFloat(number, 64)
		if percent {
			p /= 100
		}
		if err != nil || !(p >= 0 && p <= 1) {
			return fmt.Errorf("%q is not a share such as 5%% or 0.05", text)
		}
		*field(i) = p
		return nil
	}
}

func duration(field func(*link.Impairment) *time.Duration) func(*link.Impairment, string) error {
	return func(i *link.Impairment, text string) error {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return fmt.Errorf("%q is not a time such as 20ms", text)
		}
		*field(i) = d
		return nil
	}
}

func parseRate(text string) (uint64, error) {
	factors := map[string]float64{"": 1, "k": 1e3, "M": 1e6, "G": 1e9}
	number := strings.TrimRight(text, "kMG")
	r, err := strconv.ParseFloat(number, 64)
	factor, ok := factors[text[len(number):]]
	if err != nil || !ok || !(r > 0) || r*factor > 1e15 {
		return 0, fmt.Errorf("%q is not a rate such as 10M", text)
	}
	return uint64(r * factor), nil
}

// impairValue is the flag --impair.
type impairValue struct{ to **link.ImpairConfig }

func (v *impairValue) Type() string   { return "SPEC" }
func (v *impairValue) String() string { return "" }
func (v *impairValue) Set(text string) error {
	cfg, err := parseImpair(text)
	if err != nil {
		return err
	}
	*v.to = &cfg
	return nil
}

func parseImpair(text string) (cfg link.ImpairConfig, err error) {
	for word := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(word, "=")
		if key == "seed" {
			cfg.Seed, err = strconv.ParseUint(value, 10, 64)
		} else {
			err = setImpairment(&cfg, key, value)
		}
		if err != nil {
			return cfg, err
		}
	}
	return cfg, nil
}

func setImpairment(cfg *link.ImpairConfig, key, value string) error {
	ways := []*link.Impairment{&cfg.In, &cfg.Out}
	name := key
	if rest, ok := strings.CutPrefix(key, "in."); ok {
		ways, name = ways[:1], rest
	} else if rest, ok := strings.CutPrefix(key, "out."); ok {
		ways, name = ways[1:], rest
	}
	for _, k := range impairKeys {
		if k.name != name {
			continue
		}
		for _, way := range ways {
			if err := k.set(way, value); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
		return nil
	}
	return fmt.Errorf("%q is not a thing that can be done to packets; there are loss, corrupt, duplicate, reorder, delay, "+
		"jitter, rate and seed", key)
}
