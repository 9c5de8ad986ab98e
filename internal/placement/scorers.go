package placement

// Names of the scores of the default profile.
const (
	ScoreDensity = "density"
	ScoreFit     = "fit"
	ScoreCost    = "cost"
	ScoreSpread  = "spread"
	ScoreNetwork = "network"
)

// perfect is the highest score.
const perfect = 1000

// scorer is a Scorer made of a function.
type scorer struct {
	name  string
	score func(*Candidate) int64
}

// Name of the score.
func (s scorer) Name() string { return s.name }

// Score of the cell.
func (s scorer) Score(candidate *Candidate) int64 { return s.score(candidate) }

// density is how much of what the cell may give away is given away once the guest is placed, of the
// scarcer of CPU and memory: full cells are filled to the end, and empty ones stay whole for large guests.
func density(c *Candidate) int64 {
	capacity, used := c.Cell.sums()
	used = used.Add(total(c.Request.Demand))
	usable := float64(100-c.Cell.ReservePercent) / 100
	if usable <= 0 {
		return perfect
	}
	return points(max(part(used.MilliCPU, capacity.MilliCPU), part(used.Memory, capacity.Memory)) / usable)
}

// fit is how well the guest's CPU and memory stand to each other as the cell's free CPU and memory do: a guest
// of the free room's shape leaves nothing stranded.
func fit(c *Candidate) int64 {
	capacity, used := c.Cell.sums()
	need := total(c.Request.Demand)
	usable := float64(100-c.Cell.ReservePercent) / 100
	freeCPU, freeMemory := usable-part(used.MilliCPU, capacity.MilliCPU), usable-part(used.Memory, capacity.Memory)
	needCPU, needMemory := part(need.MilliCPU, capacity.MilliCPU), part(need.Memory, capacity.Memory)
	if freeCPU+freeMemory <= 0 || needCPU+needMemory <= 0 {
		return 0
	}
	apart := freeCPU/(freeCPU+freeMemory) - needCPU/(needCPU+needMemory)
	return points(1 - max(apart, -apart))
}

// cost is 1000 for the cheapest cell that can take the guest, and less in proportion for dearer ones.
func cost(c *Candidate) int64 {
	if c.Price <= c.Cheapest {
		return perfect
	}
	return points(c.Cheapest / c.Price)
}

// spread is the share of the tenant's guests that other cells hold.
func spread(c *Candidate) int64 {
	if c.TenantTotal <= 0 {
		return perfect
	}
	return points(1 - float64(c.TenantGuests)/float64(c.TenantTotal))
}

// network is the mean of how near the zones are to each other and of the share of zones that have an
// interface of the guest's VPC with a free address. What does not apply counts in full.
func network(c *Candidate) int64 {
	return (points(c.nearness()) + points(c.attachedShare())) / 2
}

// nearness of the chosen zones: 1 for no distance, 0 for the most that is allowed.
func (c *Candidate) nearness() float64 {
	if c.Cell.roundTrips == nil {
		return 1
	}
	longest := int64(0)
	for i, a := range c.Zones {
		for _, b := range c.Zones[:i] {
			longest = max(longest, c.Cell.roundTrips[a][b])
		}
	}
	return 1 - float64(longest)/float64(c.region.roundTrips)
}

func (c *Candidate) attachedShare() float64 {
	if c.Request.VPC == "" || len(c.Zones) == 0 {
		return 1
	}
	shared := 0
	for _, zone := range c.Zones {
		if c.Cell.Zones[zone].newInterface(c.Request.VPC, c.Cell.perInterface()) == 0 {
			shared++
		}
	}
	return float64(shared) / float64(len(c.Zones))
}

// sums of all zones.
func (c *Cell) sums() (capacity, used Vector) {
	for _, zone := range c.Zones {
		capacity.MilliCPU += zone.Capacity.MilliCPU
		capacity.Memory += zone.Capacity.Memory
		used.MilliCPU += zone.Used.MilliCPU
		used.Memory += zone.Used.Memory
	}
	return capacity, used
}

// part of a capacity that is used; of none all is.
func part(used, capacity int64) float64 {
	switch {
	case capacity > 0:
		return float64(used) / float64(capacity)
	case used > 0:
		return 1
	default:
		return 0
	}
}

// points of a share, 0 to 1000.
func points(share float64) int64 { return int64(min(max(share, 0), 1) * perfect) }
