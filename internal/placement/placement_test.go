package placement

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

const version = "v1.36.3"

// cell is an empty, ready cell with zones a, b, c of 10 cores and 10 GiB each, that nothing else limits.
func cell(name string, change ...func(*Cell)) *Cell {
	return cellOf(name, []string{"a", "b", "c"}, change...)
}

func cellOf(name string, zones []string, change ...func(*Cell)) *Cell {
	c := &Cell{Name: name, Region: region("r"), Ready: true, Versions: []string{version}, ReservePercent: 40, Tenants: map[string]int{}}
	for _, zone := range zones {
		c.Zones = append(c.Zones, &Zone{
			Name:     zone,
			Capacity: Vector{MilliCPU: 10_000, Memory: 10 << 30, Pods: Unlimited, Addresses: Unlimited, Volumes: Unlimited}, Interfaces: Unlimited,
			takeover: make([]int64, len(zones)),
		})
	}
	for _, apply := range change {
		apply(c)
	}
	return c
}

func region(name string) *Region {
	return NewRegion(&v1alpha1.Region{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.RegionSpec{Area: "eu"}})
}

func request(change ...func(*Request)) Request {
	r := Request{
		Region: "r", Tenant: "team", Kind: "Standard", Version: version,
		Demand: []Demand{{Vector: Vector{MilliCPU: 1000, Memory: 1 << 30}}},
	}
	for _, apply := range change {
		apply(&r)
	}
	return r
}

// zonal asks for three zones of 1 core each, half of which is the API server's.
func zonal(r *Request) {
	one := Demand{Vector: Vector{MilliCPU: 1000, Memory: 1 << 30}, APIServerMilliCPU: 500}
	r.Demand = []Demand{one, one, one}
}

func use(zone string, milliCPU int64) func(*Cell) {
	return func(c *Cell) { c.Zone(zone).Used.MilliCPU = milliCPU }
}

func takes(zone, lost string, milliCPU int64) func(*Cell) {
	return func(c *Cell) { c.Zone(zone).takeover[c.index(lost)] = milliCPU }
}

func held(zone string) func(*Cell) { return func(c *Cell) { c.Zone(zone).Held = true } }

// apart sets the measured round trip between two zones.
func apart(between string, micros int64) func(*Cell) {
	return func(c *Cell) { c.measure([]v1alpha1.RoundTrip{{Between: between, MedianMicroseconds: micros}}) }
}

// inOne puts cells into one region.
func inOne(r *Region, cells ...*Cell) []*Cell {
	for _, c := range cells {
		c.Region = r
	}
	return cells
}

func TestPlaceChooses(t *testing.T) {
	nearABD := func(c *Cell) {
		c.measure([]v1alpha1.RoundTrip{{Between: "a-c", MedianMicroseconds: 3001}, {Between: "a-b", MedianMicroseconds: 3000}})
	}
	dear := func(c *Cell) { c.CorePerHour = 2 }
	cheap := func(c *Cell) { c.CorePerHour = 1 }
	shared := func(c *Cell) {
		c.AddressesPerInterface = 2
		for _, zone := range c.Zones {
			zone.Interfaces = 10
		}
		c.Take(Guest{Tenant: "other", VPC: "v", Zones: []string{"a"}, Demand: []Demand{{}}})
	}
	cases := map[string]struct {
		reason  string
		request Request
		cells   []*Cell
		cell    string
		zones   []string
	}{
		"Tie":       {reason: "of equal cells the first by name wins", request: request(), cells: []*Cell{cell("y"), cell("x")}, cell: "x", zones: []string{"a"}},
		"LeastUsed": {reason: "a Single guest takes the zone with the most room", request: request(), cells: []*Cell{cell("x", use("a", 500), use("b", 200), use("c", 300))}, cell: "x", zones: []string{"b"}},
		"Density":   {reason: "the fuller cell wins, so that the empty one stays whole", request: request(zonal), cells: []*Cell{cell("x"), cell("y", use("b", 5000))}, cell: "y", zones: []string{"a", "b", "c"}},
		"Spread": {
			reason: "a tenant's second guest goes to another cell of about the same room", request: request(),
			cells: []*Cell{cell("x", func(c *Cell) { c.Tenants["team"] = 1 }, use("a", 600), use("b", 600), use("c", 600)), cell("y", use("a", 500), use("b", 500), use("c", 500))}, cell: "y", zones: []string{"a"},
		},
		"SpreadHasLimits": {
			reason: "spread opens no empty cell while another is half full", request: request(),
			cells: []*Cell{cell("x", func(c *Cell) { c.Tenants["team"] = 1 }, use("a", 4000), use("b", 4000), use("c", 4000)), cell("y")}, cell: "x", zones: []string{"a"},
		},
		"Cost":      {reason: "of cells that are alike the cheaper one", request: request(), cells: []*Cell{cell("x", dear), cell("y", cheap)}, cell: "y", zones: []string{"a"}},
		"Interface": {reason: "of cells that are alike the one whose zone has an interface of the VPC", request: request(func(r *Request) { r.VPC = "v" }), cells: []*Cell{cell("x"), cell("y", shared)}, cell: "y", zones: []string{"a"}},
		"Fit": {
			reason: "of cells that are as full the one that has the memory which the guest needs", request: request(func(r *Request) { r.Demand[0].Memory = 3 << 30 }),
			cells: []*Cell{
				cell("x", func(c *Cell) {
					c.Zone("a").Used = Vector{MilliCPU: 1000, Memory: 3 << 30}
					c.Zone("b").Used = Vector{MilliCPU: 1000, Memory: 3 << 30}
					c.Zone("c").Used = Vector{MilliCPU: 1000, Memory: 3 << 30}
				}),
				cell("y", func(c *Cell) {
					c.Zone("a").Used = Vector{MilliCPU: 5000}
					c.Zone("b").Used = Vector{MilliCPU: 5000}
					c.Zone("c").Used = Vector{MilliCPU: 5000}
				}),
			}, cell: "y", zones: []string{"a"},
		},
		"Near":  {reason: "zones at 3001 µs are not in one guest, at 3000 µs they are", request: request(zonal), cells: []*Cell{cellOf("x", []string{"a", "b", "c", "d"}, nearABD)}, cell: "x", zones: []string{"a", "b", "d"}},
		"Drill": {reason: "nothing starts in a zone that a drill holds", request: request(), cells: []*Cell{cell("x", held("a"))}, cell: "x", zones: []string{"b"}},
		"ToTheReserve": {
			reason: "the reserve is a limit that may be reached", request: request(),
			cells: []*Cell{cell("x", use("a", 6000), use("b", 6000), use("c", 5000))}, cell: "x", zones: []string{"c"},
		},
		"EmptyZone": {reason: "a zone of no capacity takes nothing; the others do", request: request(), cells: []*Cell{cell("x", func(c *Cell) { c.Zone("a").Capacity = Vector{} })}, cell: "x", zones: []string{"b"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := Place(tc.request, inOne(region("r"), tc.cells...))
			if got.Cell != tc.cell {
				t.Errorf("%s: cell %q, want %q; rejected %v, scores %v", tc.reason, got.Cell, tc.cell, got.Rejected, got.Scores)
			}
			if diff := cmp.Diff(tc.zones, got.Zones); diff != "" {
				t.Errorf("%s: zones (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestDecisionIsExplained: the scores add up to the score by the region's weights, and the next best are named.
func TestDecisionIsExplained(t *testing.T) {
	r := region("r")
	r.Weights = map[string]int64{ScoreDensity: 3, ScoreFit: 0, ScoreCost: 1, ScoreSpread: 0, ScoreNetwork: 0}
	var cells []*Cell
	for _, name := range []string{"g", "f", "e", "d", "c", "b", "a"} {
		cells = append(cells, cell(name, func(c *Cell) { c.CorePerHour = 2 }))
	}
	cells[6].Zones[0].Used.MilliCPU = 5000
	cells[5].CorePerHour = 1
	got := Place(request(), inOne(r, cells...))
	want := Decision{
		Cell: "a", Zones: []string{"b"}, Score: (3*333 + 500) / 4,
		Scores: []v1alpha1.PlacementScore{
			{Name: ScoreDensity, Score: 333, Weight: 3},
			{Name: ScoreFit, Score: got.Scores[1].Score},
			{Name: ScoreCost, Score: 500, Weight: 1},
			{Name: ScoreSpread, Score: 1000},
			{Name: ScoreNetwork, Score: 1000},
		},
		Others: []v1alpha1.CandidateCell{{Cell: "b", Score: (3*55 + 1000) / 4}},
	}
	for _, name := range []string{"c", "d", "e", "f"} {
		want.Others = append(want.Others, v1alpha1.CandidateCell{Cell: name, Score: (3*55 + 500) / 4})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestInterfaces: guests of one VPC share interfaces, those of another never do.
func TestInterfaces(t *testing.T) {
	c := cell("x", func(c *Cell) {
		c.AddressesPerInterface = 2
		for _, zone := range c.Zones {
			zone.Interfaces = 5 // three may be attached
		}
	})
	small := []Demand{{Vector: Vector{MilliCPU: 1, Memory: 1}}}
	add := func(vpc string) { c.Take(Guest{Tenant: "team", VPC: vpc, Zones: []string{"a"}, Demand: small}) }
	steps := []struct {
		vpc      string
		attached int64
		more     bool // whether another VPC finds an interface afterwards
	}{{"v", 1, true}, {"v", 1, true}, {"v", 2, true}, {"w", 3, false}, {"w", 3, false}}
	for i, step := range steps {
		add(step.vpc)
		if zone := c.Zone("a"); zone.attached != step.attached || zone.offersInterface("new", c) != step.more {
			t.Errorf("step %d: %d interfaces attached, room %v; want %+v", i, zone.attached, zone.offersInterface("new", c), step)
		}
	}
	if zone := c.Zone("a"); !zone.offersInterface("v", c) || zone.offersInterface("w", c) {
		t.Error("v has an address left on its second interface, w has none")
	}
	c.Release(Guest{Tenant: "team", VPC: "w", Zones: []string{"a"}, Demand: small})
	c.Release(Guest{Tenant: "team", VPC: "w", Zones: []string{"a"}, Demand: small})
	if zone := c.Zone("a"); zone.attached != 2 || !zone.offersInterface("new", c) {
		t.Errorf("%d interfaces are attached after both guests of w went", zone.attached)
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
			if got := NewCell(tc.cell, region("r"), true).RuntimeProblem; got != tc.want {
				t.Errorf("%s: %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

func TestNewCell(t *testing.T) {
	ten := v1alpha1.ZoneCapacity{CPU: resource.MustParse("10"), Memory: resource.MustParse("10Gi")}
	a, b, d := ten, ten, ten
	a.Name, b.Name, d.Name = "a-1", "b", "d"
	a.Pods, a.Addresses, a.Volumes, a.Nodes = new(int64(110)), new(int64(-5)), new(int64(30)), new(int64(2))
	reserve := int32(25)
	r := region("r")
	got := NewCell(&v1alpha1.Cell{
		ObjectMeta: metav1.ObjectMeta{Name: "x"},
		Spec: v1alpha1.CellSpec{
			Region: "r", Zones: []string{"b", "a-1", "c"}, ReservePercent: &reserve, MaxGuests: 3, MaxGuestsPerTenant: 2,
			Drills:  []v1alpha1.Drill{{Zone: "b", Mode: v1alpha1.DrillKill}},
			Network: &v1alpha1.CellNetwork{InterfacesPerNode: new(int32(15)), AddressesPerInterface: new(int32(10))},
			Cost:    &v1alpha1.CellCost{CorePerHour: resource.MustParse("500m"), GibibytePerHour: resource.MustParse("250m")},
		},
		Status: v1alpha1.CellStatus{
			Zones: []v1alpha1.ZoneCapacity{b, a, d}, Versions: []string{version},
			RoundTrips: []v1alpha1.RoundTrip{{Between: "b-a-1", MedianMicroseconds: 800}, {Between: "b-d", MedianMicroseconds: 9000}},
		},
	}, r, true)
	want := &Cell{
		Name: "x", Region: r, Ready: true, Versions: []string{version}, MaxGuests: 3, MaxGuestsPerTenant: 2, ReservePercent: 25, Tenants: map[string]int{},
		AddressesPerInterface: 10, CorePerHour: .5, GibibytePerHour: .25, roundTrips: [][]int64{{0, 800}, {800, 0}}, longest: 800,
		Zones: []*Zone{
			{Name: "a-1", Capacity: Vector{MilliCPU: 10_000, Memory: 10 << 30, Pods: 110, Addresses: 0, Volumes: 30}, Interfaces: 30, takeover: []int64{0, 0}},
			{Name: "b", Capacity: Vector{MilliCPU: 10_000, Memory: 10 << 30, Pods: Unlimited, Addresses: Unlimited, Volumes: Unlimited}, Interfaces: Unlimited, takeover: []int64{0, 0}, Held: true},
		},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Cell{}, Zone{})); diff != "" {
		t.Errorf("zones count only when both the operator names and the agent reports them (-want +got):\n%s", diff)
	}
}

func TestNewRegion(t *testing.T) {
	got := NewRegion(&v1alpha1.Region{Spec: v1alpha1.RegionSpec{
		Placement: &v1alpha1.PlacementPolicy{Weights: &v1alpha1.PlacementWeights{Density: new(int32(0)), Cost: new(int32(90))}, MaxRoundTripMicroseconds: new(int64(1500))},
		Quotas:    []v1alpha1.TenantQuota{{Tenant: "*"}},
	}})
	want := map[string]int64{ScoreDensity: 0, ScoreFit: 20, ScoreCost: 90, ScoreSpread: 15, ScoreNetwork: 5}
	if diff := cmp.Diff(want, got.Weights); diff != "" || got.MaxRoundTrip != 1500 || len(got.Quotas) != 1 {
		t.Errorf("round trip %d, quotas %v, weights (-want +got):\n%s", got.MaxRoundTrip, got.Quotas, diff)
	}
}

func TestTake(t *testing.T) {
	c := cell("x")
	empty := c.Clone()
	guests := []Guest{
		{Tenant: "team", Zones: []string{"a", "b", "c"}, Demand: request(zonal).Demand},
		{Tenant: "team", Zones: []string{"a", "b", "c"}, Demand: request(zonal).Demand},
		{Tenant: "other", VPC: "v", Zones: []string{"a"}, Demand: request().Demand},
	}
	for _, guest := range guests {
		c.Take(guest)
	}
	want := &Zone{
		Name: "a", Capacity: c.Zone("a").Capacity, Interfaces: Unlimited, Used: Vector{MilliCPU: 3000, Memory: 3 << 30},
		takeover: []int64{0, 500, 500}, vpcs: map[string]int64{"v": 1}, attached: 1,
	}
	if diff := cmp.Diff(want, c.Zone("a"), cmp.AllowUnexported(Zone{})); diff != "" {
		t.Errorf("each of two Zonal guests leaves half of a lost zone's API server to zone a (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"team": 2, "other": 1}, c.Tenants); diff != "" || c.Guests != 3 {
		t.Errorf("%d guests; tenants (-want +got):\n%s", c.Guests, diff)
	}
	if use := c.Region.Used["team"]; use.Guests != 2 || use.MilliCPU != 6000 {
		t.Errorf("the tenant has %+v in the region, want 2 guests of 3 cores", use)
	}
	if empty.Guests != 0 || empty.Region.Used["team"].Guests != 0 || empty.Zone("a").takeover[1] != 0 {
		t.Error("a clone changed with what it was cloned from")
	}
	for _, guest := range guests {
		c.Release(guest)
	}
	if zone := c.Zone("a"); zone.Used != (Vector{}) || zone.attached != 0 || c.Takeover("a", "b") != 0 || c.Region.Used["team"] != (TenantUse{}) {
		t.Errorf("Release leaves %+v", zone)
	}
}

func TestClone(t *testing.T) {
	cells := inOne(region("r"), cell("x"), cell("y"))
	same := Clone(cells)
	if same[0].Region == cells[0].Region || same[0].Region != same[1].Region {
		t.Error("clones must share a region of their own")
	}
}
