package capacity

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/suggest"
)

// Target is a fleet that is to be built, as fleet.yaml describes it.
type Target struct {
	// Currency of prices, for people; empty: none is shown.
	Currency string `json:"currency,omitempty"`
	// Days to look ahead: the fleet is planned for today and for then. 0: today only.
	Days int `json:"days,omitempty"`
	// Growth of the number of guests over Days, such as 2x/year; regions may have their own.
	Growth string `json:"growth,omitempty"`
	// Mix of guests; regions may have their own.
	Mix []MixPart `json:"mix,omitempty"`
	// Addresses of each guest in its VPC.
	Addresses Addresses `json:"addresses"`
	// Node is what the cells' nodes are made of.
	Node NodeShape `json:"node"`
	// Cell is how large a cell may be.
	Cell CellShape `json:"cell"`
	// Regions of the fleet.
	Regions []TargetRegion `json:"regions"`
}

// MixPart is one kind of guest of a mix.
type MixPart struct {
	// Weight of the part among the others.
	Weight int `json:"weight"`
	// Gear of the ladder.
	Gear string `json:"gear"`
	// Availability: Single or Zonal; empty: Zonal.
	Availability v1alpha1.Availability `json:"availability,omitempty"`
	// Kind of the template; empty: none.
	Kind string `json:"kind,omitempty"`
	// VPC: the guest reaches into one of the region's VPCs.
	VPC bool `json:"vpc,omitempty"`
}

// Addresses that are planned for a guest; 0 is the API's default: 16 nodes, 110 pods per node, 4096 Services.
type Addresses struct {
	// Nodes, PodsPerNode and Services at most.
	Nodes       int32 `json:"nodes,omitempty"`
	PodsPerNode int32 `json:"podsPerNode,omitempty"`
	Services    int32 `json:"services,omitempty"`
}

// NodeShape is what one node of a cell has for guests, after what the system and agents take.
type NodeShape struct {
	// Cores and Memory for guests.
	Cores  resource.Quantity `json:"cores"`
	Memory resource.Quantity `json:"memory"`
	// Pods for guests; 0: nothing limits them.
	Pods int64 `json:"pods,omitempty"`
	// Interfaces that may be attached to VPCs, and guests that share one; 0: nothing limits them.
	Interfaces            int32 `json:"interfaces,omitempty"`
	AddressesPerInterface int32 `json:"addressesPerInterface,omitempty"`
	// PricePerMonth of a node.
	PricePerMonth float64 `json:"pricePerMonth,omitempty"`
}

// CellShape is how large a cell may be.
type CellShape struct {
	// Zones of a cell.
	Zones int `json:"zones"`
	// MaxNodesPerZone of a cell.
	MaxNodesPerZone int64 `json:"maxNodesPerZone"`
	// MaxGuests of a cell; 0: its nodes limit them.
	MaxGuests int32 `json:"maxGuests,omitempty"`
	// ReservePercent of every zone stays free; none: 40.
	ReservePercent *int32 `json:"reservePercent,omitempty"`
}

// TargetRegion is one region of a target.
type TargetRegion struct {
	// Name of the region.
	Name string `json:"name"`
	// Guests of today.
	Guests int `json:"guests"`
	// Tenants that they belong to, in equal parts; 0: each guest is a tenant of its own.
	Tenants int `json:"tenants,omitempty"`
	// VPCs that those with a VPC reach into, in equal parts; 0: 1.
	VPCs int `json:"vpcs,omitempty"`
	// Mix and Growth, where they are not those of the target.
	Mix    []MixPart `json:"mix,omitempty"`
	Growth string    `json:"growth,omitempty"`
}

// mostGuests of a region that are planned for: each is placed.
const mostGuests = 200_000

// problems collects what is wrong with a target, each with its path.
type problems struct {
	ladder []Rung
	found  []string
}

func (p *problems) addf(path, format string, arguments ...any) {
	p.found = append(p.found, path+": "+fmt.Sprintf(format, arguments...))
}

// notNegative refuses numbers below 0.
func (p *problems) notNegative(path string, value int64, instead string) {
	if value < 0 {
		p.addf(path, "it is %d: %s", value, instead)
	}
}

// Problems of a target, each with its path and what to write instead. Gears are those of the ladder.
func (t Target) Problems(ladder []Rung) []string {
	p := &problems{ladder: ladder}
	p.notNegative("days", int64(t.Days), fmt.Sprintf("write 0 for a plan of today, or up to %d", MostDays))
	if t.Days > MostDays {
		p.addf("days", "it is %d: write at most %d", t.Days, MostDays)
	}
	p.growth("growth", t.Growth, t.Days)
	if t.Mix != nil {
		p.mix("mix", t.Mix, t.Node)
	}
	p.node(t.Node)
	p.cell(t.Cell)
	p.addresses(t.Addresses)
	if len(t.Regions) == 0 {
		p.addf("regions", "there is none: write at least one, for example [{name: cn-hangzhou, guests: 1000}]")
	}
	var names []string
	for i, region := range t.Regions {
		path := fmt.Sprintf("regions[%d]", i)
		p.region(path, region, t)
		if slices.Contains(names, region.Name) {
			p.addf(path+".name", "%s is there already: write each region once", region.Name)
		}
		names = append(names, region.Name)
	}
	return p.found
}

func (p *problems) growth(path, text string, days int) {
	if text == "" {
		return
	}
	if _, err := ParseGrowth(text); err != nil {
		p.addf(path, "%v", err)
	} else if days == 0 {
		p.addf("days", "it is 0, and %s is given: write how many days to look ahead, for example days: 365, or leave %s out", path, path)
	}
}

func (p *problems) mix(path string, mix []MixPart, node NodeShape) {
	sum := 0
	for i, part := range mix {
		at := fmt.Sprintf("%s[%d]", path, i)
		p.notNegative(at+".weight", int64(part.Weight), "a weight is a share of all: write 0 or more")
		sum += max(part.Weight, 0)
		if part.Availability != "" && part.Availability != v1alpha1.Single && part.Availability != v1alpha1.Zonal {
			p.addf(at+".availability", "it is %q: write %s or %s", part.Availability, v1alpha1.Single, v1alpha1.Zonal)
		}
		p.gear(at+".gear", part.Gear, node)
	}
	switch {
	case len(mix) == 0:
		p.addf(path, "it is empty: write at least one part, for example [{weight: 1, gear: nano}]")
	case sum == 0:
		p.addf(path, "the weights sum to 0: give at least one part a weight of 1 or more")
	}
}

// gear must be on the ladder, and each of its processes must fit on one node.
func (p *problems) gear(path, name string, node NodeShape) {
	i := slices.IndexFunc(p.ladder, func(r Rung) bool { return r.Name == name })
	if i < 0 {
		var names []string
		for _, rung := range p.ladder {
			names = append(names, rung.Name)
		}
		p.addf(path, "%s", suggest.NotFound("gear", name, names))
		return
	}
	server := p.ladder[i].Size.APIServer
	if node.Cores.Sign() > 0 && server.CPU.Cmp(node.Cores) > 0 || node.Memory.Sign() > 0 && server.Memory.Cmp(node.Memory) > 0 {
		p.addf(path, "an API server of %s asks for %s cores and %s of memory, a node has %s and %s: write larger nodes or a smaller gear",
			name, server.CPU.String(), server.Memory.String(), node.Cores.String(), node.Memory.String())
	}
}

func (p *problems) node(node NodeShape) {
	if node.Cores.Sign() <= 0 {
		p.addf("node.cores", "it is %s: write the cores that a node has for guests, for example 30", node.Cores.String())
	}
	if node.Memory.Sign() <= 0 {
		p.addf("node.memory", "it is %s: write the memory that a node has for guests, for example 120Gi", node.Memory.String())
	}
	p.notNegative("node.pods", node.Pods, "write the pods that a node has for guests, for example 110, or 0 where nothing limits them")
	p.notNegative("node.interfaces", int64(node.Interfaces), "write how many interfaces a node may attach to VPCs, or 0 where nothing limits them")
	p.notNegative("node.addressesPerInterface", int64(node.AddressesPerInterface), "write how many guests share an interface, for example 10")
	if node.Interfaces > 0 && node.AddressesPerInterface == 0 {
		p.addf("node.addressesPerInterface", "it is missing, and node.interfaces is %d: write how many guests of one VPC share an interface, for example 10", node.Interfaces)
	}
	if node.PricePerMonth < 0 {
		p.addf("node.pricePerMonth", "it is %g: write what a node costs a month, or 0", node.PricePerMonth)
	}
}

func (p *problems) cell(cell CellShape) {
	if cell.Zones < 1 || cell.Zones > 10 {
		p.addf("cell.zones", "it is %d: write how many zones a cell spans, 1 to 10, as a rule 3", cell.Zones)
	}
	if cell.MaxNodesPerZone < 1 || cell.MaxNodesPerZone > 5000 {
		p.addf("cell.maxNodesPerZone", "it is %d: write how many nodes a zone of a cell may have, 1 to 5000, for example 20", cell.MaxNodesPerZone)
	}
	p.notNegative("cell.maxGuests", int64(cell.MaxGuests), "write how many guests a cell may hold, or 0 where its nodes limit them")
	if cell.ReservePercent != nil && (*cell.ReservePercent < 0 || *cell.ReservePercent > 99) {
		p.addf("cell.reservePercent", "it is %d: a reserve of 100 %% leaves nothing to guests; write 0 to 99, for example 40", *cell.ReservePercent)
	}
}

func (p *problems) addresses(a Addresses) {
	for _, one := range []struct {
		name        string
		value, most int32
	}{{"nodes", a.Nodes, 10_000}, {"podsPerNode", a.PodsPerNode, 1000}, {"services", a.Services, 1_000_000}} {
		if one.value < 0 || one.value > one.most {
			p.addf("addresses."+one.name, "it is %d: write 1 to %d, or 0 for the default", one.value, one.most)
		}
	}
}

func (p *problems) region(path string, region TargetRegion, t Target) {
	if strings.TrimSpace(region.Name) == "" {
		p.addf(path+".name", "it is empty: write the region's name, for example cn-hangzhou")
	}
	if region.Guests < 1 || region.Guests > mostGuests {
		p.addf(path+".guests", "it is %d: write how many guests the region has, 1 to %d", region.Guests, mostGuests)
	}
	p.notNegative(path+".tenants", int64(region.Tenants), "write how many tenants the guests belong to, or 0 for one each")
	p.notNegative(path+".vpcs", int64(region.VPCs), "write how many VPCs the guests reach into")
	p.growth(path+".growth", region.Growth, t.Days)
	if region.Mix != nil || t.Mix == nil {
		p.mix(path+".mix", region.Mix, t.Node)
	}
	for _, part := range t.mixOf(region) {
		if part.Weight > 0 && part.Availability != v1alpha1.Single && t.Cell.Zones > 0 && t.Cell.Zones < zonesOfZonal {
			p.addf("cell.zones", "it is %d, and %s has Zonal guests: write at least %d, or availability: %s", t.Cell.Zones, region.Name, zonesOfZonal, v1alpha1.Single)
			break
		}
	}
	if text := t.growthOf(region); text != "" && t.Days > 0 {
		if growth, err := ParseGrowth(text); err == nil && growth.Guests(float64(region.Guests), float64(t.Days)) > mostGuests {
			p.addf(path, "%d guests are more than %d after %d days of %s: write fewer guests, days or growth", region.Guests, mostGuests, t.Days, text)
		}
	}
}

// zonesOfZonal is how many zones a Zonal guest lies in.
const zonesOfZonal = 3

func (t Target) mixOf(region TargetRegion) []MixPart {
	if region.Mix != nil {
		return region.Mix
	}
	return t.Mix
}

func (t Target) growthOf(region TargetRegion) string {
	if region.Growth != "" {
		return region.Growth
	}
	return t.Growth
}
