package residency

import (
	"cmp"
	"slices"
	"strings"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// Fleet is the regions and cells that guests' parts lie in, by name.
type Fleet struct {
	Regions map[string]*v1alpha1.Region
	Cells   map[string]*v1alpha1.Cell
}

// NewFleet of regions and cells.
func NewFleet(regions []v1alpha1.Region, cells []v1alpha1.Cell) Fleet {
	f := Fleet{Regions: map[string]*v1alpha1.Region{}, Cells: map[string]*v1alpha1.Cell{}}
	for i := range regions {
		f.Regions[regions[i].Name] = &regions[i]
	}
	for i := range cells {
		f.Cells[cells[i].Name] = &cells[i]
	}
	return f
}

// Place of a region by name. One that does not exist is a place of which nobody knows the area.
func (f Fleet) Place(region string) Place {
	if known, ok := f.Regions[region]; ok {
		return PlaceOf(known)
	}
	return Place{Region: region}
}

// Metrics is where the metrics of a region's guests flow first.
func (f Fleet) Metrics(region string) Place {
	if known, ok := f.Regions[region]; ok {
		return f.Place(cmp.Or(known.Spec.MetricsRegion, region))
	}
	return f.Place(region)
}

// Store is where a cell's snapshots lie; nil: it has no store, or the cell is not known.
func (f Fleet) Store(cell string) *Place {
	known, ok := f.Cells[cell]
	if !ok || known.Status.SnapshotRegion == "" {
		return nil
	}
	place := f.Place(known.Status.SnapshotRegion)
	return &place
}

// Key is a recovery key and who holds it. A region shares its area's key, so a key is judged by areas: an
// area is within a rule when one of its regions meets it.
type Key struct {
	// Holders are the regions that name the key, sorted.
	Holders []Place
	// Areas within the rule, sorted.
	Areas []string
}

// Key by its public part (Region.spec.escrowRecipient).
func (f Fleet) Key(rule *v1alpha1.Residency, recipient string) Key {
	var key Key
	for _, region := range f.Regions {
		place := PlaceOf(region)
		if Violation(rule, place) == "" && !slices.Contains(key.Areas, place.Area) {
			key.Areas = append(key.Areas, place.Area)
		}
		if recipient != "" && region.Spec.EscrowRecipient == recipient {
			key.Holders = append(key.Holders, place)
		}
	}
	slices.Sort(key.Areas)
	slices.SortFunc(key.Holders, func(a, b Place) int { return strings.Compare(a.Region, b.Region) })
	return key
}

// violation says why no guest of the rule may be sealed to the key.
func (k Key) violation(rule *v1alpha1.Residency) string {
	if rule == nil {
		return ""
	}
	if len(k.Holders) == 0 {
		return "no region names the key any more: nobody knows where it is held"
	}
	var violations []string
	for _, holder := range k.Holders {
		if !slices.Contains(k.Areas, holder.Area) {
			violations = append(violations, "region "+holder.Region+" has the same recovery key, and no region of its area "+holder.Area+" meets the rule")
		}
	}
	return strings.Join(violations, "; ")
}

// Refusal says why no guest of the rule may be placed in a region: the region itself, where its metrics flow,
// or who shares its recovery key; empty: it may. Snapshots are refused apart: see Snapshots.
func (f Fleet) Refusal(rule *v1alpha1.Residency, region string) string {
	if rule == nil {
		return ""
	}
	if violation := Violation(rule, f.Place(region)); violation != "" {
		return violation
	}
	if metrics := f.Metrics(region); Violation(rule, metrics) != "" {
		return "its metrics flow to region " + metrics.Region + ", and " + Violation(rule, metrics)
	}
	if recipient := f.Regions[region].Spec.EscrowRecipient; recipient != "" {
		return f.Key(rule, recipient).violation(rule)
	}
	return ""
}
