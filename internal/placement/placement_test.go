package placement

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

const version = "v1.36.3"

// cell is an empty, ready cell with zones a, b, c of 10 cores and 10 GiB each.
func cell(name string, change ...func(*Cell)) *Cell {
	c := &Cell{Name: name, Region: "r", Ready: true, Versions: []string{version}, ReservePercent: 40, Zones: map[string]*Zone{}, Tenants: map[string]int{}}
	for _, zone := range []string{"a", "b", "c"} {
		c.Zones[zone] = &Zone{Capacity: Vector{MilliCPU: 10_000, Memory: 10 << 30}, Takeover: map[string]int64{}}
	}
	for _, apply := range change {
		apply(c)
	}
	return c
}

func request(change ...func(*Request)) Request {
	r := Request{
		Region: "r", Tenant: "team", Kind: "Standard", Version: version, PlainPortFree: true,
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
	return func(c *Cell) { c.Zones[zone].Used.MilliCPU = milliCPU }
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
		"MostFree": {
			reason: "the cell with the most room left wins", request: request(zonal),
			cells: []*Cell{cell("x", use("b", 500)), cell("y")}, cell: "y", zones: []string{"a", "b", "c"},
		},
		"Spread": {
			reason: "a tenant's second guest goes to another cell of about the same room", request: request(),
			cells: []*Cell{cell("x", func(c *Cell) { c.Tenants["team"] = 1 }), cell("y", use("a", 500), use("b", 500), use("c", 500))}, cell: "y", zones: []string{"a"},
		},
		"SpreadHasLimits": {
			reason: "spread does not fill a cell that is far fuller", request: request(),
			cells: []*Cell{cell("x", func(c *Cell) { c.Tenants["team"] = 1 }), cell("y", use("a", 4000), use("b", 4000), use("c", 4000))}, cell: "x", zones: []string{"a"},
		},
		"Drill": {reason: "nothing starts in a zone that a drill holds", request: request(), cells: []*Cell{cell("x", func(c *Cell) { c.Zones["a"].Held = true })}, cell: "x", zones: []string{"b"}},
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

func TestPlaceRejects(t *testing.T) {
	cases := map[string]struct {
		reason  string
		request Request
		cell    *Cell
		want    string
	}{
		"Region":      {reason: "a guest stays in its region", request: request(func(r *Request) { r.Region = "s" }), cell: cell("x"), want: ReasonOtherRegion},
		"Kind":        {reason: "a cell may take some kinds only", request: request(), cell: cell("x", func(c *Cell) { c.Kinds = []string{"AI"} }), want: ReasonKindNotAccepted},
		"NotReady":    {reason: "nobody would carry the order out", request: request(), cell: cell("x", func(c *Cell) { c.Ready = false }), want: ReasonNotReady},
		"Runtime":     {reason: "nothing could be run there", request: request(), cell: cell("x", func(c *Cell) { c.RuntimeProblem = "NoStorageClass: there is none" }), want: ReasonRuntimeNotReady},
		"Cordoned":    {reason: "an operator says so", request: request(), cell: cell("x", func(c *Cell) { c.Cordoned = true }), want: ReasonCordoned},
		"Version":     {reason: "the cell lacks the binaries", request: request(func(r *Request) { r.Version = "v1.35.4" }), cell: cell("x"), want: ReasonVersionUnavailable},
		"Unknown":     {reason: "versions that were not reported cannot be relied on", request: request(), cell: cell("x", func(c *Cell) { c.Versions = nil }), want: ReasonVersionUnavailable},
		"Zones":       {reason: "two zones hold no quorum of three", request: request(zonal), cell: cell("x", func(c *Cell) { delete(c.Zones, "c") }), want: ReasonTooFewZones},
		"Drill":       {reason: "a zone held by a drill cannot start anything", request: request(zonal), cell: cell("x", func(c *Cell) { c.Zones["c"].Held = true }), want: ReasonTooFewZones},
		"Full":        {reason: "the operator's number is reached", request: request(), cell: cell("x", func(c *Cell) { c.MaxGuests, c.Guests = 2, 2 }), want: ReasonFull},
		"Ports":       {reason: "nodes and pods could not reach it", request: request(func(r *Request) { r.PlainPortFree = false }), cell: cell("x"), want: ReasonNoPlainPort},
		"CPU":         {reason: "60 % are in use in every zone", request: request(), cell: cell("x", use("a", 5001), use("b", 6000), use("c", 6000)), want: ReasonReserve},
		"Memory":      {reason: "memory counts as CPU does", request: request(func(r *Request) { r.Demand[0].Memory = 7 << 30 }), cell: cell("x"), want: ReasonReserve},
		"OneZoneFull": {reason: "a Zonal guest needs room in all three", request: request(zonal), cell: cell("x", use("b", 5001)), want: ReasonReserve},
		"AfterLoss": {
			reason: "7 cores and 2.1 taken over are more than 9 of 10", request: request(zonal),
			cell: cell("x", func(c *Cell) {
				c.ReservePercent = 10
				c.Zones["a"].Used.MilliCPU = 6000
				c.Zones["a"].Takeover["b"] = 1800
			}), want: ReasonReserve,
		},
		"HeldZoneCanBeLostAgain": {
			reason:  "the one zone that is not held would be full, with nothing left for a loss of the held one; found by TestPlaceInvariants",
			request: request(func(r *Request) { r.Demand[0].Vector = Vector{MilliCPU: 1, Memory: 1} }),
			cell: cell("x", func(c *Cell) {
				c.ReservePercent = 0
				c.Zones = map[string]*Zone{"a": {Capacity: Vector{MilliCPU: 1, Memory: 1}}, "b": {Held: true}}
			}), want: ReasonReserve,
		},
		"HeldZoneHasBeenTakenOver": {
			reason: "a drill holds b: 7 cores and the 2.1 of b that run in a now are more than 9 of 10", request: request(),
			cell: cell("x", func(c *Cell) {
				c.ReservePercent = 10
				delete(c.Zones, "c")
				c.Zones["b"].Held = true
				c.Zones["a"].Used.MilliCPU = 6000
				c.Zones["a"].Takeover["b"] = 2100
			}), want: ReasonReserve,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := Place(tc.request, []*Cell{tc.cell})
			if got.Cell != "" || len(got.Rejected) != 1 || got.Rejected[0].Reason != tc.want || got.Rejected[0].Message == "" {
				t.Errorf("%s: got %+v, want reason %s", tc.reason, got, tc.want)
			}
		})
	}
}

// TestReserveMessage: whoever reads it must see which limit leaves no room, also where much is free.
func TestReserveMessage(t *testing.T) {
	tight := cell("x", use("a", 6000), func(c *Cell) {
		c.ReservePercent = 10
		c.Zones["a"].Takeover = map[string]int64{"b": 1000, "c": 2500}
		c.Zones["b"].Held, c.Zones["c"].Held = true, true
	})
	want := "no zones could take the guest and keep 10 % free, and 10 % after the loss of any other zone: " +
		"zone a has 60 % of CPU (85 % after the loss of zone c) and 0 % of memory in use"
	if got := Place(request(), []*Cell{tight}); len(got.Rejected) != 1 || got.Rejected[0].Message != want {
		t.Errorf("got %+v, want the message %q", got.Rejected, want)
	}
}

func TestDemandOf(t *testing.T) {
	part := v1alpha1.ComponentSize{CPU: resource.MustParse("20m"), Memory: resource.MustParse("10Mi")}
	size := v1alpha1.ControlPlaneSize{Etcd: part, APIServer: part, ControllerManager: part, Scheduler: part}
	full := Vector{MilliCPU: 80, Memory: 40 << 20}
	cases := map[string]struct {
		availability v1alpha1.Availability
		want         []Demand
	}{
		"Single": {availability: v1alpha1.Single, want: []Demand{{Vector: full}}},
		"Zonal": {availability: v1alpha1.Zonal, want: []Demand{
			{Vector: full, APIServerMilliCPU: 20},
			{Vector: full, APIServerMilliCPU: 20},
			{Vector: Vector{MilliCPU: 40, Memory: 20 << 20}, APIServerMilliCPU: 20},
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
			if got := NewCell(tc.cell, true).RuntimeProblem; got != tc.want {
				t.Errorf("%s: %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

func TestNewCell(t *testing.T) {
	ten := v1alpha1.ZoneCapacity{CPU: resource.MustParse("10"), Memory: resource.MustParse("10Gi")}
	a, b, d := ten, ten, ten
	a.Name, b.Name, d.Name = "a", "b", "d"
	reserve := int32(25)
	got := NewCell(&v1alpha1.Cell{
		ObjectMeta: metav1.ObjectMeta{Name: "x"},
		Spec: v1alpha1.CellSpec{
			Region: "r", Zones: []string{"a", "b", "c"}, ReservePercent: &reserve, MaxGuests: 3,
			Drills: []v1alpha1.Drill{{Zone: "b", Mode: v1alpha1.DrillKill}},
		},
		Status: v1alpha1.CellStatus{Zones: []v1alpha1.ZoneCapacity{a, b, d}, Versions: []string{version}},
	}, true)
	capacity := Vector{MilliCPU: 10_000, Memory: 10 << 30}
	want := &Cell{
		Name: "x", Region: "r", Ready: true, Versions: []string{version}, MaxGuests: 3, ReservePercent: 25, Tenants: map[string]int{},
		Zones: map[string]*Zone{"a": {Capacity: capacity, Takeover: map[string]int64{}}, "b": {Capacity: capacity, Takeover: map[string]int64{}, Held: true}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("zones count only when both the operator names and the agent reports them (-want +got):\n%s", diff)
	}
}

func TestTake(t *testing.T) {
	c := cell("x")
	c.Take("team", []string{"a", "b", "c"}, request(zonal).Demand)
	c.Take("team", []string{"a", "b", "c"}, request(zonal).Demand)
	c.Take("other", []string{"a"}, request().Demand)
	want := &Zone{Capacity: Vector{MilliCPU: 10_000, Memory: 10 << 30}, Used: Vector{MilliCPU: 3000, Memory: 3 << 30}, Takeover: map[string]int64{"b": 500, "c": 500}}
	if diff := cmp.Diff(want, c.Zones["a"]); diff != "" {
		t.Errorf("each of two Zonal guests leaves half of a lost zone's API server to zone a (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"team": 2, "other": 1}, c.Tenants); diff != "" || c.Guests != 3 {
		t.Errorf("%d guests; tenants (-want +got):\n%s", c.Guests, diff)
	}
}
