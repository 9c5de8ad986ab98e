package placement

import "slices"

// Scorer says how well a cell that can take a guest suits it.
type Scorer interface {
	// Name of the score, as the API has it.
	Name() string
	// Score from 0 to 1000; more is better.
	Score(request *Request, cell *Cell, where Spot) int64
}

// Spot is where in a cell a guest would lie.
type Spot struct {
	spot

	// Cheapest is what the guest costs in the cheapest of the cells that can take it.
	Cheapest int64
}

// The names of the scores.
const (
	scoreDensity = "density"
	scoreFit     = "fit"
	scoreCost    = "cost"
	scoreSpread  = "spread"
	scoreNetwork = "network"
)

// defaultWeights are those that PlacementWeights documents.
var defaultWeights = map[string]int64{scoreDensity: 50, scoreFit: 20, scoreCost: 10, scoreSpread: 15, scoreNetwork: 5}

// scorers of the default profile.
var scorers = []Scorer{
	score{scoreDensity, density}, score{scoreFit, fit}, score{scoreCost, cheapness}, score{scoreSpread, spread}, score{scoreNetwork, nearness},
}

// score is a Scorer by a function.
type score struct {
	name string
	of   func(*Request, *Cell, Spot) int64
}

func (s score) Name() string                                { return s.name }
func (s score) Score(r *Request, c *Cell, where Spot) int64 { return s.of(r, c, where) }

// density is how full the cell is afterwards, by the scarcest thing of each zone: a fleet that fills cell by cell
// has room for large guests in the others.
func density(r *Request, c *Cell, where Spot) int64 {
	var sum int64
	for z := range c.Zones {
		used := c.Zones[z].Used
		for i := range where.count {
			if where.index(i) == z {
				used = used.Add(r.Demand[i].Vector)
			}
		}
		sum += c.Zones[z].fullness(used)
	}
	return sum / int64(len(c.Zones))
}

// fit is how evenly CPU and memory of the chosen zones are used afterwards: what is left of one without the
// other is no use to anybody.
func fit(r *Request, c *Cell, where Spot) int64 {
	var sum int64
	for i := range where.count {
		zone := &c.Zones[where.index(i)]
		used := zone.Used.Add(r.Demand[i].Vector)
		gap := perMille(used.MilliCPU, zone.before.MilliCPU) - perMille(used.Memory, zone.before.Memory)
		sum += whole - max(gap, -gap)
	}
	return sum / int64(where.count)
}

// cost of a guest in a cell per hour, in millionths of the fleet's currency.
func cost(r *Request, c *Cell) int64 {
	if c.CorePrice == 0 && c.GibibytePrice == 0 {
		return 0
	}
	var sum int64
	for i := range r.Demand {
		sum += r.Demand[i].MilliCPU*c.CorePrice + r.Demand[i].Memory>>20*c.GibibytePrice*whole>>10
	}
	return sum
}

// cheapness compares with the cheapest cell that can take the guest.
func cheapness(r *Request, c *Cell, where Spot) int64 {
	own := cost(r, c)
	if own <= where.Cheapest {
		return whole
	}
	return where.Cheapest * whole / own
}

// spread is the share of the tenant's guests in the region that lie elsewhere.
func spread(r *Request, c *Cell, _ Spot) int64 {
	all := int64(c.Region.Used[r.Tenant].Guests)
	if all <= 0 {
		return whole
	}
	return whole - whole*min(all, int64(c.Tenants[r.Tenant]))/all
}

// nearness is half how near the zones are to each other, and half whether the guest's VPC has interfaces there that
// it can share.
func nearness(r *Request, c *Cell, where Spot) int64 {
	var farthest int64
	shares := int64(whole)
	for i := range where.count {
		zone := &c.Zones[where.index(i)]
		for j := range i {
			farthest = max(farthest, zone.RoundTrip[where.index(j)])
		}
		if guests := zone.VPCs[r.VPC]; r.VPC != "" && c.interfacesFor(guests+1) > c.interfacesFor(guests) {
			shares = 0
		}
	}
	near := int64(whole)
	if limit := c.Region.MaxRoundTrip; limit > 0 {
		near -= min(whole, farthest*whole/limit)
	}
	return (near + shares) / 2
}

// Profile is the rules that guests are placed by.
type Profile struct {
	// Filters in the order in which they are asked: the first that rejects a cell is the one that is told.
	Filters []Filter
	// Scorers whose weighted mean chooses among the cells that are left, by the weights of the cell's region.
	Scorers []Scorer
}

// Default profile.
func Default() Profile { return Profile{Filters: slices.Clone(filters), Scorers: slices.Clone(scorers)} }
