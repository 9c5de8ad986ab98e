package placing

import (
	"slices"

	"github.com/myriad-fleet/myriad/internal/placement"
)

// Policy chooses a cell.
type Policy struct {
	Name   string
	Choose func(placement.Request, []*placement.Cell) (*placement.Cell, []string)
	// weights of scores that it needs beside the default ones.
	weights map[string]int64
}

// prepare a region for it.
func (p Policy) prepare(region *placement.Region) {
	for name, weight := range p.weights {
		region.Weights[name] = weight
	}
}

// Choose without reasons, as simulations do.
func Choose() Policy { return Policy{Name: "placement", Choose: placement.Choose} }

// Place with all reasons, as the hub does.
func Place() Policy { return Policy{Name: "placement with reasons", Choose: byProfile(placement.Default())} }

// Baselines are what others do. They ask the same filters and choose zones as placement does.
func Baselines() []Policy {
	return []Policy{
		baseline("first fit", func(*placement.Cell) int64 { return 0 }), // of equal cells the first by name
		baseline("best fit", fullness),
		baseline("fewest guests", func(c *placement.Cell) int64 { return -int64(c.Guests) }),
	}
}

// fullness of a cell in millionths: the mean over its zones of CPU or memory, whichever is fuller.
func fullness(c *placement.Cell) int64 {
	var sum int64
	for i := range c.Zones {
		z := &c.Zones[i]
		sum += max(z.Used.MilliCPU*1e6/z.Capacity.MilliCPU, z.Used.Memory>>20*1e6/(z.Capacity.Memory>>20))
	}
	return sum / int64(len(c.Zones))
}

func baseline(name string, of func(*placement.Cell) int64) Policy {
	profile := placement.Profile{Filters: placement.Default().Filters, Scorers: []placement.Scorer{score{of}}}
	return Policy{Name: name, Choose: byProfile(profile), weights: map[string]int64{scoreName: 1}}
}

const scoreName = "baseline"

// score is a Scorer that looks at the cell alone.
type score struct {
	of func(*placement.Cell) int64
}

func (score) Name() string { return scoreName }
func (s score) Score(_ *placement.Request, c *placement.Cell, _ placement.Spot) int64 {
	return s.of(c)
}

func byProfile(profile placement.Profile) func(placement.Request, []*placement.Cell) (*placement.Cell, []string) {
	return func(request placement.Request, cells []*placement.Cell) (*placement.Cell, []string) {
		decision := profile.Place(request, cells)
		if decision.Cell == "" {
			return nil, nil
		}
		return cells[slices.IndexFunc(cells, func(c *placement.Cell) bool { return c.Name == decision.Cell })], decision.Zones
	}
}
