package placement

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

func TestPlaceRejects(t *testing.T) {
	limited := func(pods, addresses, volumes int64) func(*Cell) {
		return func(c *Cell) {
			for _, zone := range c.Zones {
				zone.Capacity.Pods, zone.Capacity.Addresses, zone.Capacity.Volumes = pods, addresses, volumes
			}
		}
	}
	pods := func(r *Request) { r.Demand[0].Pods, r.Demand[0].Addresses, r.Demand[0].Volumes = 4, 4, 1 }
	quota := func(tenant string, change func(*v1alpha1.TenantQuota)) func(*Cell) {
		return func(c *Cell) {
			q := v1alpha1.TenantQuota{Tenant: tenant}
			change(&q)
			c.Region.Quotas[tenant] = q
			c.Region.Used["team"] = TenantUse{Guests: 2, Vector: Vector{MilliCPU: 1500, Memory: 1 << 30}}
		}
	}
	guests := func(n int32) func(*v1alpha1.TenantQuota) { return func(q *v1alpha1.TenantQuota) { q.Guests = &n } }
	amount := func(s string) *resource.Quantity { q := resource.MustParse(s); return &q }
	oneInterface := func(c *Cell) {
		for _, zone := range c.Zones {
			zone.Interfaces = 1
		}
	}
	cases := map[string]struct {
		reason  string
		request Request
		cell    *Cell
		want    string
		message string // a part of it
	}{
		"Region":   {reason: "a guest stays in its region", request: request(func(r *Request) { r.Region = "s" }), cell: cell("x"), want: ReasonOtherRegion, message: "lies in region r, the guest asks for s"},
		"Kind":     {reason: "a cell may take some kinds only", request: request(), cell: cell("x", func(c *Cell) { c.Kinds = []string{"AI"} }), want: ReasonKindNotAccepted, message: "accepts AI only (spec.kinds), not Standard"},
		"NotReady": {reason: "nobody would carry the order out", request: request(), cell: cell("x", func(c *Cell) { c.Ready = false }), want: ReasonNotReady},
		"Runtime":  {reason: "nothing could be run there", request: request(), cell: cell("x", func(c *Cell) { c.RuntimeProblem = "NoStorageClass: there is none" }), want: ReasonRuntimeNotReady, message: "NoStorageClass: there is none"},
		"Cordoned": {reason: "an operator says so", request: request(), cell: cell("x", func(c *Cell) { c.Cordoned = true }), want: ReasonCordoned},
		"Version":  {reason: "the cell lacks the binaries", request: request(func(r *Request) { r.Version = "v1.35.4" }), cell: cell("x"), want: ReasonVersionUnavailable, message: "cannot run v1.35.4; it has v1.36.3"},
		"Unknown":  {reason: "versions that were not reported cannot be relied on", request: request(), cell: cell("x", func(c *Cell) { c.Versions = nil }), want: ReasonVersionUnavailable},
		"Zones":    {reason: "two zones hold no quorum of three", request: request(zonal), cell: cellOf("x", []string{"a", "b"}), want: ReasonTooFewZones, message: "needs 3 zones, the cell has 2"},
		"NoZones":  {reason: "a cell that reports no zone takes nobody", request: request(), cell: cellOf("x", nil), want: ReasonTooFewZones, message: "needs 1 zones, the cell has 0"},
		"NoDemand": {reason: "a guest of no zones is a mistake", request: request(func(r *Request) { r.Demand = nil }), cell: cell("x"), want: ReasonTooFewZones, message: "asks for no zone at all"},
		"Drill":    {reason: "a zone held by a drill cannot start anything", request: request(zonal), cell: cell("x", held("c")), want: ReasonTooFewZones, message: "a drill holds c"},
		"Full":     {reason: "the operator's number is reached", request: request(), cell: cell("x", func(c *Cell) { c.MaxGuests, c.Guests = 2, 2 }), want: ReasonFull, message: "holds 2 guests, spec.maxGuests is 2"},
		"Tenant":   {reason: "the cell's loss would hurt the tenant too much", request: request(), cell: cell("x", func(c *Cell) { c.MaxGuestsPerTenant = 2; c.Tenants["team"] = 2 }), want: ReasonTenantFull, message: "holds 2 guests of tenant team, spec.maxGuestsPerTenant is 2"},
		"Ports": {
			reason: "nodes and pods could not reach it", cell: cell("x"), want: ReasonNoPlainPort, message: "all 100 are given away",
			request: request(func(r *Request) {
				r.RegionProblems = map[string]RegionProblem{"r": {Reason: ReasonNoPlainPort, Message: "all 100 are given away"}}
			}),
		},
		"QuotaGuests": {reason: "two of two guests", request: request(), cell: cell("x", quota("team", guests(2))), want: ReasonQuotaExceeded, message: "tenant team has 2 of the 2 guests that it may have here"},
		"QuotaOfNone": {reason: "a quota of 0 keeps a tenant out", request: request(), cell: cell("x", quota("team", guests(0))), want: ReasonQuotaExceeded},
		"QuotaOfAll":  {reason: "who has no quota of its own has that of all", request: request(), cell: cell("x", quota("*", guests(2))), want: ReasonQuotaExceeded},
		"QuotaCPU":    {reason: "1.5 cores and 1 more are over 2", request: request(), cell: cell("x", quota("team", func(q *v1alpha1.TenantQuota) { q.CPU = amount("2") })), want: ReasonQuotaExceeded, message: "has 1.5 cores and would have 2.5 of 2"},
		"QuotaMemory": {reason: "1 GiB and 3 zones of 1 more are over 3.5", request: request(zonal), cell: cell("x", quota("team", func(q *v1alpha1.TenantQuota) { q.Memory = amount("3584Mi") })), want: ReasonQuotaExceeded, message: "has 1 GiB and would have 4 of 3.5"},
		"TooFarApart": {reason: "an etcd at 3.001 ms is too slow", request: request(zonal), cell: cell("x", apart("a-c", 3001)), want: ReasonTooFarApart, message: "a and c 3001 µs"},
		"Interfaces":  {reason: "every interface is another VPC's", request: request(func(r *Request) { r.VPC = "v" }), cell: cell("x", oneInterface), want: ReasonInterfaces, message: "zone a has 0 of 1 interfaces attached"},
		"CPU":         {reason: "60 % are in use in every zone", request: request(), cell: cell("x", use("a", 5001), use("b", 6000), use("c", 6000)), want: ReasonReserve, message: "zone a would use 60.1 % of CPU (50.1 % now)"},
		"Memory":      {reason: "memory counts as CPU does", request: request(func(r *Request) { r.Demand[0].Memory = 7 << 30 }), cell: cell("x"), want: ReasonReserve, message: "zone a would use 70 % of memory (0 % now)"},
		"Pods":        {reason: "3 of 6 pods may be used before a loss", request: request(pods), cell: cell("x", limited(6, Unlimited, Unlimited)), want: ReasonReserve, message: "zone a would use 4 of 6 pods"},
		"Addresses":   {reason: "every pod takes an address", request: request(pods), cell: cell("x", limited(Unlimited, 6, Unlimited)), want: ReasonReserve, message: "zone a would use 4 of 6 addresses"},
		"Volumes":     {reason: "0 of 1 volumes may be used", request: request(pods), cell: cell("x", limited(Unlimited, Unlimited, 1)), want: ReasonReserve, message: "zone a would use 1 of 1 volumes"},
		"OneZoneFull": {reason: "a Zonal guest needs room in all three", request: request(zonal), cell: cell("x", use("b", 5001)), want: ReasonReserve, message: "zone a has room, zone b would use 60.1 % of CPU"},
		"AllReserved": {reason: "a reserve of 100 % leaves nothing", request: request(), cell: cell("x", func(c *Cell) { c.ReservePercent = 100 }), want: ReasonReserve, message: "keep 100 % free"},
		"NoCapacity": {reason: "zones of no capacity take nothing", request: request(), cell: cell("x", func(c *Cell) {
			for _, zone := range c.Zones {
				zone.Capacity = Vector{}
			}
		}), want: ReasonReserve, message: "zone a would use 1000 of 0 CPU"},
		"OneZoneEmpty": {reason: "one zone of no capacity is one too few for three", request: request(zonal), cell: cell("x", func(c *Cell) { c.Zone("b").Capacity = Vector{} }), want: ReasonReserve},
		"Shrunk":       {reason: "a cell that reports less than it gave away is over its reserve", request: request(), cell: cell("x", use("a", 13000), use("b", 13000), use("c", 13000)), want: ReasonReserve, message: "zone a would use 140 % of CPU (130 % now)"},
		"AfterLoss": {
			reason: "7 cores and 2.1 taken over are more than 9 of 10", request: request(zonal),
			cell: cell("x", func(c *Cell) { c.ReservePercent = 10 }, use("a", 6000), takes("a", "b", 1800)), want: ReasonReserve, message: "zone a would use 90.5 % of CPU (78 % now) after the loss of zone b",
		},
		"HeldZoneCanBeLostAgain": {
			reason:  "the one zone that is not held would be full, with nothing left for a loss of the held one",
			request: request(func(r *Request) { r.Demand[0].Vector = Vector{MilliCPU: 1, Memory: 1} }),
			cell: cellOf("x", []string{"a", "b"}, held("b"), func(c *Cell) {
				c.ReservePercent = 0
				c.Zone("a").Capacity = Vector{MilliCPU: 1, Memory: 1}
			}), want: ReasonReserve,
		},
		"HeldZoneHasBeenTakenOver": {
			reason: "a drill holds b: 7 cores and the 2.1 of b that run in a now are more than 9 of 10", request: request(),
			cell: cellOf("x", []string{"a", "b"}, held("b"), use("a", 6000), takes("a", "b", 2100), func(c *Cell) { c.ReservePercent = 10 }), want: ReasonReserve, message: "a drill holds zone b",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := Place(tc.request, []*Cell{tc.cell})
			if got.Cell != "" || len(got.Rejected) != 1 || got.Rejected[0].Reason != tc.want || got.Rejected[0].Message == "" {
				t.Fatalf("%s: got %+v, want reason %s", tc.reason, got, tc.want)
			}
			if message := got.Rejected[0].Message; !strings.Contains(message, tc.message) || strings.Contains(message, " -") {
				t.Errorf("%s: message %q, want %q in it and no negative number", tc.reason, message, tc.message)
			}
		})
	}
}

// TestReserveMessage: whoever reads it must see which limit leaves no room, also where much is free.
func TestReserveMessage(t *testing.T) {
	tight := cell("x", use("a", 6000), takes("a", "b", 1000), takes("a", "c", 2500), held("b"), held("c"), func(c *Cell) { c.ReservePercent = 10 })
	want := "no zones could take it and keep 10 % free, and 10 % after the loss of any other zone: " +
		"zone a would use 95 % of CPU (85 % now) after the loss of zone c, a drill holds zone b, a drill holds zone c; " +
		"add nodes or a cell, or move guests away ('myriad plan rebalance')"
	if got := Place(request(), []*Cell{tight}); len(got.Rejected) != 1 || got.Rejected[0].Message != want {
		t.Errorf("got %+v, want the message %q", got.Rejected, want)
	}
}
