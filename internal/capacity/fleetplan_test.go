package capacity

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// targetOf one region: nodes of 30 cores and 120 GiB, three zones.
func targetOf(guests int, mix ...MixPart) Target {
	return Target{
		Currency: "EUR", Mix: mix,
		Node:    NodeShape{Cores: resource.MustParse("30"), Memory: resource.MustParse("120Gi"), PricePerMonth: 600},
		Cell:    CellShape{Zones: 3, MaxNodesPerZone: 4},
		Regions: []TargetRegion{{Name: "r", Guests: guests}},
	}
}

// TestPlanIsClosedForm: for guests of one making the plan can be computed.
func TestPlanIsClosedForm(t *testing.T) {
	for _, guests := range []int{1, 10, 57, 200, 500, 1234} {
		plan, err := PlanFleet(targetOf(guests, MixPart{Weight: 1, Gear: "nano"}), defaultLadder(), 1)
		if err != nil {
			t.Fatal(err)
		}
		// The zone without controller manager and scheduler is another one from guest to guest: all three together count.
		var cpu, afterLoss, memory int64
		for _, part := range guestIn("nano", v1alpha1.Zonal).Demand {
			cpu, memory, afterLoss = cpu+part.MilliCPU, memory+part.Memory, afterLoss+part.MilliCPU+(part.APIServerMilliCPU+1)/2
		}
		fits := func(nodes int64) int64 { // guests in a cell with so many nodes in each zone
			return min(3*nodes*30_000*60/100/cpu, 3*nodes*120<<30/100*60/memory, 3*nodes*30_000*90/100/afterLoss)
		}
		cells := (int64(guests) + fits(4) - 1) / fits(4)
		nodes := int64(1)
		for cells*fits(nodes) < int64(guests) {
			nodes++
		}
		got := plan.Regions[0].Stages[0]
		if int64(got.Cells) != cells || got.NodesPerZone != nodes || got.CostPerMonth != float64(cells*3*nodes*600) {
			t.Errorf("%d guests: %d cells of 3 × %d nodes for %.0f, computed %d of 3 × %d", guests, got.Cells, got.NodesPerZone, got.CostPerMonth, cells, nodes)
		}
	}
}

// TestPlanKnowsWhatFitsNowhere: one interface in a zone, of which 60 % is none, takes no guest that reaches into a VPC; whether
// one of the same gear without a VPC comes first must not matter.
func TestPlanKnowsWhatFitsNowhere(t *testing.T) {
	target := targetOf(10, MixPart{Weight: 1, Gear: "nano"}, MixPart{Weight: 1, Gear: "nano", VPC: true})
	target.Node.Interfaces, target.Node.AddressesPerInterface, target.Cell.MaxNodesPerZone = 1, 10, 1
	for seed := range uint64(5) {
		if plan, err := PlanFleet(target, defaultLadder(), seed); err == nil {
			t.Errorf("seed %d: %+v", seed, plan)
		}
	}
}

func TestPlanGrows(t *testing.T) {
	target := targetOf(100, MixPart{Weight: 3, Gear: "nano", VPC: true}, MixPart{Weight: 1, Gear: "micro", Availability: v1alpha1.Single})
	target.Days, target.Growth = 365, "2x/year"
	target.Regions = append(target.Regions, TargetRegion{Name: "s", Guests: 50, Growth: "+7/week", VPCs: 3})
	plan, err := PlanFleet(target, defaultLadder(), 1)
	if err != nil {
		t.Fatal(err)
	}
	var guests []int
	for _, region := range plan.Regions {
		for _, stage := range region.Stages {
			guests = append(guests, stage.Guests)
		}
	}
	// 365 days are a little less than a year.
	if diff := cmp.Diff([]int{100, 200, 50, 415}, guests); diff != "" {
		t.Errorf("guests: -want +got\n%s", diff)
	}
	if total := plan.Total[1]; total.Day != 365 || total.Guests != 615 || total.Cells != plan.Regions[0].Stages[1].Cells+plan.Regions[1].Stages[1].Cells {
		t.Errorf("total %+v", total)
	}
	stage := plan.Regions[0].Stages[0]
	// 75 guests with a VPC: 16 nodes and 5 that a subnet keeps, 256 addresses for each node's pods, 4096 Services.
	if want := (AddressPlan{Nodes: 75 * 32, Pods: 75 * 4096, Services: 75 * 4096, CellNodes: stage.Nodes}); stage.Addresses != want || stage.PodPool != "/13" {
		t.Errorf("addresses %+v, pool %s; want %+v", stage.Addresses, stage.PodPool, want)
	}
	if pool := plan.Regions[1].Stages[0].PodPool; pool != "/16" {
		t.Errorf("38 guests of 3 VPCs, 13 in each, need a /16 in each, not %s", pool)
	}
}

func TestPlanCountsInterfaces(t *testing.T) {
	target := targetOf(100, MixPart{Weight: 1, Gear: "nano", VPC: true})
	target.Node.Interfaces, target.Node.AddressesPerInterface = 1, 5
	target.Regions[0].VPCs = 100
	without := targetOf(100, MixPart{Weight: 1, Gear: "nano"})
	plan, err := PlanFleet(target, defaultLadder(), 1)
	if err != nil {
		t.Fatal(err)
	}
	fewer, err := PlanFleet(without, defaultLadder(), 1)
	if err != nil {
		t.Fatal(err)
	}
	// One VPC each: a node reaches one, of which the reserve leaves 60 %, so that a cell of 4 nodes reaches 2.
	if plan.Total[0].Cells != 50 || fewer.Total[0].Cells != 1 {
		t.Errorf("%d cells for 100 VPCs, %d for none", plan.Total[0].Cells, fewer.Total[0].Cells)
	}
	if text := plan.Regions[0].Stages[0].OneFewer; !strings.Contains(text, "49 of that size take 98 of 100 guests; then Interfaces:") {
		t.Errorf("one fewer: %q", text)
	}
}

// TestPlanInvariants: the plan holds its guests within every reserve, one cell fewer does not, and one node fewer in
// each zone does not.
func TestPlanInvariants(t *testing.T) {
	gears := []string{"nano", "micro", "mini", "small", "medium", "large"}
	rapid.Check(t, func(t *rapid.T) {
		var mix []MixPart
		for range rapid.IntRange(1, 4).Draw(t, "parts") {
			mix = append(mix, MixPart{
				Weight: rapid.IntRange(1, 9).Draw(t, "weight"), Gear: rapid.SampledFrom(gears).Draw(t, "gear"),
				Availability: rapid.SampledFrom([]v1alpha1.Availability{"", v1alpha1.Single, v1alpha1.Zonal}).Draw(t, "availability"),
			})
		}
		target := targetOf(rapid.IntRange(1, 150).Draw(t, "guests"), mix...)
		percent := rapid.Int32Range(0, 60).Draw(t, "reserve")
		target.Cell.ReservePercent, target.Cell.MaxGuests = &percent, rapid.SampledFrom([]int32{0, 20, 70}).Draw(t, "maxGuests")
		target.Cell.MaxNodesPerZone = rapid.Int64Range(1, 4).Draw(t, "nodes")
		if problems := target.Problems(defaultLadder()); len(problems) > 0 {
			t.Fatalf("a good target has problems: %v", problems)
		}
		seed := rapid.Uint64().Draw(t, "seed")
		plan, err := PlanFleet(target, defaultLadder(), seed)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := PlanFleet(target, defaultLadder(), seed)
		if diff := cmp.Diff(plan, again); diff != "" {
			t.Fatalf("the same seed must give the same plan: %s", diff)
		}
		b := newBuild(target, target.Regions[0], defaultLadder(), 0, seed)
		stage := plan.Regions[0].Stages[0]
		checkFilled(t, b, stage)
		if _, placed, _ := b.fill(stage.Cells-1, target.Cell.MaxNodesPerZone); stage.Cells > 1 && placed == len(b.guests) {
			t.Fatalf("%d cells hold the guests, too", stage.Cells-1)
		}
		if _, placed, _ := b.fill(stage.Cells, stage.NodesPerZone-1); stage.NodesPerZone > 1 && placed == len(b.guests) {
			t.Fatalf("%d nodes in each zone do, too", stage.NodesPerZone-1)
		}
	})
}

// checkFilled places the guests of a plan anew and counts what each zone carries without the planner's functions.
func checkFilled(t *rapid.T, b *build, stage Stage) {
	cells := b.cells(stage.Cells, stage.NodesPerZone)
	type key struct{ cell, zone string }
	cpu, memory, guests := map[key]int64{}, map[key]int64{}, map[string]int{}
	for i, guest := range b.guests {
		decision := placement.Place(guest.request(), cells)
		if decision.Cell == "" {
			t.Fatalf("guest %d of %d finds no place in the plan", i, len(b.guests))
		}
		guests[decision.Cell]++
		for j, zone := range decision.Zones {
			cpu[key{decision.Cell, zone}] += guest.Demand[j].MilliCPU
			memory[key{decision.Cell, zone}] += guest.Demand[j].Memory
		}
		find(cells, decision.Cell).Take(placement.Guest{Tenant: guest.Tenant, Zones: decision.Zones, Demand: guest.Demand})
	}
	usable := 100 - int64(*b.target.Cell.ReservePercent)
	for at, used := range cpu {
		if used*100 > stage.NodesPerZone*30_000*usable || memory[at]*100 > stage.NodesPerZone*(120<<30)*usable {
			t.Fatalf("%s/%s is over its reserve: %d millicores, %d bytes", at.cell, at.zone, used, memory[at])
		}
	}
	for cell, count := range guests {
		if most := int(b.target.Cell.MaxGuests); most > 0 && count > most {
			t.Fatalf("%s holds %d guests of %d", cell, count, most)
		}
	}
}

func TestApportion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var mix []MixPart
		sum := 0
		for range rapid.IntRange(1, 6).Draw(t, "parts") {
			weight := rapid.IntRange(0, 20).Draw(t, "weight")
			mix, sum = append(mix, MixPart{Weight: weight}), sum+weight
		}
		if sum == 0 {
			return
		}
		guests, all := rapid.IntRange(0, 1000).Draw(t, "guests"), 0
		for i, share := range apportion(guests, mix) {
			all += share
			if exact := float64(guests*mix[i].Weight) / float64(sum); float64(share) < exact-1 || float64(share) > exact+1 {
				t.Fatalf("part %d has %d guests, its weight asks for %.2f", i, share, exact)
			}
		}
		if all != guests {
			t.Fatalf("%d guests were shared out as %d", guests, all)
		}
	})
}

func TestPlanRefusesWhatFitsNowhere(t *testing.T) {
	target := targetOf(5, MixPart{Weight: 1, Gear: "16xlarge"})
	target.Cell.MaxNodesPerZone = 1
	_, err := PlanFleet(target, defaultLadder(), 1)
	if want := "regions[0] (r): a Zonal 16xlarge guest finds no place in an empty cell of 3 zones with 1 nodes"; err == nil || !strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("error %v, must contain %q", err, want)
	}
}
