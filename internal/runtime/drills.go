package runtime

import "github.com/myriad-fleet/myriad/api/v1alpha1"

// PartlyHeldError is the answer of a runtime that can do some drills and not others: those that it can are in force,
// and asking once more changes nothing.
type PartlyHeldError struct {
	// InForce are the drills that are in force now.
	InForce []v1alpha1.Drill
	// Cause says which are not, and what to do instead.
	Cause error
}

func (e *PartlyHeldError) Error() string { return e.Cause.Error() }

func (e *PartlyHeldError) Unwrap() error { return e.Cause }
