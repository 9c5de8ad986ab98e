package placement

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

const version = "v1.36.3"

// cell is an empty, ready cell with zones a, b, c of 10 cores and 10 GiB each.
func cell(name string, change ...func(*Cell)) *Cell {
	c := &Cell{
		Name: name, Region: NewRegion(&v1alpha1.Region{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Spec: v1alpha1.RegionSpec{Area: "eu", Certifications: []string{"gdpr"}}}),
		Ready: true, Versions: []string{version}, ReservePercent: 40, Tenants: map[string]int{},
	}
	for _, zone := range []string{"a", "b", "c"} {
		c.Zones = append(c.Zones, Zone{
			Name: zone, Interfaces: Unlimited,
			Capacity: Vector{MilliCPU: 10_000, Memory: 10 << 30, Pods: Unlimited, Addresses: Unlimited, Volumes: Unlimited},
		})
	}
	c.limit()
	for _, apply := range change {
		apply(c)
	}
	c.limit()
	return c
}

// without a zone.
func without(zone string) func(*Cell) {
	return func(c *Cell) {
		c.Zones = slices.DeleteFunc(c.Zones, func(z Zone) bool { return z.Name == zone })
		for i := range c.Zones {
			c.Zones[i].Takeover, c.Zones[i].RoundTrip = nil, nil
		}
	}
}

// zone of a cell to change.
func (c *Cell) zone(name string) *Zone { return &c.Zones[c.index(name)] }

func request(change ...func(*Request)) Request {
	r := Request{
		Region: "r", Tenant: "team", Kind: "Standard", Version: version,
		Demand: []Demand{{Vector: Vector{MilliCPU: 1000, Memory: 1 << 30, Pods: 4, Addresses: 4, Volumes: 1}}},
	}
	for _, apply := range change {
		apply(&r)
	}
	return r
}

// zonal asks for three zones of 1 core each, half of which is the API server's.
func zonal(r *Request) {
	one := Demand{Vector: Vector{MilliCPU: 1000, Memory: 1 << 30, Pods: 4, Addresses: 4, Volumes: 1}, APIServerMilliCPU: 500}
	r.Demand = []Demand{one, one, one}
}

func use(zone string, milliCPU int64) func(*Cell) {
	return func(c *Cell) { c.zone(zone).Used.MilliCPU = milliCPU }
}

// holds so many guests of a tenant that take nothing.
func holds(tenant string, guests int) func(*Cell) {
	return func(c *Cell) {
		for range guests {
			c.Take(Guest{Tenant: tenant})
		}
	}
}

func costs(corePrice int64) func(*Cell) { return func(c *Cell) { c.CorePrice = corePrice } }

// apart sets the round trip between two zones, in microseconds.
func apart(a, b string, trip int64) func(*Cell) {
	return func(c *Cell) {
		c.zone(a).RoundTrip[c.index(b)], c.zone(b).RoundTrip[c.index(a)] = trip, trip
	}
}

// interfaces of each zone, with room for two guests each.
func interfaces(count int64) func(*Cell) {
	return func(c *Cell) {
		c.AddressesPerInterface = 2
		for i := range c.Zones {
			c.Zones[i].Interfaces = count
		}
	}
}

func inVPC(r *Request) { r.VPC = "prod" }

func quota(quota v1alpha1.TenantQuota) func(*Cell) {
	return func(c *Cell) { c.Region.Quotas[quota.Tenant] = quota }
}

// counts changes the capacity of every zone.
func counts(change func(*Vector)) func(*Cell) {
	return func(c *Cell) {
		for i := range c.Zones {
			change(&c.Zones[i].Capacity)
		}
	}
}

func TestPlaceChooses(t *testing.T) {
	cases := map[string]struct {
		reason  string
		request Request
		cells   []*Cell
		cell    string
		zones   []string
	}{
		"Tie":       {reason: "of equal cells the first by name wins", request: request(), cells: []*Cell{cell("y"), cell("x")}, cell: "x", zones: []string{"a"}},
		"LeastUsed": {reason: "a Single guest takes the zone with the most room", request: request(), cells: []*Cell{cell("x", use("a", 500), use("b", 200), use("c", 300))}, cell: "x", zones: []string{"b"}},
		"Densest": {
			reason: "the fuller cell wins: the other keeps room for large guests", request: request(zonal),
			cells: []*Cell{cell("x"), cell("y", use("b", 500))}, cell: "y", zones: []string{"a", "b", "c"},
		},
		"Spread": {
			reason: "a tenant's second guest goes to another cell of about the same density", request: request(),
			cells: []*Cell{cell("x", use("a", 600), holds("team", 1)), cell("y", use("a", 500))}, cell: "y", zones: []string{"b"},
		},
		"SpreadHasLimits": {
			reason: "an empty cell is not opened for the sake of spread", request: request(),
			cells: []*Cell{cell("x", use("a", 4500), use("b", 4500), use("c", 4500), holds("team", 1)), cell("y")}, cell: "x", zones: []string{"a"},
		},
		"Cheaper": {
			reason: "of cells that are alike the cheaper one wins", request: request(),
			cells: []*Cell{cell("x", costs(40)), cell("y", costs(20))}, cell: "y", zones: []string{"a"},
		},
		"Fit": {
			reason: "its memory goes where CPU is used up and memory is not", request: request(func(r *Request) { r.Demand[0].Memory = 3 << 30 }),
			cells: []*Cell{
				cell("x", func(c *Cell) {
					c.zone("a").Used.Memory = 2 << 30
					c.zone("b").Used.MilliCPU = 6000
					c.zone("c").Used.MilliCPU = 6000
				}),
				cell("y", func(c *Cell) {
					c.zone("a").Used.MilliCPU = 2000
					c.zone("b").Used.MilliCPU = 6000
					c.zone("c").Used.MilliCPU = 6000
				}),
			}, cell: "y", zones: []string{"a"},
		},
		"Near": {
			reason: "zones that are near each other, everything else alike", request: request(zonal),
			cells: []*Cell{cell("x", apart("a", "b", 2500)), cell("y", apart("a", "b", 500))}, cell: "y", zones: []string{"a", "b", "c"},
		},
		"SharesAnInterface": {
			reason: "an interface of its VPC that exists already", request: request(zonal, inVPC),
			cells: []*Cell{cell("x", interfaces(10)), cell("y", interfaces(10), func(c *Cell) {
				for i := range c.Zones {
					c.attach(&c.Zones[i], "prod", 1)
				}
			})}, cell: "y", zones: []string{"a", "b", "c"},
		},
		"NearEnough": {
			reason: "a pair that is too far apart is passed over for a third zone", request: request(func(r *Request) { zonal(r); r.Demand = r.Demand[:2] }),
			cells: []*Cell{cell("x", apart("a", "b", 4000))}, cell: "x", zones: []string{"a", "c"},
		},
		"Drill": {reason: "nothing starts in a zone that a drill holds", request: request(), cells: []*Cell{cell("x", func(c *Cell) { c.zone("a").Held = true })}, cell: "x", zones: []string{"b"}},
		"ToTheReserve": {
			reason: "the reserve is a limit that may be reached", request: request(),
			cells: []*Cell{cell("x", use("a", 6000), use("b", 6000), use("c", 5000))}, cell: "x", zones: []string{"c"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := Place(tc.request, tc.cells)
			if got.Cell != tc.cell {
				t.Errorf("%s: cell %q, want %q; rejected %v", tc.reason, got.Cell, tc.cell, got.Rejected)
			}
			if diff := cmp.Diff(tc.zones, got.Zones); diff != "" {
				t.Errorf("%s: zones (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestDemandOf(t *testing.T) {
	part := v1alpha1.ComponentSize{CPU: resource.MustParse("20m"), Memory: resource.MustParse("10Mi")}
	size := v1alpha1.ControlPlaneSize{Etcd: part, APIServer: part, ControllerManager: part, Scheduler: part}
	full := Vector{MilliCPU: 80, Memory: 40 << 20, Pods: 4, Addresses: 4, Volumes: 1}
	cases := map[string]struct {
		availability v1alpha1.Availability
		want         []Demand
	}{
		"Single": {availability: v1alpha1.Single, want: []Demand{{Vector: full}}},
		"Zonal": {availability: v1alpha1.Zonal, want: []Demand{
			{Vector: full, APIServerMilliCPU: 20},
			{Vector: full, APIServerMilliCPU: 20},
			{Vector: Vector{MilliCPU: 40, Memory: 20 << 20, Pods: 2, Addresses: 2, Volumes: 1}, APIServerMilliCPU: 20},
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, DemandOf(tc.availability, size)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestRuntimeProblem: what the agent says is what the reason for the rejection says.
func TestRuntimeProblem(t *testing.T) {
	says := func(status metav1.ConditionStatus) *v1alpha1.Cell {
		return &v1alpha1.Cell{Status: v1alpha1.CellStatus{Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionRuntimeReady, Status: status, Reason: v1alpha1.ReasonNoStorageClass, Message: "install one"},
		}}}
	}
	cases := map[string]struct {
		reason string
		cell   *v1alpha1.Cell
		want   string
	}{
		"Unsaid":  {reason: "the process runtime always can", cell: &v1alpha1.Cell{}},
		"Fit":     {reason: "the agent says that it can", cell: says(metav1.ConditionTrue)},
		"Unfit":   {reason: "the agent says why it cannot", cell: says(metav1.ConditionFalse), want: "NoStorageClass: install one"},
		"Unknown": {reason: "what is not known to work is not relied on", cell: says(metav1.ConditionUnknown), want: "NoStorageClass: install one"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := NewCell(tc.cell, &Region{}, true).RuntimeProblem; got != tc.want {
				t.Errorf("%s: %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

func TestNewCell(t *testing.T) {
	zone := func(name string) v1alpha1.ZoneCapacity {
		return v1alpha1.ZoneCapacity{Name: name, CPU: resource.MustParse("10"), Memory: resource.MustParse("10Gi"), Pods: new(int64(100)), Nodes: new(int64(3))}
	}
	region := NewRegion(&v1alpha1.Region{ObjectMeta: metav1.ObjectMeta{Name: "r"}})
	got := NewCell(&v1alpha1.Cell{
		ObjectMeta: metav1.ObjectMeta{Name: "x"},
		Spec: v1alpha1.CellSpec{
			Region: "r", Zones: []string{"a", "b", "c"}, ReservePercent: new(int32(25)), MaxGuests: 3, MaxGuestsPerTenant: 2,
			Drills:  []v1alpha1.Drill{{Zone: "b", Mode: v1alpha1.DrillKill}},
			Network: &v1alpha1.CellNetwork{InterfacesPerNode: new(int32(5)), AddressesPerInterface: new(int32(10))},
			Cost:    &v1alpha1.CellCost{CorePerHour: resource.MustParse("0.04"), GibibytePerHour: resource.MustParse("0.005")},
		},
		Status: v1alpha1.CellStatus{
			Zones: []v1alpha1.ZoneCapacity{zone("b"), zone("a"), zone("d")}, Versions: []string{version},
			RoundTrips: []v1alpha1.RoundTrip{{Between: "a-b", MedianMicroseconds: 800}, {Between: "b-d", MedianMicroseconds: 9000}},
		},
	}, region, true)
	capacity := Vector{MilliCPU: 10_000, Memory: 10 << 30, Pods: 100, Addresses: Unlimited, Volumes: Unlimited}
	want := &Cell{
		Name: "x", Region: region, Ready: true, Versions: []string{version}, MaxGuests: 3, MaxPerTenant: 2, ReservePercent: 25, Tenants: map[string]int{},
		CorePrice: 40, GibibytePrice: 5, AddressesPerInterface: 10,
		Zones: []Zone{
			{Name: "a", Capacity: capacity, Takeover: []int64{0, 0}, RoundTrip: []int64{0, 800}, Interfaces: 15, VPCs: map[string]int64{}},
			{Name: "b", Capacity: capacity, Takeover: []int64{0, 0}, RoundTrip: []int64{800, 0}, Interfaces: 15, VPCs: map[string]int64{}, Held: true},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Zone{})); diff != "" {
		t.Errorf("zones count only when both the operator names and the agent reports them (-want +got):\n%s", diff)
	}
}

func TestNewRegion(t *testing.T) {
	bare := NewRegion(&v1alpha1.Region{})
	if diff := cmp.Diff(defaultWeights, bare.Weights); diff != "" || bare.MaxRoundTrip != 3000 {
		t.Errorf("without a policy the defaults hold: %d us, weights (-want +got):\n%s", bare.MaxRoundTrip, diff)
	}
	set := NewRegion(&v1alpha1.Region{Spec: v1alpha1.RegionSpec{Placement: &v1alpha1.PlacementPolicy{
		MaxRoundTripMicroseconds: new(int64(1000)), Weights: &v1alpha1.PlacementWeights{Spread: new(int32(90)), Density: new(int32(0))},
	}}})
	want := maps.Clone(defaultWeights)
	want[scoreSpread], want[scoreDensity] = 90, 0
	if diff := cmp.Diff(want, set.Weights); diff != "" || set.MaxRoundTrip != 1000 || defaultWeights[scoreSpread] == 90 {
		t.Errorf("what is written holds, the rest has its default: %d us, weights (-want +got):\n%s", set.MaxRoundTrip, diff)
	}
}

// TestTakeAndRelease: a guest that is released leaves nothing behind.
func TestTakeAndRelease(t *testing.T) {
	c := cell("x", interfaces(10))
	before := Clone([]*Cell{c})[0]
	abc := []string{"a", "b", "c"}
	one, two := Guest{Tenant: "team", VPC: "prod", Zones: abc, Demand: request(zonal).Demand}, Guest{Tenant: "team", VPC: "prod", Zones: abc, Demand: request(zonal).Demand}
	other := Guest{Tenant: "other", Zones: []string{"a", "gone"}, Demand: request().Demand}
	for _, guest := range []Guest{one, two, other} {
		c.Take(guest)
	}
	a := c.zone("a")
	want := Vector{MilliCPU: 3000, Memory: 3 << 30, Pods: 12, Addresses: 12, Volumes: 3}
	if diff := cmp.Diff(want, a.Used); diff != "" {
		t.Errorf("zone a (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{0, 500, 500}, a.Takeover); diff != "" || a.interfaces != 1 || a.VPCs["prod"] != 2 {
		t.Errorf("each of two Zonal guests leaves half of a lost zone's API server to zone a, and they share an interface: %+v %s", a, diff)
	}
	if diff := cmp.Diff(map[string]int{"team": 2, "other": 1}, c.Tenants); diff != "" || c.Guests != 3 || c.Region.Used["team"].MilliCPU != 6000 {
		t.Errorf("%d guests, %+v; tenants (-want +got):\n%s", c.Guests, c.Region.Used, diff)
	}
	for _, guest := range []Guest{two, other, one} {
		c.Release(guest)
	}
	if diff := cmp.Diff(before, c, cmp.AllowUnexported(Zone{})); diff != "" {
		t.Errorf("after all were released (-before +after):\n%s", diff)
	}
}

// TestOnlyOneProfileIsDefault: a profile of one's own leaves the default one alone, and room is kept all the same.
func TestOwnProfile(t *testing.T) {
	own := Default()
	own.Filters, own.Scorers = own.Filters[:0], []Scorer{score{"name", func(_ *Request, c *Cell, _ Spot) int64 { return int64(c.Name[0]) }}}
	region := NewRegion(&v1alpha1.Region{ObjectMeta: metav1.ObjectMeta{Name: "r"}})
	region.Weights["name"] = 1
	into := func(c *Cell) { c.Region = region }
	cells := []*Cell{cell("x", into, func(c *Cell) { c.Cordoned = true }), cell("y", into), cell("z", into, use("a", 6000), use("b", 6000), use("c", 6000))}
	got := own.Place(request(), cells)
	if got.Cell != "y" || len(got.Others) != 1 || got.Others[0].Cell != "x" || len(got.Rejected) != 1 || got.Rejected[0].Reason != ReasonReserve {
		t.Errorf("got %+v: want y before x, which nobody asked about its cordon, and no room in z", got)
	}
	if got := Place(request(), cells); got.Cell != "y" || len(got.Rejected) != 2 {
		t.Errorf("by the default profile: %+v", got)
	}
}
