package bench

import (
	"math"

	"github.com/userstack/userstack/internal/quartile"
)

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
	f := Figure{Median: quartile.Of(list, 2), Spread: quartile.Spread(list), Rounds: len(list)}
	if len(ratios) > 0 {
		f.Ratio = quartile.Of(ratios, 2)
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
		if s.Load != l.Name || s.Wire != wire || s.Skipped != "" {
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
