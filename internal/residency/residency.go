// Package residency decides where a guest's parts may lie, and says on which rule. It is pure.
package residency

import "github.com/myriad-fleet/myriad/api/v1alpha1"

// Place is a region by what a rule asks of it.
type Place struct {
	// Region by name.
	Region string
	// Area of the region.
	Area string
	// Certifications that the region holds.
	Certifications []string
}

// PlaceOf a region.
func PlaceOf(region *v1alpha1.Region) Place {
	return Place{Region: region.Name, Area: region.Spec.Area, Certifications: region.Spec.Certifications}
}

// Violation says why a place does not meet a rule, for example "area us is none of eu"; empty: it does. No
// rule (nil) is met everywhere.
func Violation(rule *v1alpha1.Residency, place Place) string { return "" }

// Basis says what of a place meets a rule, for example "area eu is one of eu; holds gdpr"; empty without a
// rule. It is for places without a Violation.
func Basis(rule *v1alpha1.Residency, place Place) string { return "" }
