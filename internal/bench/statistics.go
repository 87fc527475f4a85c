package bench

import (
	"math"
	"slices"
)

// quantile returns the nth quartile: 2 is the median. It interpolates between neighbours; of nothing it is NaN.
func quantile(values []float64, n int) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	at := float64(len(s)-1) * float64(n) / 4
	i := int(at)
	if i+1 == len(s) {
		return s[i]
	}
	return s[i] + (at-float64(i))*(s[i+1]-s[i])
}

// spread is half the distance between the quartiles, as a share of the median.
func spread(values []float64) float64 {
	middle := quantile(values, 2)
	if middle == 0 {
		return 0
	}
	return (quantile(values, 3) - quantile(values, 1)) / 2 / middle
}

// unsteady is a spread at which a median should not be trusted.
const unsteady = 0.10

// Figure is one cell of the table.
type Figure struct {
	Median float64 `json:"median"`
	Spread float64 `json:"spread"`          // half the distance between the quartiles, as a share of the median
	Ratio  float64 `json:"ratio,omitempty"` // to the reference: the median of the rounds' ratios; 0 is none
	Rounds int     `json:"rounds"`
}

// Unsteady reports whether the rounds differ so much that the median should not be trusted.
func (f Figure) Unsteady() bool { return f.Spread > unsteady }

// figure condenses the rounds of a load over a wire. There is none when no round had the metric.
func (r *Report) figure(loadName, wire, reference, metric string) (Figure, bool) {
	values := r.rounds(loadName, wire, metric)
	against := r.rounds(loadName, reference, metric)
	var list, ratios []float64
	for round, v := range values {
		list = append(list, v)
		if ref, ok := against[round]; ok && ref != 0 {
			ratios = append(ratios, v/ref)
		}
	}
	if len(list) == 0 {
		return Figure{}, false
	}
	f := Figure{Median: quantile(list, 2), Spread: spread(list), Rounds: len(list)}
	if len(ratios) > 0 {
		f.Ratio = quantile(ratios, 2)
	}
	return f, true
}

// rounds returns a metric by round.
func (r *Report) rounds(loadName, wire, metric string) map[int]float64 {
	values := map[int]float64{}
	for _, s := range r.Samples {
		if v, ok := s.Values[metric]; ok && s.Error == "" && s.Load == loadName && s.Wire == wire {
			values[s.Round] = v
		}
	}
	return values
}

// remark returns what limited a load over a wire in the round that is nearest to the median, or the error of the last
// round that failed.
func (r *Report) remark(l Load, wire string) (text string, failed bool) {
	f, ok := r.figure(l.Name, wire, "", l.Metrics[0].Name)
	nearest := math.Inf(1)
	for _, s := range r.Samples {
		if s.Load != l.Name || s.Wire != wire {
			continue
		}
		if s.Error != "" {
			failed = true
			if !ok {
				text = s.Error
			}
			continue
		}
		if d := math.Abs(s.Values[l.Metrics[0].Name] - f.Median); ok && d < nearest {
			nearest, text = d, s.Limit
		}
	}
	return text, failed
}
