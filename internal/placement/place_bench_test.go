package placement_test

import (
	"testing"

	"github.com/myriad-fleet/myriad/internal/placement"
	"github.com/myriad-fleet/myriad/internal/placement/placementtest"
)

// BenchmarkPlace10000 places 10,000 guests over 40 cells of one region, one by one in random order: the
// budget is a second. 'go run ./test/bench -run placement' compares that, and what comes of it, with others.
func BenchmarkPlace10000(b *testing.B) {
	requests := placementtest.Requests(10_000, 1)
	b.ReportAllocs()
	for b.Loop() {
		refused := 0
		cells := placementtest.Cells(40, placementtest.Uniform())
		byName := map[string]*placement.Cell{}
		for _, cell := range cells {
			byName[cell.Name] = cell
		}
		for _, request := range requests {
			decision := placement.Place(request, cells)
			if decision.Cell == "" {
				refused++
				continue
			}
			byName[decision.Cell].Take(placementtest.GuestOf(request, decision))
		}
		b.ReportMetric(float64(refused), "refused")
	}
}
