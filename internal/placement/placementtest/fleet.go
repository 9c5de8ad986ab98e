// Package placementtest makes fleets to place guests in: for tests and benchmarks of placement.
package placementtest

import (
	"fmt"
	"math"
	"math/rand/v2"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// Version of Kubernetes that all cells can run.
const Version = "v1.36.3"

// Region that all cells lie in.
const Region = "r"

// zones of every cell.
var zones = []string{"a", "b", "c"}

// Shape of a cell's zones: nodes that guests may use, with their cores and GiB. A node runs 250 pods (what
// large clouds allow) and attaches 15 interfaces.
type Shape struct{ Nodes, Cores, GiB int64 }

// Uniform cells are all alike, as a region that buys one kind of machine has them.
func Uniform() []Shape { return []Shape{{7, 16, 64}} }

// Mixed cells of one region differ: some have less memory for each core, some more.
func Mixed() []Shape {
	return []Shape{{7, 16, 64}, {7, 16, 64}, {8, 16, 56}, {5, 16, 80}, {10, 16, 64}}
}

// mix of the default ladder's gears, in guests of 10,000: most are small. Nobody publishes such a mix; it is
// our own choice.
var mix = []struct {
	gear   string
	guests int
}{
	{"nano", 3000},
	{"micro", 2400},
	{"mini", 2000},
	{"small", 1300},
	{"medium", 700},
	{"large", 350},
	{"xlarge", 150},
	{"2xlarge", 70},
	{"4xlarge", 20},
	{"8xlarge", 8},
	{"16xlarge", 2},
}

// tenants of the fleet; the first have most of the guests.
const tenants = 400

// Cells of one region, n of them, empty, of those shapes in turn.
func Cells(n int, shapes []Shape) []*placement.Cell {
	region := placement.NewRegion(&v1alpha1.Region{
		ObjectMeta: metav1.ObjectMeta{Name: Region},
		Spec:       v1alpha1.RegionSpec{Area: "eu", Zones: zones},
	})
	cells := make([]*placement.Cell, 0, n)
	for i := range n {
		cells = append(cells, placement.NewCell(cellObject(i, shapes[i%len(shapes)]), region, true))
	}
	return cells
}

func cellObject(i int, shape Shape) *v1alpha1.Cell {
	cell := &v1alpha1.Cell{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("cell-%03d", i)},
		Spec: v1alpha1.CellSpec{
			Region: Region, Zones: zones,
			Network: &v1alpha1.CellNetwork{InterfacesPerNode: new(int32(15)), AddressesPerInterface: new(int32(10))},
			Cost:    &v1alpha1.CellCost{CorePerHour: resource.MustParse("40m"), GibibytePerHour: resource.MustParse("5m")},
		},
		Status: v1alpha1.CellStatus{Versions: []string{"v1.35.4", Version}},
	}
	for _, zone := range zones {
		cell.Status.Zones = append(cell.Status.Zones, v1alpha1.ZoneCapacity{
			Name: zone, CPU: *resource.NewQuantity(shape.Nodes*shape.Cores, resource.DecimalSI),
			Memory: *resource.NewQuantity(shape.Nodes*shape.GiB<<30, resource.BinarySI),
			Nodes:  new(shape.Nodes), Pods: new(shape.Nodes * 250), Addresses: new(shape.Nodes * 254), Volumes: new(shape.Nodes * 127),
		})
	}
	for _, between := range []string{"a-b", "a-c", "b-c"} {
		cell.Status.RoundTrips = append(cell.Status.RoundTrips, v1alpha1.RoundTrip{Between: between, MedianMicroseconds: 700, P99Microseconds: 1500, Source: "EtcdPeers"})
	}
	return cell
}

// Requests are n guests in random order: gears by the mix, two of five of them Single, kinds, tenants and VPCs
// mixed. The same seed gives the same guests.
func Requests(n int, seed uint64) []placement.Request {
	random := rand.New(rand.NewPCG(seed, 0))
	ladder := gear.Default()
	demands := map[string]map[v1alpha1.Availability][]placement.Demand{}
	for _, part := range mix {
		found, _ := gear.Find(ladder, part.gear)
		demands[part.gear] = map[v1alpha1.Availability][]placement.Demand{
			v1alpha1.Single: placement.DemandOf(v1alpha1.Single, gear.Size(found)),
			v1alpha1.Zonal:  placement.DemandOf(v1alpha1.Zonal, gear.Size(found)),
		}
	}
	requests := make([]placement.Request, 0, n)
	for i := range n {
		availability := v1alpha1.Zonal
		if random.IntN(5) < 2 {
			availability = v1alpha1.Single
		}
		tenant := int(math.Pow(random.Float64(), 2) * tenants)
		requests = append(requests, placement.Request{
			Region: Region, Tenant: fmt.Sprintf("tenant-%03d", tenant), VPC: fmt.Sprintf("vpc-%02d", tenant%50),
			Kind:    []string{"Standard", "Standard", "Standard", "Serverless", "AI"}[random.IntN(5)],
			Version: Version, Demand: demands[gearOf(i%10_000)][availability],
		})
	}
	random.Shuffle(n, func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
	return requests
}

// gearOf the i-th of 10,000 guests.
func gearOf(i int) string {
	for _, part := range mix {
		if i -= part.guests; i < 0 {
			return part.gear
		}
	}
	return mix[0].gear
}

// GuestOf a request in the zones that a decision gave it.
func GuestOf(request placement.Request, decision placement.Decision) placement.Guest {
	return placement.Guest{Tenant: request.Tenant, VPC: request.VPC, Zones: decision.Zones, Demand: request.Demand}
}
