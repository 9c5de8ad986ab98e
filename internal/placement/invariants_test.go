package placement

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// anyRegion has quotas now and then.
func anyRegion(t *rapid.T) *Region {
	r := region("r")
	for _, tenant := range []string{"team-a", "*"} {
		quota := v1alpha1.TenantQuota{Tenant: tenant}
		switch rapid.IntRange(0, 5).Draw(t, "quota") {
		case 0:
			quota.Guests = new(rapid.Int32Range(0, 8).Draw(t, "guests"))
		case 1:
			quota.CPU = resource.NewMilliQuantity(rapid.Int64Range(0, 9000).Draw(t, "quotaCPU"), resource.DecimalSI)
		case 2:
			quota.Memory = resource.NewQuantity(rapid.Int64Range(0, 9<<30).Draw(t, "quotaMemory"), resource.BinarySI)
		default:
			continue
		}
		r.Quotas[tenant] = quota
	}
	return r
}

func anyCell(t *rapid.T, name string, r *Region) *Cell {
	c := cellOf(name, []string{"a", "b", "c", "d"}[:rapid.IntRange(0, 4).Draw(t, "zones")], func(c *Cell) {
		c.Region = r
		c.Ready = rapid.IntRange(0, 9).Draw(t, "ready") > 0
		c.Cordoned = rapid.IntRange(0, 9).Draw(t, "cordoned") == 0
		c.MaxGuests = rapid.IntRange(0, 20).Draw(t, "maxGuests")
		c.MaxGuestsPerTenant = rapid.SampledFrom([]int{0, 0, 3}).Draw(t, "perTenant")
		c.ReservePercent = rapid.Int64Range(0, 100).Draw(t, "reserve")
		c.RuntimeProblem = rapid.SampledFrom([]string{"", "", "", "NoStorageClass: install one"}).Draw(t, "runtime")
		c.AddressesPerInterface = rapid.Int64Range(0, 3).Draw(t, "perInterface")
		c.CorePerHour = rapid.Float64Range(0, 3).Draw(t, "price")
	})
	for _, zone := range c.Zones {
		zone.Held = rapid.IntRange(0, 9).Draw(t, "held") == 0
		counted := func(most int64) int64 {
			return rapid.SampledFrom([]int64{Unlimited, Unlimited, rapid.Int64Range(0, most).Draw(t, "counted")}).Draw(t, "limit")
		}
		zone.Interfaces = counted(5)
		zone.Capacity = Vector{
			MilliCPU: rapid.Int64Range(0, 8000).Draw(t, "cpu"), Memory: rapid.Int64Range(0, 8<<30).Draw(t, "memory"),
			Pods: counted(60), Addresses: counted(60), Volumes: counted(20),
		}
	}
	if len(c.Zones) > 1 && rapid.Bool().Draw(t, "measured") {
		c.measure([]v1alpha1.RoundTrip{{Between: "a-b", MedianMicroseconds: rapid.SampledFrom([]int64{500, 3000, 3001}).Draw(t, "roundTrip")}})
	}
	return c
}

// anyTrouble begins or ends drills now and then, and changes what cells report.
func anyTrouble(t *rapid.T, cells []*Cell) {
	for _, c := range cells {
		for _, zone := range c.Zones {
			switch rapid.IntRange(0, 39).Draw(t, "trouble") {
			case 0, 1:
				zone.Held = !zone.Held
			case 2:
				zone.Capacity.MilliCPU = rapid.Int64Range(0, 8000).Draw(t, "cpu")
			}
		}
	}
}

func anyRequest(t *rapid.T) Request {
	r := request(func(r *Request) {
		r.Tenant = rapid.SampledFrom([]string{"team-a", "team-b"}).Draw(t, "tenant")
		r.VPC = rapid.SampledFrom([]string{"", "v", "w", "x"}).Draw(t, "vpc")
		r.Demand = nil
	})
	zones := rapid.SampledFrom([]int{1, 2, 3}).Draw(t, "zones")
	for i := range zones {
		if i > 0 && rapid.Bool().Draw(t, "alike") {
			r.Demand = append(r.Demand, r.Demand[i-1])
			continue
		}
		pods := rapid.Int64Range(0, 4).Draw(t, "pods")
		demand := Demand{Vector: Vector{
			MilliCPU: rapid.Int64Range(1, 1500).Draw(t, "cpu"), Memory: rapid.Int64Range(1, 1<<30).Draw(t, "memory"),
			Pods: pods, Addresses: pods, Volumes: min(pods, 1),
		}}
		if zones > 1 {
			demand.APIServerMilliCPU = rapid.Int64Range(0, demand.MilliCPU).Draw(t, "api")
		}
		r.Demand = append(r.Demand, demand)
	}
	return r
}

// TestPlaceInvariants: whatever comes, grows, goes and is lost, in cells with drills and odd capacities: no
// placement and no growth breaks the reserve, every rejection is true, every cell that could take the guest is
// among those that may, the zones are the best, and the books say what counting anew says.
func TestPlaceInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRegion(t)
		var cells []*Cell
		for _, name := range []string{"w", "x", "y"} {
			cells = append(cells, anyCell(t, name, r))
		}
		guests := map[string][]placed{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			anyTrouble(t, cells)
			c := rapid.SampledFrom(cells).Draw(t, "cell")
			switch action := rapid.IntRange(0, 4).Draw(t, "action"); {
			case action == 0 && len(guests[c.Name]) > 0:
				i := rapid.IntRange(0, len(guests[c.Name])-1).Draw(t, "leaves")
				c.Release(guests[c.Name][i].guest())
				guests[c.Name] = slices.Delete(guests[c.Name], i, i+1)
			case action == 1 && len(guests[c.Name]) > 0:
				grow(t, c, guests[c.Name])
			default:
				place(t, cells, guests)
			}
		}
		checkBooks(t, r, cells, guests)
	})
}

func place(t *rapid.T, cells []*Cell, guests map[string][]placed) {
	r := anyRequest(t)
	decision := Place(r, cells)
	checkStable(t, r, cells, decision)
	checkRejections(t, r, cells, guests, decision)
	for _, c := range cells {
		if c.Name != decision.Cell {
			continue
		}
		guest := placed{tenant: r.Tenant, vpc: r.VPC, zones: decision.Zones, demand: r.Demand}
		c.Take(guest.guest())
		guests[c.Name] = append(guests[c.Name], guest)
		if !reserveKept(c, guests[c.Name], decision.Zones) || r.VPC != "" && c.attachedOver(decision.Zones, guests[c.Name]) {
			t.Fatalf("cell %s is over its reserve after %v in %v", c.Name, r.Demand, decision.Zones)
		}
	}
}

// attachedOver tells whether a zone has more interfaces than it may: only one that was over before the guest came.
func (c *Cell) attachedOver(zones []string, guests []placed) bool {
	before := guests[:len(guests)-1]
	return !interfacesKeptBy(c, before, guests, zones)
}

// checkStable: the same input gives the same decision, and the order of the cells does not matter.
func checkStable(t *rapid.T, r Request, cells []*Cell, want Decision) {
	shuffled := slices.Clone(cells)
	rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	if diff := cmp.Diff(want, Place(r, shuffled)); diff != "" {
		t.Fatalf("the order of the cells changed the decision:\n%s", diff)
	}
}

// checkRejections: every cell is rejected for a true reason, or could have been chosen and is named as such.
func checkRejections(t *rapid.T, r Request, cells []*Cell, guests map[string][]placed, decision Decision) {
	reasons := map[string]string{}
	for _, rejected := range decision.Rejected {
		reasons[rejected.Cell] = rejected.Reason
	}
	taking := map[string]bool{decision.Cell: true}
	for _, other := range decision.Others {
		taking[other.Cell] = true
	}
	for _, c := range cells {
		near, attached, kept := options(c, guests[c.Name], r)
		truth := map[string]bool{
			ReasonNotReady:        !c.Ready,
			ReasonRuntimeNotReady: c.RuntimeProblem != "",
			ReasonCordoned:        c.Cordoned,
			ReasonQuotaExceeded:   overQuota(r, cells, guests),
			ReasonTooFewZones:     len(zoneNames(c, false)) < len(r.Demand),
			ReasonFull:            c.MaxGuests > 0 && len(guests[c.Name]) >= c.MaxGuests,
			ReasonTenantFull:      c.MaxGuestsPerTenant > 0 && guestsOf(guests[c.Name], r.Tenant) >= c.MaxGuestsPerTenant,
			ReasonTooFarApart:     len(near) == 0,
			ReasonInterfaces:      len(attached) == 0,
			ReasonReserve:         len(kept) == 0,
		}
		fits := true
		for _, holds := range truth {
			fits = fits && !holds
		}
		if reason := reasons[c.Name]; fits != taking[c.Name] || fits != (reason == "") || !fits && !truth[reason] {
			t.Fatalf("cell %s: reason %q, taking %v; true are %v", c.Name, reason, taking[c.Name], truth)
		}
		if c.Name == decision.Cell {
			checkZones(t, c, guests[c.Name], r, kept, decision.Zones)
		}
	}
}

// checkZones: no other way leaves more room in its fullest zone, and of equal ones this is the first by name.
func checkZones(t *rapid.T, c *Cell, before []placed, r Request, kept [][]string, zones []string) {
	room := func(zones []string) float64 {
		return leastFree(c, append(slices.Clip(before), placed{zones: zones, demand: r.Demand}), zones)
	}
	got := room(zones)
	for _, other := range kept {
		more := room(other)
		if more > got || more == got && slices.Compare(other, zones) < 0 {
			t.Fatalf("cell %s: zones %v leave %v, and %v would leave %v", c.Name, zones, got, other, more)
		}
	}
}

func guestsOf(guests []placed, tenant string) int {
	n := 0
	for _, guest := range guests {
		if guest.tenant == tenant {
			n++
		}
	}
	return n
}

func overQuota(r Request, cells []*Cell, guests map[string][]placed) bool {
	quota, found := cells[0].Region.Quotas[r.Tenant]
	if !found {
		quota = cells[0].Region.Quotas["*"]
	}
	n, cpu, memory := int32(1), int64(0), int64(0)
	all := []placed{{tenant: r.Tenant, demand: r.Demand}}
	for _, c := range cells {
		n += int32(guestsOf(guests[c.Name], r.Tenant))
		all = append(all, guests[c.Name]...)
	}
	for _, guest := range all {
		for _, demand := range guest.demand {
			if guest.tenant == r.Tenant {
				cpu, memory = cpu+demand.MilliCPU, memory+demand.Memory
			}
		}
	}
	return quota.Guests != nil && n > *quota.Guests || quota.CPU != nil && cpu > quota.CPU.MilliValue() ||
		quota.Memory != nil && memory > quota.Memory.Value()
}

// grow a guest, or let it shrink: growth keeps the reserve of the guest's zones, less is always allowed.
func grow(t *rapid.T, c *Cell, guests []placed) {
	i := rapid.IntRange(0, len(guests)-1).Draw(t, "guest")
	guest := guests[i]
	var to []Demand
	for _, part := range guest.demand {
		factor := rapid.Int64Range(0, 400).Draw(t, "percent")
		more := part
		more.MilliCPU, more.APIServerMilliCPU = part.MilliCPU*factor/100, part.APIServerMilliCPU*factor/100
		more.Memory = part.Memory * rapid.Int64Range(0, 400).Draw(t, "memory") / 100
		to = append(to, more)
	}
	grows := More(guest.demand, to)
	problem := Grow(c, guest.guest(), to)
	after := slices.Clone(guests)
	after[i].demand = to
	roomy := c.Clone()
	for _, zone := range roomy.Zones {
		zone.Capacity.Pods, zone.Capacity.Addresses, zone.Capacity.Volumes = Unlimited, Unlimited, Unlimited
	}
	if allowed := !grows || reserveKept(roomy, after, guest.zones); allowed != (problem == "") {
		t.Fatalf("growth of %v to %v in %v is allowed: %v; got %q", guest.demand, to, guest.zones, allowed, problem)
	}
	if problem == "" {
		guests[i].demand = to
	}
}

// checkBooks: nothing is booked twice, nothing is left behind.
func checkBooks(t *rapid.T, r *Region, cells []*Cell, guests map[string][]placed) {
	use := map[string]TenantUse{}
	for _, c := range cells {
		for _, name := range zoneNames(c, true) {
			for _, lost := range zoneNames(c, true) {
				if lost == name {
					continue
				}
				booked := c.Zone(name).Used
				booked.MilliCPU += c.Takeover(name, lost)
				if counted := loadOf(guests[c.Name], name, lost); counted != booked {
					t.Fatalf("cell %s, zone %s after the loss of %q: booked %+v, counted %+v", c.Name, name, lost, booked, counted)
				}
			}
			if counted := attachedBy(c, guests[c.Name], name); counted != c.Zone(name).attached {
				t.Fatalf("cell %s, zone %s: %d interfaces booked, %d counted", c.Name, name, c.Zone(name).attached, counted)
			}
		}
		for _, guest := range guests[c.Name] {
			sum := use[guest.tenant]
			sum.Guests++
			for _, demand := range guest.demand {
				sum.Vector = sum.Add(demand.Vector)
			}
			use[guest.tenant] = sum
		}
	}
	for tenant, booked := range r.Used {
		if booked != use[tenant] {
			t.Fatalf("tenant %s: booked %+v, counted %+v", tenant, booked, use[tenant])
		}
	}
}
