// Package placing measures how placement fills a region: 10,000 guests arrive one by one, in random order, at cells
// of one shape. It counts everything anew, without the books that placement keeps.
package placing

import (
	"fmt"
	"math/rand/v2"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/gear"
	"github.com/myriad-fleet/myriad/internal/placement"
)

const (
	// Guests that arrive, and Cells of the region.
	Guests, Cells = 10_000, 40
	// tenants that they are of. Few have many: tenant n has a share in proportion to 1/n.
	tenants = 500
	// zonesPerCell of each cell.
	zonesPerCell = 3

	region  = "bench"
	version = "v1.36.3"
)

// Shape of each zone of a cell: nodes of 8 cores and 32 GiB, the common ratio of cores to memory, so many that the first
// guest is refused at about the ten-thousandth.
const (
	nodesPerZone  = 11
	coresPerNode  = 8
	memoryPerNode = 32 << 30
)

// mix of gears, in ten-thousandths of the guests, and the share of them that is Zonal, in percent: our own choice of a
// fleet in which most guests are small and idle, and those that matter are spread over zones.
var mix = []struct {
	gear           string
	perTenThousand int
	zonal          int
}{
	{"nano", 4800, 30}, {"micro", 2400, 50}, {"mini", 1200, 70}, {"small", 800, 90}, {"medium", 450, 100},
	{"large", 200, 100}, {"xlarge", 100, 100}, {"2xlarge", 35, 100}, {"4xlarge", 10, 100}, {"8xlarge", 5, 100},
}

// kinds of templates, in percent.
var kinds = []struct {
	name  string
	share int
}{{"Standard", 80}, {"AI", 15}, {"Edge", 5}}

// Arrivals of guests in random order: the same seed makes the same ones.
func Arrivals(seed uint64) ([]placement.Request, error) {
	random := rand.New(rand.NewPCG(seed, 0))
	demands := map[string][]placement.Demand{}
	for _, rung := range mix {
		found, ok := gear.Find(gear.Default(), rung.gear)
		if !ok {
			return nil, fmt.Errorf("the default ladder has no gear %s", rung.gear)
		}
		for _, availability := range []v1alpha1.Availability{v1alpha1.Single, v1alpha1.Zonal} {
			demands[rung.gear+string(availability)] = placement.DemandOf(availability, gear.Size(found))
		}
	}
	requests := make([]placement.Request, 0, Guests)
	for _, rung := range mix {
		for i := range Guests * rung.perTenThousand / 10_000 {
			availability := v1alpha1.Single
			if i%100 < rung.zonal {
				availability = v1alpha1.Zonal
			}
			requests = append(requests, placement.Request{
				Region: region, Tenant: anyTenant(random), Kind: anyKind(random), Version: version,
				Demand: demands[rung.gear+string(availability)],
			})
		}
	}
	random.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
	return requests, nil
}

func anyKind(random *rand.Rand) string {
	at := random.IntN(100)
	for _, kind := range kinds {
		if at -= kind.share; at < 0 {
			return kind.name
		}
	}
	return kinds[0].name
}

// harmonic is the sum of 1/n over all tenants.
var harmonic = func() float64 {
	sum := 0.0
	for n := 1; n <= tenants; n++ {
		sum += 1 / float64(n)
	}
	return sum
}()

func anyTenant(random *rand.Rand) string {
	at := random.Float64() * harmonic
	n := 1
	for ; n < tenants; n++ {
		if at -= 1 / float64(n); at < 0 {
			break
		}
	}
	return fmt.Sprintf("tenant-%03d", n)
}

// Fleet of that many empty cells of one region, which more can be added to.
type Fleet struct {
	Region *placement.Region
	Cells  []*placement.Cell
}

// NewFleet of empty cells.
func NewFleet(cells int) *Fleet {
	f := &Fleet{Region: placement.NewRegion(&v1alpha1.Region{ObjectMeta: metav1.ObjectMeta{Name: region}})}
	for range cells {
		f.Add()
	}
	return f
}

// Add one more cell.
func (f *Fleet) Add() {
	cell := v1alpha1.Cell{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("cell-%03d", len(f.Cells))},
		Spec:       v1alpha1.CellSpec{Region: region},
		Status:     v1alpha1.CellStatus{Versions: []string{version}},
	}
	for i := range zonesPerCell {
		name := string(rune('a' + i))
		cell.Spec.Zones = append(cell.Spec.Zones, name)
		cell.Status.Zones = append(cell.Status.Zones, v1alpha1.ZoneCapacity{
			Name: name, Nodes: new(int64(nodesPerZone)),
			CPU:    *resource.NewQuantity(nodesPerZone*coresPerNode, resource.DecimalSI),
			Memory: *resource.NewQuantity(nodesPerZone*memoryPerNode, resource.BinarySI),
		})
	}
	f.Cells = append(f.Cells, placement.NewCell(&cell, f.Region, true))
}
