// Package fleetplan says which regions, cells and clusters a fleet of a given size has: one large region and a
// long tail of small ones, a few large tenants and many small ones, kinds mixed. It is pure: the same shape and
// seed give the same fleet.
package fleetplan

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

const (
	// firstShare of all clusters is in the first region: 3,000 of 10,000.
	firstShare = 0.3
	// clustersPerTenant on average.
	clustersPerTenant = 20
	// anywhereShare of clusters leave the region to placement and ask for an area.
	anywhereShare = 0.03
	// zonalShare of clusters are spread over three zones.
	zonalShare = 0.5
	// slack is how many guests more than its share a cell takes: placement fills the densest first.
	slack = 1.25
	// spare guests are taken in by a cell besides, so that small cells have slack, too.
	spare = 10
	// mostTenants: a tenant is a namespace, whose name has room for this many.
	mostTenants = 9999
)

// Areas of regions, in turn.
var areas = []string{"cn", "eu", "us", "ap"}

// kinds of template with their weights.
var kinds = []struct {
	Template
	weight float64
}{{Template{"standard", "Standard"}, 0.7}, {Template{"serverless", "Serverless"}, 0.15}, {Template{"ai", "AI"}, 0.1}, {Template{"edge", "Edge"}, 0.05}}

// Shape of a fleet.
type Shape struct {
	Clusters, Cells, Regions int
	Seed                     uint64
}

// Fleet that has the shape.
type Fleet struct {
	Regions  []Region
	Cells    []Cell
	Clusters []Cluster
	// Tenants are namespaces.
	Tenants   []string
	Templates []Template
}

// Template of a fleet.
type Template struct{ Name, Kind string }

// Region of a fleet.
type Region struct {
	Name, Area string
}

// Cell of a fleet.
type Cell struct {
	Name, Region string
	// Guests that it takes at most.
	Guests int
}

// Cluster of a fleet.
type Cluster struct {
	Namespace, Name, Template string
	// Region that it asks for; empty: any of Area.
	Region, Area string
	Zonal        bool
}

// New fleet of a shape, its clusters in the order in which they are created. The error says what makes no sense.
func New(shape Shape) (Fleet, error) {
	if shape.Regions < 1 || shape.Cells < shape.Regions || shape.Clusters < shape.Cells {
		return Fleet{}, fmt.Errorf("%d clusters, %d cells and %d regions: there must be a region, a cell for each, and a cluster for each cell",
			shape.Clusters, shape.Cells, shape.Regions)
	}
	random := rand.New(rand.NewPCG(shape.Seed, 1))
	perRegion := split(shape.Clusters, tail(shape.Regions))
	perRegionCells := split(shape.Cells, shares(perRegion))
	var fleet Fleet
	for _, kind := range kinds {
		fleet.Templates = append(fleet.Templates, kind.Template)
	}
	for i := range shape.Regions {
		region := Region{Name: fmt.Sprintf("region-%02d", i+1), Area: areas[i%len(areas)]}
		fleet.Regions = append(fleet.Regions, region)
		most := int(slack*float64(perRegion[i])/float64(perRegionCells[i])) + spare
		for j := range perRegionCells[i] {
			fleet.Cells = append(fleet.Cells, Cell{Name: fmt.Sprintf("cell-%02d-%02d", i+1, j+1), Region: region.Name, Guests: most})
		}
	}
	fleet.Tenants = tenants(shape.Clusters)
	owners := cumulate(tail(len(fleet.Tenants)))
	for i, count := range perRegion {
		for range count {
			fleet.Clusters = append(fleet.Clusters, fleet.cluster(random, owners, fleet.Regions[i]))
		}
	}
	random.Shuffle(len(fleet.Clusters), func(i, j int) {
		fleet.Clusters[i], fleet.Clusters[j] = fleet.Clusters[j], fleet.Clusters[i]
	})
	for i := range fleet.Clusters {
		fleet.Clusters[i].Name = fmt.Sprintf("cluster-%05d", i+1)
	}
	return fleet, nil
}

func (f *Fleet) cluster(random *rand.Rand, owners []float64, region Region) Cluster {
	weights := make([]float64, len(kinds))
	for i, kind := range kinds {
		weights[i] = kind.weight
	}
	cluster := Cluster{
		Namespace: f.Tenants[draw(random, owners)], Template: kinds[draw(random, cumulate(weights))].Name,
		Region: region.Name, Zonal: random.Float64() < zonalShare,
	}
	if random.Float64() < anywhereShare {
		cluster.Region, cluster.Area = "", region.Area
	}
	return cluster
}

func tenants(clusters int) []string {
	names := make([]string, min(mostTenants, max(1, clusters/clustersPerTenant)))
	for i := range names {
		names[i] = fmt.Sprintf("tenant-%04d", i+1)
	}
	return names
}

// tail of n weights that sum up to 1: the first large, the others falling as 1/rank (Zipf).
func tail(n int) []float64 {
	if n == 1 {
		return []float64{1}
	}
	weights := make([]float64, n)
	weights[0] = firstShare
	sum := 0.0
	for i := 1; i < n; i++ {
		weights[i] = 1 / float64(i)
		sum += weights[i]
	}
	for i := 1; i < n; i++ {
		weights[i] *= (1 - firstShare) / sum
	}
	return weights
}

func shares(counts []int) []float64 {
	weights := make([]float64, len(counts))
	sum := 0
	for _, count := range counts {
		sum += count
	}
	for i, count := range counts {
		weights[i] = float64(count) / float64(sum)
	}
	return weights
}

// split total by weights, at least 1 each: what is left over goes to those that lost most by rounding.
func split(total int, weights []float64) []int {
	counts := make([]int, len(weights))
	left := total
	for i, weight := range weights {
		counts[i] = max(1, int(math.Floor(weight*float64(total))))
		left -= counts[i]
	}
	order := make([]int, len(weights))
	for i := range order {
		order[i] = i
	}
	lost := func(i int) float64 { return weights[i]*float64(total) - float64(counts[i]) }
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case lost(a) > lost(b):
			return -1
		case lost(a) < lost(b):
			return 1
		}
		return 0
	})
	for i := 0; left > 0; i = (i + 1) % len(order) {
		counts[order[i]]++
		left--
	}
	for left < 0 { // the minimum of 1 gave too many away
		largest := slices.Index(counts, slices.Max(counts))
		counts[largest]--
		left++
	}
	return counts
}

func cumulate(weights []float64) []float64 {
	sums := make([]float64, len(weights))
	sum := 0.0
	for i, weight := range weights {
		sum += weight
		sums[i] = sum
	}
	return sums
}

// draw an index by cumulated weights.
func draw(random *rand.Rand, cumulated []float64) int {
	at, _ := slices.BinarySearch(cumulated, random.Float64()*cumulated[len(cumulated)-1])
	return min(at, len(cumulated)-1)
}
