package recorded

import (
	"testing"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
)

// BenchmarkBacktest replays a day of ten generated guests; a fleet of a thousand takes a hundred times that.
func BenchmarkBacktest(b *testing.B) {
	samples := Generate(1, 10, Told())
	for b.Loop() {
		gear.Backtest(gear.Default(), v1alpha1.GearBounds{}, samples)
	}
}
