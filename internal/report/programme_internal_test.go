package report

import (
	"math"
	"testing"
)

// TestAtMost holds the bound against published values of the one-sided limit of
// Clopper and Pearson, and against 1 − 0.05^(1/n) for none of n.
func TestAtMost(t *testing.T) {
	for _, c := range []struct {
		bad, n int
		want   float64
	}{
		{0, 1, 0.95}, {0, 10, 0.2589}, {1, 10, 0.3942}, {2, 20, 0.2826}, {0, 59, 1 - math.Pow(0.05, 1.0/59)}, {0, 300, 1 - math.Pow(0.05, 1.0/300)}, {5, 5, 1},
	} {
		if got := atMost(c.bad, c.n); math.Abs(got-c.want) > 2e-4 {
			t.Errorf("%d of %d: %v, want %v", c.bad, c.n, got, c.want)
		}
	}
	if got := atMost(0, 300) * 300; got > 3 || got < 2.9 {
		t.Errorf("none of 300 comes to %v/300, and about 3/n is known", got)
	}
}
