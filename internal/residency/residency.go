// Package residency decides where a guest's parts may lie, and says on which rule. It is pure.
package residency

import (
	"slices"
	"strings"

	"github.com/myriad-fleet/myriad/api/v1alpha1"
)

const (
	// namesShown of a list: a rule may name fifty regions, and a message is for people.
	namesShown = 10
	// refusalLength is the most that ControlPlane.spec.snapshotsRefused holds.
	refusalLength = 1000
	// NoRule is how the absence of a rule is told.
	NoRule = "no rule"
)

// Place is a region by what a rule asks of it. A region that does not exist, or not any more, has no area.
type Place struct {
	// Region by name.
	Region string
	// Area of the region; empty: nobody knows it.
	Area string
	// Certifications that the region holds.
	Certifications []string
}

// PlaceOf a region.
func PlaceOf(region *v1alpha1.Region) Place {
	return Place{Region: region.Name, Area: region.Spec.Area, Certifications: region.Spec.Certifications}
}

// Violation says why a place does not meet a rule, for example "area us is none of eu"; empty: it does. No
// rule (nil) is met everywhere, and any rule nowhere of which nobody knows the area.
func Violation(rule *v1alpha1.Residency, place Place) string {
	switch {
	case rule == nil:
		return ""
	case place.Area == "":
		return "there is no region " + place.Region + ": nobody knows its area"
	}
	var violations []string
	if len(rule.Areas) > 0 && !slices.Contains(rule.Areas, place.Area) {
		violations = append(violations, "area "+place.Area+" is none of "+list(rule.Areas))
	}
	if len(rule.Regions) > 0 && !slices.Contains(rule.Regions, place.Region) {
		violations = append(violations, "region "+place.Region+" is none of "+list(rule.Regions))
	}
	if missing := lacking(rule.Certifications, place.Certifications); len(missing) > 0 {
		violations = append(violations, "region "+place.Region+" does not hold "+list(missing))
	}
	return strings.Join(violations, "; ")
}

func lacking(wanted, held []string) []string {
	return slices.DeleteFunc(slices.Clone(wanted), func(name string) bool { return slices.Contains(held, name) })
}

// Basis says what of a place meets a rule, for example "area eu is one of eu; holds gdpr"; empty without a
// rule. It is for places without a Violation.
func Basis(rule *v1alpha1.Residency, place Place) string {
	if rule == nil {
		return ""
	}
	var basis []string
	if len(rule.Areas) > 0 {
		basis = append(basis, "area "+place.Area+" is one of "+list(rule.Areas))
	}
	if len(rule.Regions) > 0 {
		basis = append(basis, "region "+place.Region+" is one of "+list(rule.Regions))
	}
	if len(rule.Certifications) > 0 {
		basis = append(basis, "holds "+list(rule.Certifications))
	}
	return strings.Join(basis, "; ")
}

// Text is a rule in one line, for example "areas eu; certifications gdpr"; NoRule where there is none.
func Text(rule *v1alpha1.Residency) string {
	if rule == nil {
		return NoRule
	}
	var parts []string
	for _, part := range []struct {
		name   string
		values []string
	}{{"areas", rule.Areas}, {"regions", rule.Regions}, {"certifications", rule.Certifications}} {
		if len(part.values) > 0 {
			parts = append(parts, part.name+" "+list(part.values))
		}
	}
	return strings.Join(parts, "; ")
}

func list(names []string) string {
	if more := len(names) - namesShown; more > 0 {
		return strings.Join(names[:namesShown], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}

// Snapshots says why no snapshot of a guest may be stored where its cell stores them, for
// ControlPlane.spec.snapshotsRefused; empty: they may, or the cell has no store (nil).
func Snapshots(rule *v1alpha1.Residency, store *Place) (refused string) {
	if store == nil {
		return ""
	}
	violation := Violation(rule, *store)
	if violation == "" {
		return ""
	}
	text := []rune("the cell's snapshots are stored in region " + store.Region + ", and " + violation)
	return string(text[:min(len(text), refusalLength)])
}
