// Package quartile says where the middle of measurements is and how far they
// spread: medians and quartiles rather than means and deviations, because one
// disturbed round on a busy machine must not move the result.
package quartile

import (
	"math"
	"slices"
)

// Of returns the nth quartile, 0 to 4: 2 is the median. It interpolates between
// neighbours; of nothing it is NaN.
func Of(values []float64, n int) float64 {
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

// Spread is half the distance between the quartiles, as a share of the median; 0
// if that is 0.
func Spread(values []float64) float64 {
	middle := Of(values, 2)
	if middle == 0 {
		return 0
	}
	return (Of(values, 3) - Of(values, 1)) / 2 / middle
}
