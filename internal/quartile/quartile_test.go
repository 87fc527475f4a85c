package quartile

import (
	"math"
	"testing"
)

func TestQuartiles(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   [3]float64 // quartiles
		spread float64
	}{
		{[]float64{7}, [3]float64{7, 7, 7}, 0},
		{[]float64{3, 1, 2}, [3]float64{1.5, 2, 2.5}, 0.25},
		{[]float64{4, 1, 3, 2}, [3]float64{1.75, 2.5, 3.25}, 0.3},
		{[]float64{0, 0}, [3]float64{0, 0, 0}, 0},
	} {
		got := [3]float64{Of(c.values, 1), Of(c.values, 2), Of(c.values, 3)}
		if got != c.want || math.Abs(Spread(c.values)-c.spread) > 1e-9 {
			t.Errorf("%v: quartiles %v, spread %v; want %v, %v", c.values, got, Spread(c.values), c.want, c.spread)
		}
	}
	if !math.IsNaN(Of(nil, 2)) {
		t.Error("the median of nothing is a number")
	}
}
