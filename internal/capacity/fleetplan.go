package capacity

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/network"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// FleetPlan is what a target fleet takes.
type FleetPlan struct {
	// Seed of the order in which guests come.
	Seed uint64 `json:"seed"`
	// Currency of the costs.
	Currency string `json:"currency,omitempty"`
	// Regions, each today and, where the target grows, at its end.
	Regions []RegionPlan `json:"regions"`
	// Total of all regions, in the same order of days.
	Total []Amounts `json:"total"`
}

// RegionPlan is what a region takes.
type RegionPlan struct {
	// Region by name.
	Region string `json:"region"`
	// Growth that the region has; empty: none.
	Growth string `json:"growth,omitempty"`
	// Mix of its guests.
	Mix []MixShare `json:"mix"`
	// Stages: today and, where the region grows, at the end.
	Stages []Stage `json:"stages"`
}

// Amounts of what is needed on some day.
type Amounts struct {
	// Day from now.
	Day int `json:"day"`
	// Guests, Cells and Nodes in number.
	Guests int   `json:"guests"`
	Cells  int   `json:"cells"`
	Nodes  int64 `json:"nodes"`
	// CostPerMonth of the nodes.
	CostPerMonth float64 `json:"costPerMonth"`
	// Addresses of guests, over all VPCs.
	Addresses AddressPlan `json:"addresses"`
}

// AddressPlan is how many addresses are needed.
type AddressPlan struct {
	// Nodes, Pods and Services of guests that reach into a VPC, in the ranges that they are given.
	Nodes    int64 `json:"nodes"`
	Pods     int64 `json:"pods"`
	Services int64 `json:"services"`
	// CellNodes and CellPods are the cells' own.
	CellNodes int64 `json:"cellNodes"`
	CellPods  int64 `json:"cellPods"`
}

// Stage is what a region takes on some day.
type Stage struct {
	Amounts

	// Zones of each cell, and nodes of each of them.
	Zones        int   `json:"zones"`
	NodesPerZone int64 `json:"nodesPerZone"`
	// Range sizes that one guest with a VPC is given, for example /27; empty: no guest has a VPC.
	NodeRange    string `json:"nodeRange,omitempty"`
	PodRange     string `json:"podRange,omitempty"`
	ServiceRange string `json:"serviceRange,omitempty"`
	// VPCs that the guests reach into, and the smallest pool of pods that each must have, for example /12; empty: no
	// guest has a VPC.
	VPCs    int    `json:"vpcs,omitempty"`
	PodPool string `json:"podPool,omitempty"`
	// Fullest zone of the plan, in words.
	Fullest string `json:"fullest"`
	// OneFewer says how far as many cells less one come, for example "3 cells take 711 of 800 guests: …".
	OneFewer string `json:"oneFewer"`
}

// PlanFleet says what a target without Problems takes, by placing its guests one after the other into ever as many cells as
// hold them all. The error says which region cannot be planned, and what to change.
func PlanFleet(target Target, ladder []Rung, seed uint64) (FleetPlan, error) {
	plan := FleetPlan{Seed: seed, Currency: target.Currency}
	days := []int{0}
	if target.Days > 0 && (target.Growth != "" || slices.ContainsFunc(target.Regions, func(r TargetRegion) bool { return r.Growth != "" })) {
		days = append(days, target.Days)
	}
	plan.Total = make([]Amounts, len(days))
	for i, region := range target.Regions {
		planned := RegionPlan{Region: region.Name, Growth: target.growthOf(region)}
		for j, day := range days {
			work := newBuild(target, region, ladder, day, seed)
			stage, err := work.stage()
			if err != nil {
				return FleetPlan{}, fmt.Errorf("regions[%d] (%s): %w", i, region.Name, err)
			}
			planned.Stages = append(planned.Stages, stage)
			if j == 0 {
				planned.Mix = mixShares(work.guests)
			}
			plan.Total[j].Day = day
			plan.Total[j].add(stage.Amounts)
		}
		plan.Regions = append(plan.Regions, planned)
	}
	return plan, nil
}

func (a *Amounts) add(other Amounts) {
	a.Guests += other.Guests
	a.Cells += other.Cells
	a.Nodes += other.Nodes
	a.CostPerMonth += other.CostPerMonth
	a.Addresses.Nodes += other.Addresses.Nodes
	a.Addresses.Pods += other.Addresses.Pods
	a.Addresses.Services += other.Addresses.Services
	a.Addresses.CellNodes += other.Addresses.CellNodes
	a.Addresses.CellPods += other.Addresses.CellPods
}

// build plans one region for one day.
type build struct {
	target Target
	region TargetRegion
	day    int
	guests []Guest
}

// planVersion of Kubernetes: a plan is of none in particular.
const planVersion = "v0.0.0"

func newBuild(target Target, region TargetRegion, ladder []Rung, day int, seed uint64) *build {
	count := float64(region.Guests)
	if growth, err := ParseGrowth(target.growthOf(region)); err == nil {
		count = growth.Guests(count, float64(day))
	}
	b := &build{target: target, region: region, day: day}
	mix := target.mixOf(region)
	for i, share := range apportion(int(math.Ceil(count-1e-9)), mix) {
		rung := ladder[slices.IndexFunc(ladder, func(r Rung) bool { return r.Name == mix[i].Gear })]
		guest := Guest{Region: region.Name, Version: planVersion, Kind: mix[i].Kind, Availability: v1alpha1.Zonal}
		if mix[i].Availability != "" {
			guest.Availability = mix[i].Availability
		}
		if mix[i].VPC {
			guest.VPC = "vpc"
		}
		guest = guest.sized(rung.Size)
		for range share {
			b.guests = append(b.guests, guest)
		}
	}
	random := rand.New(rand.NewPCG(seed, uint64(day)))
	random.Shuffle(len(b.guests), func(i, j int) { b.guests[i], b.guests[j] = b.guests[j], b.guests[i] })
	for i := range b.guests {
		b.guests[i].ID = fmt.Sprintf("planned-%06d", i)
		b.guests[i].Tenant = b.guests[i].ID
		if region.Tenants > 0 {
			b.guests[i].Tenant = fmt.Sprintf("tenant-%d", i%region.Tenants)
		}
		if b.guests[i].VPC != "" {
			b.guests[i].VPC = fmt.Sprintf("vpc-%d", i%b.vpcs())
		}
	}
	return b
}

func (b *build) vpcs() int { return max(b.region.VPCs, 1) }

// apportion guests to the parts of a mix by weight; those that are left over go to the largest remainders.
func apportion(guests int, mix []MixPart) []int {
	sum := 0
	for _, part := range mix {
		sum += part.Weight
	}
	shares, order, left := make([]int, len(mix)), make([]int, len(mix)), guests
	for i, part := range mix {
		shares[i], order[i] = guests*part.Weight/sum, i
		left -= shares[i]
	}
	slices.SortStableFunc(order, func(a, b int) int { return guests*mix[b].Weight%sum - guests*mix[a].Weight%sum })
	for _, i := range order[:left] {
		shares[i]++
	}
	return shares
}

// stage finds the fewest cells of the largest size that hold the guests, and then the fewest nodes.
func (b *build) stage() (Stage, error) {
	most := b.target.Cell.MaxNodesPerZone
	for _, guest := range b.makings() {
		if _, decision := place(guest, b.cells(1, most)); decision.Cell == "" {
			return Stage{}, fmt.Errorf("a %s %s guest finds no place in an empty cell of %d zones with %d nodes: %s; write larger nodes, more of them, or a smaller gear",
				guest.Availability, guest.Gear, b.target.Cell.Zones, most, refusalOf(guest, decision).Message)
		}
	}
	cells := max(b.fewest(most), 1)
	filled, placed, _ := b.fill(cells, most)
	for placed < len(b.guests) { // the bound is one of fluids; guests have corners
		cells++
		filled, placed, _ = b.fill(cells, most)
	}
	oneFewer := "there must be one"
	for cells > 1 {
		_, less, refused := b.fill(cells-1, most)
		if less < len(b.guests) {
			oneFewer = fmt.Sprintf("%d of that size take %d of %d guests; then %s", cells-1, less, len(b.guests), refused)
			break
		}
		cells--
	}
	nodes := most
	for low := int64(1); low < nodes; {
		middle := (low + nodes) / 2
		if full, count, _ := b.fill(cells, middle); count == len(b.guests) {
			nodes, filled = middle, full
		} else {
			low = middle + 1
		}
	}
	return b.describe(cells, nodes, filled, oneFewer)
}

// makings are guests of each making once.
func (b *build) makings() []Guest {
	seen := map[string]bool{}
	var makings []Guest
	for _, guest := range b.guests {
		if key := guest.Gear + string(guest.Availability) + guest.Kind + strconv.FormatBool(guest.VPC != ""); !seen[key] {
			seen[key] = true
			makings = append(makings, guest)
		}
	}
	return makings
}

// fewest cells that hold the guests if guests were fluids: fewer certainly do not.
func (b *build) fewest(nodes int64) int {
	var all demand
	for _, guest := range b.guests {
		all.add(guest)
	}
	fill := fillOf(b.cells(1, nodes), all)
	cells := int(math.Ceil(fill/100 - 1e-9))
	if limit := int(b.target.Cell.MaxGuests); limit > 0 {
		cells = max(cells, (len(b.guests)+limit-1)/limit)
	}
	return cells
}

// fill so many cells with the guests until one finds no place, and says why.
func (b *build) fill(count int, nodes int64) (cells []*placement.Cell, placed int, refused string) {
	cells = b.cells(count, nodes)
	for i, guest := range b.guests {
		if _, decision := place(guest, cells); decision.Cell == "" {
			return cells, i, bindsIn(cells, refusalOf(guest, decision))
		}
	}
	return cells, len(b.guests), ""
}

// cells as an agent would report them, empty.
func (b *build) cells(count int, nodes int64) []*placement.Cell {
	shape, node := b.target.Cell, b.target.Node
	region := &v1alpha1.Region{ObjectMeta: metav1.ObjectMeta{Name: b.region.Name}}
	object := v1alpha1.Cell{
		Spec:   v1alpha1.CellSpec{Region: b.region.Name, MaxGuests: shape.MaxGuests, ReservePercent: shape.ReservePercent},
		Status: v1alpha1.CellStatus{Versions: []string{planVersion}},
	}
	if node.Interfaces > 0 {
		object.Spec.Network = &v1alpha1.CellNetwork{InterfacesPerNode: &node.Interfaces, AddressesPerInterface: &node.AddressesPerInterface}
	}
	for i := range shape.Zones {
		name := string(rune('a' + i))
		region.Spec.Zones = append(region.Spec.Zones, name)
		zone := v1alpha1.ZoneCapacity{
			Name: name, Nodes: &nodes,
			CPU:    *resource.NewMilliQuantity(node.Cores.MilliValue()*nodes, resource.DecimalSI),
			Memory: *resource.NewQuantity(node.Memory.Value()*nodes, resource.BinarySI),
		}
		if node.Pods > 0 {
			pods := node.Pods * nodes
			zone.Pods, zone.Addresses = &pods, &pods
		}
		object.Status.Zones = append(object.Status.Zones, zone)
	}
	object.Spec.Zones = region.Spec.Zones
	state := placement.NewRegion(region)
	cells := make([]*placement.Cell, 0, count)
	for i := range count {
		object.Name = fmt.Sprintf("%s-%d", b.region.Name, i+1)
		cells = append(cells, placement.NewCell(&object, state, true))
	}
	return cells
}

func (b *build) describe(cells int, nodes int64, filled []*placement.Cell, oneFewer string) (Stage, error) {
	zones := b.target.Cell.Zones
	stage := Stage{Zones: zones, NodesPerZone: nodes, OneFewer: oneFewer, Amounts: Amounts{
		Day: b.day, Guests: len(b.guests), Cells: cells, Nodes: int64(cells*zones) * nodes,
	}}
	stage.CostPerMonth = float64(stage.Nodes) * b.target.Node.PricePerMonth
	stage.Addresses.CellNodes, stage.Addresses.CellPods = stage.Nodes, stage.Nodes*b.target.Node.Pods
	var levels []Level
	for _, cell := range filled {
		levels = append(levels, levelsOf(cell)...)
	}
	if fullest, found := Fullest(levels); found {
		stage.Fullest = fullest.Text()
	}
	return stage, b.addresses(&stage)
}

// addresses of the guests that reach into a VPC, as the hub would give them out.
func (b *build) addresses(stage *Stage) error {
	var within int64
	for _, guest := range b.guests {
		if guest.VPC != "" {
			within++
		}
	}
	if within == 0 {
		return nil
	}
	needs, problem := network.Needs(v1alpha1.ClusterNetwork{
		Nodes: b.target.Addresses.Nodes, PodsPerNode: b.target.Addresses.PodsPerNode, Services: b.target.Addresses.Services,
	})
	if problem != nil {
		return fmt.Errorf("addresses of a guest: %s", problem.Message)
	}
	sizes := map[network.Kind]int{}
	for _, need := range needs {
		sizes[need.Kind] = need.Bits
	}
	of := func(kind network.Kind) int64 { return within << (32 - sizes[kind]) }
	stage.Addresses.Nodes, stage.Addresses.Pods, stage.Addresses.Services = of(network.Nodes), of(network.Pods), of(network.Services)
	text := func(bits int) string { return fmt.Sprintf("/%d", bits) }
	stage.NodeRange, stage.PodRange, stage.ServiceRange = text(sizes[network.Nodes]), text(sizes[network.Pods]), text(sizes[network.Services])
	stage.VPCs = min(b.vpcs(), int(within))
	perVPC := (within + int64(stage.VPCs) - 1) / int64(stage.VPCs)
	pool := sizes[network.Pods] - int(math.Ceil(math.Log2(float64(perVPC))))
	if pool < 8 {
		return fmt.Errorf("%d guests of one VPC need a pool of pods of /%d, and IPv4 has no private network of more than a /8: write more vpcs, or fewer addresses.nodes or podsPerNode", perVPC, pool)
	}
	stage.PodPool = text(pool)
	return nil
}
