// Package capacitytest makes up fleets of known size and growth, as the hub would hold them, for tests and for
// the examples of the documentation.
package capacitytest

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
	"github.com/myriad-fleet/myriad/internal/capacity"
	"github.com/myriad-fleet/myriad/internal/gear"
	"github.com/myriad-fleet/myriad/internal/placement"
)

// Shape of a fleet.
type Shape struct {
	// Now is when the fleet is looked at.
	Now time.Time
	// Regions of the fleet.
	Regions []Region
	// TimesPerYear that the number of guests grew by, up to now.
	TimesPerYear float64
	// Seed of the order of gears.
	Seed uint64
}

// Region of a fleet.
type Region struct {
	// Name and Area of the region.
	Name, Area string
	// Cells, and the prefix of their names.
	Cells  int
	Prefix string
	// Cores and GiB of each of a cell's three zones.
	Cores, GiB int64
	// Guests of the region.
	Guests int
}

// Version of Kubernetes that all guests run.
const Version = "v1.36.3"

// Small is a region with room, one that is almost full, and one with a single cell and few guests.
func Small(now time.Time) Shape {
	return Shape{
		Now: now, TimesPerYear: 2, Seed: 1,
		Regions: []Region{
			{Name: "cn-hangzhou", Area: "cn", Cells: 3, Prefix: "hz", Cores: 64, GiB: 320, Guests: 560},
			{Name: "eu-frankfurt", Area: "eu", Cells: 2, Prefix: "fra", Cores: 48, GiB: 240, Guests: 360},
			{Name: "us-ashburn", Area: "us", Cells: 1, Prefix: "iad", Cores: 48, GiB: 240, Guests: 12},
		},
	}
}

// mix of guests, in hundredths: most are small, four of five spread over zones.
var mix = []struct {
	gear         string
	availability v1alpha1.Availability
	percent      int
}{
	{"nano", v1alpha1.Zonal, 45},
	{"nano", v1alpha1.Single, 15},
	{"micro", v1alpha1.Zonal, 18},
	{"mini", v1alpha1.Zonal, 10},
	{"small", v1alpha1.Zonal, 6},
	{"medium", v1alpha1.Zonal, 3},
	{"mini", v1alpha1.Single, 2},
	{"large", v1alpha1.Zonal, 1},
}

// Objects of a fleet of that shape. Guests that find no place are left out.
func Objects(shape Shape) capacity.Objects {
	objects := capacity.Objects{
		Gears:     gear.Default().Ladder,
		Templates: []v1alpha1.ClusterTemplate{{ObjectMeta: metav1.ObjectMeta{Name: "standard"}, Spec: v1alpha1.ClusterTemplateSpec{Kind: "Standard"}}},
	}
	random := rand.New(rand.NewPCG(shape.Seed, 0))
	for _, region := range shape.Regions {
		object := v1alpha1.Region{ObjectMeta: metav1.ObjectMeta{Name: region.Name}, Spec: v1alpha1.RegionSpec{Area: region.Area, Zones: []string{"a", "b", "c"}}}
		objects.Regions = append(objects.Regions, object)
		state := placement.NewRegion(&object)
		var cells []*placement.Cell
		for i := range region.Cells {
			cell := cellOf(region, i)
			objects.Cells = append(objects.Cells, cell)
			cells = append(cells, placement.NewCell(&cell, state, true))
		}
		for i, of := range kinds(random, region.Guests) {
			id := fmt.Sprintf("g%02d%s%04d", len(objects.Regions), region.Area, i)
			created := shape.Now.Add(-age(i, region.Guests, shape.TimesPerYear))
			plane := planeOf(region, id, fmt.Sprintf("team-%02d", i%40), of, created)
			if placed(cells, &plane) {
				objects.ControlPlanes = append(objects.ControlPlanes, plane)
				objects.Clusters = append(objects.Clusters, clusterOf(plane))
			}
		}
	}
	return objects
}

// age of the guest that came as number i of n, when they became so many times as many in each year.
func age(i, n int, timesPerYear float64) time.Duration {
	const year = 365.2425 * 24
	// n(t) = n·timesPerYear^t, and the guest came when it reached i + 1/2.
	hours := math.Log(float64(n)/(float64(i)+0.5)) / math.Log(timesPerYear) * year
	return time.Duration(max(hours, 0) * float64(time.Hour)).Truncate(time.Second)
}

// kinds of n guests in random order, each with its share of the mix.
func kinds(random *rand.Rand, n int) []int {
	order := make([]int, 0, n)
	for len(order) < n {
		for i, part := range mix {
			for range part.percent {
				order = append(order, i)
			}
		}
	}
	random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	return order[:n]
}

func cellOf(region Region, i int) v1alpha1.Cell {
	cell := v1alpha1.Cell{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", region.Prefix, i+1)},
		Spec:       v1alpha1.CellSpec{Region: region.Name, Zones: []string{"a", "b", "c"}, ReservePercent: new(int32(40))},
		Status: v1alpha1.CellStatus{
			Versions:   []string{Version},
			Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonLeaseFresh}},
		},
	}
	for _, zone := range cell.Spec.Zones {
		cell.Status.Zones = append(cell.Status.Zones, v1alpha1.ZoneCapacity{
			Name: zone, CPU: *resource.NewQuantity(region.Cores, resource.DecimalSI), Memory: *resource.NewQuantity(region.GiB<<30, resource.BinarySI),
		})
	}
	return cell
}

func planeOf(region Region, id, tenant string, of int, created time.Time) v1alpha1.ControlPlane {
	rung, _ := gear.Find(gear.Default(), mix[of].gear)
	return v1alpha1.ControlPlane{
		ObjectMeta: metav1.ObjectMeta{Name: id, CreationTimestamp: metav1.NewTime(created)},
		Spec: v1alpha1.ControlPlaneSpec{
			ID: id, Region: region.Name, Version: Version, Availability: mix[of].availability, Size: gear.Size(rung),
			Cluster: v1alpha1.ClusterReference{
				Namespace: tenant, Name: "cluster-" + id,
				Spec: v1alpha1.ClusterSpec{Region: region.Name, Template: "standard"},
			},
		},
	}
}

func clusterOf(plane v1alpha1.ControlPlane) v1alpha1.Cluster {
	return v1alpha1.Cluster{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: plane.Spec.Cluster.Namespace, Name: plane.Spec.Cluster.Name, CreationTimestamp: plane.CreationTimestamp,
		},
		Spec:   plane.Spec.Cluster.Spec,
		Status: v1alpha1.ClusterStatus{ID: plane.Spec.ID},
	}
}

// placed writes where a guest lies; false: no cell takes it.
func placed(cells []*placement.Cell, plane *v1alpha1.ControlPlane) bool {
	demand := placement.DemandOf(plane.Spec.Availability, plane.Spec.Size)
	decision := placement.Place(placement.Request{
		Region: plane.Spec.Region, Tenant: plane.Spec.Cluster.Namespace, Kind: "Standard", Version: Version, Demand: demand,
	}, cells)
	i := slices.IndexFunc(cells, func(c *placement.Cell) bool { return c.Name == decision.Cell })
	if i < 0 {
		return false
	}
	plane.Namespace, plane.Spec.Zones = v1alpha1.CellNamespace(decision.Cell), decision.Zones
	cells[i].Take(placement.Guest{Tenant: plane.Spec.Cluster.Namespace, Zones: decision.Zones, Demand: demand})
	return true
}

// Large is a fleet of 40 cells in 4 regions.
func Large(now time.Time) Shape {
	shape := Shape{Now: now, TimesPerYear: 1.8, Seed: 2}
	for i, name := range []string{"ap-singapore", "cn-hangzhou", "eu-frankfurt", "us-ashburn"} {
		area := name[:2]
		shape.Regions = append(shape.Regions, Region{
			Name: name, Area: area, Prefix: cmp.Or(area, name), Cells: 10, Cores: 32, GiB: 160, Guests: 800 + 130*i,
		})
	}
	return shape
}
