package gear

import (
	"fmt"
	"strings"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

// span of the ladder that a guest may have, from and to inclusive.
type span struct{ low, high int }

// spanOf bounds. A bound that is no gear of the ladder limits nothing; where min is above max, max holds.
func spanOf(box v1alpha1.GearboxSpec, bounds v1alpha1.GearBounds) span {
	s := span{low: 0, high: len(box.Ladder) - 1}
	low, high := bounds.Min, bounds.Max
	if bounds.Pinned != "" {
		low, high = bounds.Pinned, bounds.Pinned
	}
	if i := index(box, high); i >= 0 {
		s.high = i
	}
	if i := index(box, low); i >= 0 {
		s.low = min(i, s.high)
	}
	return s
}

// Merge the bounds that a Cluster asks for with those of its template. A problem says which bound is no
// gear, or lies outside the template's, and what to write instead; the bounds are then the template's, as far
// as those are gears.
func Merge(box v1alpha1.GearboxSpec, own, template *v1alpha1.GearBounds) (v1alpha1.GearBounds, string) {
	outer, problem := known(box, "the template's", template)
	if problem != "" {
		return outer, problem
	}
	inner, problem := known(box, "the Cluster's", own)
	if problem != "" {
		return outer, problem
	}
	limits := spanOf(box, outer)
	if name, ok := outside(box, inner, limits); ok {
		return outer, fmt.Sprintf("the Cluster's spec.gears asks for %s, and its template allows %s to %s: write one of %s",
			name, box.Ladder[limits.low].Name, box.Ladder[limits.high].Name, names(box, limits))
	}
	return combine(outer, inner), ""
}

// known bounds: those that are gears, and what is wrong with the others.
func known(box v1alpha1.GearboxSpec, whose string, bounds *v1alpha1.GearBounds) (v1alpha1.GearBounds, string) {
	if bounds == nil {
		return v1alpha1.GearBounds{}, ""
	}
	kept, problem := *bounds, ""
	for _, bound := range []struct {
		field string
		name  *string
	}{{"min", &kept.Min}, {"max", &kept.Max}, {"pinned", &kept.Pinned}} {
		if *bound.name != "" && index(box, *bound.name) < 0 {
			problem = fmt.Sprintf("%s spec.gears.%s %q is no gear of the Gearbox: write one of %s",
				whose, bound.field, *bound.name, names(box, span{0, len(box.Ladder) - 1}))
			*bound.name = ""
		}
	}
	if low, high := index(box, kept.Min), index(box, kept.Max); problem == "" && low >= 0 && high >= 0 && low > high {
		return v1alpha1.GearBounds{Max: kept.Max}, fmt.Sprintf("%s spec.gears.min %q is a larger gear than max %q: exchange them", whose, kept.Min, kept.Max)
	}
	return kept, problem
}

// outside names the first bound that lies outside the limits.
func outside(box v1alpha1.GearboxSpec, bounds v1alpha1.GearBounds, limits span) (string, bool) {
	for _, bound := range []struct{ field, name string }{{"pinned", bounds.Pinned}, {"min", bounds.Min}, {"max", bounds.Max}} {
		if i := index(box, bound.name); i >= 0 && (i < limits.low || i > limits.high) {
			return bound.field + " " + bound.name, true
		}
	}
	return "", false
}

// combine takes each bound from the inner bounds, or else from the outer ones.
func combine(outer, inner v1alpha1.GearBounds) v1alpha1.GearBounds {
	if inner.Pinned != "" || outer.Pinned != "" {
		return v1alpha1.GearBounds{Pinned: or(inner.Pinned, outer.Pinned)}
	}
	return v1alpha1.GearBounds{Min: or(inner.Min, outer.Min), Max: or(inner.Max, outer.Max)}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// names of the gears in a span, for people.
func names(box v1alpha1.GearboxSpec, s span) string {
	var all []string
	for i := s.low; i <= s.high; i++ {
		all = append(all, box.Ladder[i].Name)
	}
	return strings.Join(all, ", ")
}

// Initial gear of a guest within its bounds: the smallest. There is none on an empty ladder.
func Initial(box v1alpha1.GearboxSpec, bounds v1alpha1.GearBounds) (v1alpha1.Gear, bool) {
	if len(box.Ladder) == 0 {
		return v1alpha1.Gear{}, false
	}
	return box.Ladder[spanOf(box, bounds).low], true
}

// EtcdQuotaBytes that the largest gear within the bounds needs; 0 on an empty ladder.
func EtcdQuotaBytes(box v1alpha1.GearboxSpec, bounds v1alpha1.GearBounds) int64 {
	if len(box.Ladder) == 0 {
		return 0
	}
	return box.Ladder[spanOf(box, bounds).high].Limits.DatabaseBytes.Value()
}
